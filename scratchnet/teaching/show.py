"""Tensors in words and as pictures made of text."""

from __future__ import annotations

import itertools
from typing import Sequence

import numpy as np
import torch
from torch import Tensor


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


def _table(rows: list[tuple[str, Sequence | str]]) -> str:
    """Names and their cells, centred under each other; a text in place of cells stands as it is."""
    label = max(len(name) for name, _ in rows)
    width = max(len(str(cell)) for _, cells in rows if not isinstance(cells, str) for cell in cells)
    lines = []
    for name, cells in rows:
        text = cells if isinstance(cells, str) else " ".join(f"{cell!s:^{width}}" for cell in cells)
        lines.append(f"{name:{label}}   {text}".rstrip())
    return "\n".join(lines)
