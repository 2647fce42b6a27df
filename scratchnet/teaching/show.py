"""Tensors in words and as pictures made of text."""

from __future__ import annotations

import itertools
import math
from typing import Callable, Sequence, TypeVar

import numpy as np
import torch
from torch import Tensor

Node = TypeVar("Node")


def describe(x: Tensor | np.ndarray) -> str:
    """Shape, strides, dtype, device and size of a tensor or array in one line."""
    x = torch.as_tensor(x)  # of an array: the same memory, seen by torch
    kind = str(x.dtype).removeprefix("torch.")
    return f"shape {tuple(x.shape)}, stride {x.stride()}, {kind}, {x.device}, {x.numel() * x.element_size()} bytes"


def memory(base: Tensor, views: dict[str, Tensor]) -> str:
    """The memory of `base`, cell by cell, and under each cell the indices at which every view sees it."""
    values = torch.empty(0, dtype=base.dtype).set_(base.untyped_storage())
    rows = [("value", [f"{value:g}" for value in values.tolist()])]
    for name, view in views.items():
        if view.untyped_storage().data_ptr() != base.untyped_storage().data_ptr():
            rows.append((name, "elsewhere: memory of its own"))
            continue
        cells = [""] * len(values)
        for position in itertools.product(*map(range, view.shape)):
            at = view.storage_offset() + sum(i * step for i, step in zip(position, view.stride(), strict=True))
            cells[at] += str(list(position)).replace(" ", "")
        rows.append((name, [cell or "·" for cell in cells]))
    return _table(rows)


def meeting(*shapes: tuple[int, ...]) -> str:
    """Shapes under each other, aligned at the right, and what broadcasting makes of them: a shape, or where they clash."""
    axes = max(map(len, shapes))
    padded = [("",) * (axes - len(shape)) + tuple(shape) for shape in shapes]
    wanted = [set(column) - {"", 1} for column in zip(*padded, strict=True)]  # the sizes that insist
    if any(len(sizes) > 1 for sizes in wanted):
        result = ("clash", ["^" if len(sizes) > 1 else "" for sizes in wanted])
    else:
        result = ("together", [sizes.pop() if sizes else 1 for sizes in wanted])
    return _table([("axis", range(-axes, 0)), *zip(map(str, shapes), padded, strict=True), result])


def curves(lines: dict[str, Sequence[float]], width: int = 72, height: int = 12) -> str:
    """Positive numbers step by step, e.g. losses, the height logarithmic; what leaves the picture stays on its upper edge.

    The upper edge is ten times the largest first number. NaN is not drawn.
    """
    ceiling = 10 * max(line[0] for line in lines.values())
    drawn = [min(value, ceiling) for line in lines.values() for value in line if value > 0]
    low, high = math.log(min(drawn)), math.log(max(drawn))
    grid = [[" "] * width for _ in range(height)]
    marks = dict(zip(lines, "ox+*#", strict=False))
    for name, line in lines.items():
        for column in range(width):
            value = line[column * (len(line) - 1) // (width - 1)]
            if value > 0:
                level = (min(math.log(min(value, ceiling)), high) - low) / (high - low or 1)
                grid[height - 1 - round((height - 1) * level)][column] = marks[name]
    edges = {0: f"{math.exp(high):.0e}", height - 1: f"{math.exp(low):.0e}"}
    picture = [f"{edges.get(row, ''):>7} |{''.join(cells).rstrip()}" for row, cells in enumerate(grid)]
    return "\n".join([*picture, f"{'':7} +{'-' * width}", f"{'':9}" + "   ".join(f"{m} {name}" for name, m in marks.items())])


def _table(rows: list[tuple[str, Sequence | str]]) -> str:
    """Names and their cells, centred under each other; a text in place of cells stands as it is."""
    label = max(len(name) for name, _ in rows)
    width = max(len(str(cell)) for _, cells in rows if not isinstance(cells, str) for cell in cells)
    lines = []
    for name, cells in rows:
        text = cells if isinstance(cells, str) else " ".join(f"{cell!s:^{width}}" for cell in cells)
        lines.append(f"{name:{label}}   {text}".rstrip())
    return "\n".join(lines)


def tree(result: Node, parents: Callable[[Node], Sequence[Node]], label: Callable[[Node], str] = str) -> str:
    """A graph as a tree: a result and, indented, what it was computed from; what was drawn before is not opened again."""
    drawn, lines = set(), []

    def draw(node: Node, before: str, indent: str) -> None:
        again = node in drawn and len(parents(node)) > 0
        drawn.add(node)
        lines.append(before + label(node) + ("  (see above)" if again else ""))
        below = [] if again else parents(node)
        for place, parent in enumerate(below, start=1):
            last = place == len(below)
            draw(parent, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  "))

    draw(result, "", "")
    return "\n".join(lines)
