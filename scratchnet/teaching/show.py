"""Tensors in words and as pictures made of text."""

from __future__ import annotations

import itertools

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
    rows = {"value": [f"{value:g}" for value in values.tolist()]}
    for name, view in views.items():
        if view.untyped_storage().data_ptr() != base.untyped_storage().data_ptr():
            rows[name] = ["elsewhere: memory of its own"]
            continue
        cells = [""] * len(values)
        for position in itertools.product(*map(range, view.shape)):
            at = view.storage_offset() + sum(i * step for i, step in zip(position, view.stride(), strict=True))
            cells[at] += str(list(position)).replace(" ", "")
        rows[name] = [cell or "·" for cell in cells]
    label = max(map(len, rows))
    width = max(len(cell) for row in rows.values() if len(row) == len(values) for cell in row)
    return "\n".join(f"{name:{label}}   " + " ".join(f"{cell:^{width}}" for cell in row).rstrip() for name, row in rows.items())
