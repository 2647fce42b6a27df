"""Tensors in words and as pictures made of text."""

from __future__ import annotations

import itertools
import math
from typing import Callable, Sequence, TypeVar

import numpy as np
import torch
from torch import Tensor

Node = TypeVar("Node")
SIGNS = "●○+x·"  # for the curves of a chart, in order


def describe(x: Tensor | np.ndarray) -> str:
    """Shape, strides, dtype, device and size of a tensor or array in one line."""
    x = torch.as_tensor(x)  # for an array: the same memory, seen by torch
    kind = str(x.dtype).removeprefix("torch.")
    return f"shape {tuple(x.shape)}, stride {x.stride()}, {kind}, {x.device}, {x.numel() * x.element_size()} bytes"


def memory(base: Tensor, views: dict[str, Tensor]) -> str:
    """The memory of `base`, cell by cell, and under each cell the indices at which every view finds it."""
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
    """Shapes one under the other, aligned at the right, and what broadcasting makes of them: a shape, or where they clash."""
    axes = max(map(len, shapes))
    padded = [("",) * (axes - len(shape)) + tuple(shape) for shape in shapes]
    wanted = [set(column) - {"", 1} for column in zip(*padded, strict=True)]  # the sizes that cannot be stretched
    if any(len(sizes) > 1 for sizes in wanted):
        result = ("clash", ["^" if len(sizes) > 1 else "" for sizes in wanted])
    else:
        result = ("together", [sizes.pop() if sizes else 1 for sizes in wanted])
    return _table([("axis", range(-axes, 0)), *zip(map(str, shapes), padded, strict=True), result])


def chart(
    curves: dict[str, tuple[Sequence, Sequence]],
    width: int = 72,
    height: int = 14,
    log: bool = False,
    top: float = math.inf,
) -> str:
    """Points drawn with characters: name -> (x, y), each curve with its own sign, later ones on top of earlier ones.

    log: y (larger than 0) on a logarithmic scale. Points above `top` are drawn at `top`; points that are NaN, or still
    infinite, are left out.
    """
    points = {name: np.asarray(curve, dtype=np.float64) for name, curve in curves.items()}  # each (2, n)
    points = {name: np.stack([x, np.minimum(y, top)]) for name, (x, y) in points.items()}
    if log:
        with np.errstate(divide="ignore"):
            points = {name: np.stack([x, np.log10(y)]) for name, (x, y) in points.items()}
    points = {name: curve[:, np.isfinite(curve).all(axis=0)] for name, curve in points.items()}
    together = np.concatenate([*points.values()], axis=1)
    (left, low), (right, high) = together.min(axis=1), together.max(axis=1)
    grid = [[" "] * width for _ in range(height)]
    for sign, (x, y) in zip(SIGNS, points.values(), strict=False):
        columns = np.rint((x - left) / ((right - left) or 1) * (width - 1)).astype(int)
        lines = np.rint((high - y) / ((high - low) or 1) * (height - 1)).astype(int)
        for line, column in zip(lines, columns, strict=True):
            grid[line][column] = sign
    labels = {0: high, height - 1: low}
    margin = [f"{10 ** labels[i] if log else labels[i]:.3g}" if i in labels else "" for i in range(height)]
    picture = [f"{label:>9} │{''.join(line).rstrip()}" for label, line in zip(margin, grid, strict=True)]
    axis = f"{left:<{width // 2}.3g}{right:>{width - width // 2}.3g}"
    legend = "   ".join(f"{sign} {name}" for sign, name in zip(SIGNS, points, strict=False))
    return "\n".join([*picture, f"{'':9} └{'─' * width}", f"{'':11}{axis}", f"{'':11}{legend}"])


def _table(rows: list[tuple[str, Sequence | str]]) -> str:
    """Names and their cells, centred in columns; text in place of cells is left as it is."""
    label = max(len(name) for name, _ in rows)
    width = max(len(str(cell)) for _, cells in rows if not isinstance(cells, str) for cell in cells)
    lines = []
    for name, cells in rows:
        text = cells if isinstance(cells, str) else " ".join(f"{cell!s:^{width}}" for cell in cells)
        lines.append(f"{name:{label}}   {text}".rstrip())
    return "\n".join(lines)


def tree(result: Node, parents: Callable[[Node], Sequence[Node]], label: Callable[[Node], str] = str) -> str:
    """A graph as a tree: a result and, indented, what it was computed from; a node that was drawn before is not expanded
    again."""
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
