"""Why a call of gather or embedding is wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail
from scratchnet.torch_private import mapping


def gather(input: Tensor, dim: int, index: Tensor, **_torchs: Any) -> None:
    name = "gather"
    check_tensor(name, "input", input)
    check_tensor(name, "index", index)
    check_device(name, "index", index, "input", input)
    check_dim(name, input, dim)
    if index.numel() == 0:  # torch then looks at nothing else
        return
    if index.dtype not in (torch.int64, torch.int32):
        problem = f"Expected dtype int32/int64 for index, got {index.dtype}; call .long() on it"
        fail(RuntimeError, name, "index", problem)
    dim %= max(input.dim(), 1)
    _check_shapes(input, dim, index)
    size = input.shape[dim] if input.dim() else 1
    if index.is_cpu and (wrong := outside(index, size)):
        value, where = wrong
        fail(RuntimeError, name, "index", f"index {value} is out of bounds for dimension {dim} with size {size}, {where}")


def check_dim(name: str, input: Tensor, dim: int) -> None:
    """TypeError for anything but an int, IndexError for an axis that input does not have."""
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        fail(TypeError, name, "dim", f"must be int, not {type(dim).__name__}")
    rank = max(input.dim(), 1)
    if not -rank <= dim < rank:
        problem = f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})"
        fail(IndexError, name, "dim", problem)


def _check_shapes(input: Tensor, dim: int, index: Tensor) -> None:
    if max(input.dim(), 1) != max(index.dim(), 1):
        problem = "Index tensor must have the same number of dimensions as input tensor"
        fix = "; give it the missing axis with index.unsqueeze(...)" if index.dim() < input.dim() else ""
        fail(RuntimeError, "gather", "index", f"{problem}, got {tuple(index.shape)} for an input of {tuple(input.shape)}{fix}")
    for d, (size, limit) in enumerate(zip(index.shape, input.shape, strict=False)):
        if size > limit and d != dim:
            problem = f"Size does not match at dimension {d} expected index {list(index.shape)} to be no larger than self"
            fail(RuntimeError, "gather", "index", f"{problem} {list(input.shape)} apart from dimension {dim}")


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None, max_norm: float | None, **_options: Any) -> None:
    name = "embedding"
    check_tensor(name, "input", input)
    check_tensor(name, "weight", weight)
    check_device(name, "weight", weight, "input", input)
    if weight.dim() != 2:
        problem = f"'weight' must be 2-D, (num_embeddings, embedding_dim), got {tuple(weight.shape)}"
        fail(RuntimeError, name, "weight", problem)
    rows = weight.shape[0]
    if padding_idx is not None:
        if isinstance(padding_idx, bool) or not hasattr(padding_idx, "__index__"):
            fail(TypeError, name, "padding_idx", f"must be int, not {type(padding_idx).__name__}")
        if not -rows <= padding_idx < rows and padding_idx != 0:
            problem = f"Padding_idx must be within num_embeddings, from {-rows} to {rows - 1}, got {padding_idx}"
            fail(AssertionError, name, "padding_idx", problem)
    if input.dtype not in (torch.int64, torch.int32):
        needs = "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int"
        problem = f"{needs}; but got {input.dtype}; call .long() on it (the order is indices, weight)"
        fail(RuntimeError, name, "input", problem)
    if max_norm is not None and not isinstance(max_norm, (int, float)):
        fail(TypeError, name, "max_norm", f"must be float, not {type(max_norm).__name__}")
    if (input.is_cpu or max_norm is not None) and (wrong := outside(input, rows)):
        value, where = wrong
        fail(IndexError, name, "input", f"index out of range in self: {value}, for a table of {rows} rows, {where}")


def outside(index: Tensor, size: int) -> tuple[int, str] | None:
    """The first entry that is not from 0 to size - 1, and where it is; None if there is none, or no value can be read."""
    if type(index) is not Tensor or index.is_meta or torch.compiler.is_compiling() or mapping():
        return None
    outside = ((index < 0) | (index >= size)).reshape(-1)
    if not outside.any():
        return None
    at = outside.to(torch.uint8).argmax()
    value = int(index.reshape(-1)[at])
    position = tuple(int(i) for i in torch.unravel_index(at, index.shape)) if index.dim() else ()
    hint = "; negative indices do not count from the end here, add the size to them" if value < 0 else ""
    return value, f"at position {position}: it must be from 0 to {size - 1}{hint}"
