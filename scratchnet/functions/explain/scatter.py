"""Why a call of scatter_add or index_add is wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail
from scratchnet.functions.explain.gather import check_dim, outside


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor, **_torchs: Any) -> None:
    name = "scatter_add"
    dim = _check(name, input, dim, index, "src", src)
    if not index.numel():  # torch then looks at nothing else
        return
    rank = max(input.dim(), 1)
    for argument, as_what, tensor in (("index", "self", index), ("src", "src", src)):
        if max(tensor.dim(), 1) != rank:
            problem = f"Index tensor must have the same number of dimensions as {as_what} tensor"
            fix = f"; give it the missing axis with {argument}.unsqueeze(...)" if tensor.dim() < rank else ""
            fail(
                RuntimeError, name, argument, f"{problem}, got {tuple(tensor.shape)} for an input of {tuple(input.shape)}{fix}"
            )
    sizes = zip(index.shape, input.shape or (1,), src.shape or (1,), strict=False)
    if any(size > of_src or (size > limit and d != dim) for d, (size, limit, of_src) in enumerate(sizes)):
        problem = f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from dimension {dim}"
        fail(RuntimeError, name, "index", f"{problem} and to be no larger size than src {list(src.shape)}")
    _check_entries(name, RuntimeError, input, dim, index)


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, alpha: float = 1, **_torchs: Any) -> None:
    name = "index_add"
    if isinstance(alpha, (str, Tensor)) or not hasattr(alpha, "__mul__"):
        fail(TypeError, name, "alpha", f"must be Number, not {type(alpha).__name__}")
    dim = _check(name, input, dim, index, "source", source)
    if index.dim() > 1:
        problem = f"Index is supposed to be a vector, but got dim: {index.dim()} with size: {list(index.shape)}"
        fail(IndexError, name, "index", f"{problem}; one entry for each slice of source; scatter_add takes one for each number")
    others = list(input.shape), list(source.shape)
    for shape in others:
        del shape[dim : dim + 1]
    if input.dim() != source.dim() or others[0] != others[1]:
        problem = "source tensor shape must match self tensor shape, excluding the specified dimension"
        fail(
            RuntimeError, name, "source", f"{problem}. Got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )
    if source.dim() and index.numel() != source.shape[dim]:
        counts = (
            f"Number of indices ({index.numel()}) should be equal to source.size(dim): ({source.shape[dim]}), for dim: {dim}"
        )
        fail(RuntimeError, name, "index", counts)
    if input.numel():  # torch looks at no entry where there is nothing to add to
        _check_entries(name, IndexError if input.dim() < 2 else RuntimeError, input, dim, index)


def _check(name: str, input: Tensor, dim: int, index: Tensor, argument: str, src: Tensor) -> int:
    """The axis, counted from the front."""
    for what, tensor in (("input", input), ("index", index), (argument, src)):
        check_tensor(name, what, tensor)
    check_device(name, "index", index, "input", input)
    check_device(name, argument, src, "input", input)
    check_dim(name, input, dim)
    if index.dtype not in (torch.int64, torch.int32) and (index.numel() or name == "index_add"):
        problem = f"Expected dtype int32/int64 for index, got {index.dtype}; call .long() on it"
        fail(RuntimeError, name, "index", problem)
    if src.dtype != input.dtype:
        problem = f"Expected self.dtype to be equal to {argument}.dtype, the same scalar type"
        fail(RuntimeError, name, argument, f"{problem}; got {input.dtype} and {src.dtype}: call {argument}.to(input.dtype)")
    return dim % max(input.dim(), 1)


def _check_entries(name: str, error: type[Exception], input: Tensor, dim: int, index: Tensor) -> None:
    size = input.shape[dim] if input.dim() else 1
    if index.is_cpu and (wrong := outside(index, size)):
        value, where = wrong
        problem = f"index {value} is out of bounds for dimension {dim} with size {size}, {where}"
        fail(error, name, "index", f"{problem} (index out of range in self)" if error is IndexError else problem)
