"""Gather along a dimension, and embedding: rows of a table by index."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail
from scratchnet.functions.dispatch import Function, Operator, fastest_first, lined_up, or_torch, torch_runs
from scratchnet.ops import DimOptions
from scratchnet.ops.gather import EmbeddingOptions


class Gather(Function):
    """y[i, j] = x[index[i, j], j] along dim 0, likewise along any dim; dx is grad added up where index points: scatter-add."""

    @staticmethod
    def forward(ctx, kernel, x, index, options):
        ctx.kernel, ctx.shape, ctx.options = kernel, x.shape, options
        ctx.save_for_backward(index)
        return kernel.forward(x, index, options)

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, ctx.kernel.backward(grad, ctx.shape, *ctx.saved_tensors, ctx.options))


class Embedding(Function):
    """y[i] = weight[index[i]]; a row of dweight is the sum of the grads of its occurrences."""

    @staticmethod
    def forward(ctx, kernel, weight, index, options):
        ctx.kernel, ctx.rows, ctx.options = kernel, weight.shape[0], options
        ctx.save_for_backward(index)
        return kernel.forward(weight, index, options)

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.rows, ctx.options))


_gather = Operator("gather", Gather)
_embedding = Operator("embedding", Embedding)


@fastest_first("gather")
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """input[..., index, ...] along dim: y[i][j] = input[index[i][j]][j] for dim 0; the result has the shape of index.

    index: int64 or int32, as many axes as input, along the others at most as large; every entry from 0 to input.shape[dim] - 1.
    RuntimeError if shapes, dtype or entries of index do not fit; IndexError for a dim that input does not have. torch.gather;
    sparse_grad and out are torch's own.
    """
    check_tensor("gather", "input", input)
    check_tensor("gather", "index", index)
    check_device("gather", "index", index, "input", input)
    if type(dim) is not int and (isinstance(dim, bool) or not hasattr(dim, "__index__")):
        fail(TypeError, "gather", "dim", f"must be int, not {type(dim).__name__}")
    rank = max(input.dim(), 1)
    if not -rank <= dim < rank:
        problem = f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})"
        fail(IndexError, "gather", "dim", problem)
    dim %= rank
    if index.numel() == 0:  # torch then looks at nothing else
        return torch.gather(input, dim, index, sparse_grad=sparse_grad, out=out)
    if index.dtype is not torch.int64:
        if index.dtype is not torch.int32:
            problem = f"gather(): Expected dtype int32/int64 for index, got {index.dtype}; call .long() on it"
            fail(RuntimeError, "gather", "index", problem)
        index = index.long()
    if input.shape != index.shape:
        _check_shapes(input, dim, index)
    try:
        if sparse_grad or out is not None:
            return torch.gather(input, dim, index, sparse_grad=sparse_grad, out=out)
        return _gather(input, index, DimOptions(dim))
    except (RuntimeError, IndexError) as error:
        problem = f"index {{value}} is out of bounds for dimension {dim} with size {{size}}"
        _explain("gather", error, index, input.shape[dim] if input.dim() else 1, RuntimeError, problem)


def _check_shapes(input: Tensor, dim: int, index: Tensor) -> None:
    if max(input.dim(), 1) != max(index.dim(), 1):
        problem = "Index tensor must have the same number of dimensions as input tensor"
        mend = "; give it the missing axis with index.unsqueeze(...)" if index.dim() < input.dim() else ""
        fail(RuntimeError, "gather", "index", f"{problem}, got {tuple(index.shape)} for an input of {tuple(input.shape)}{mend}")
    for d, (size, limit) in enumerate(zip(index.shape, input.shape, strict=False)):
        if size > limit and d != dim:
            problem = f"Size does not match at dimension {d} expected index {list(index.shape)} to be no larger than self"
            fail(RuntimeError, "gather", "index", f"{problem} {list(input.shape)} apart from dimension {dim}")


@or_torch(_embedding.op.torch)
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of weight (V, D) at input (...), int64 or int32 from 0 to V - 1: (..., D).

    padding_idx: this row gets no gradient. max_norm: the rows that are looked up are first shrunk, in place, to at most this
    norm_type-norm. scale_grad_by_freq: a row's gradient is divided by how often it occurs. sparse: torch's own, with its sparse
    gradient. IndexError for an entry out of range, AssertionError for such a padding_idx, RuntimeError for other misfits.
    torch.nn.functional.embedding.
    """
    check_tensor("embedding", "input", input)
    check_tensor("embedding", "weight", weight)
    check_device("embedding", "weight", weight, "input", input)
    if weight.dim() != 2:
        problem = f"'weight' must be 2-D, (num_embeddings, embedding_dim), got {tuple(weight.shape)}"
        fail(RuntimeError, "embedding", "weight", problem)
    rows = weight.shape[0]
    if padding_idx is None:
        padding_idx = -1
    elif isinstance(padding_idx, bool) or not hasattr(padding_idx, "__index__"):
        fail(TypeError, "embedding", "padding_idx", f"must be int, not {type(padding_idx).__name__}")
    elif -rows <= padding_idx < rows or padding_idx == 0:
        padding_idx = padding_idx % rows if rows else -1
    else:
        problem = f"Padding_idx must be within num_embeddings, from {-rows} to {rows - 1}, got {padding_idx}"
        fail(AssertionError, "embedding", "padding_idx", problem)
    if input.dtype is not torch.int64:
        if input.dtype is not torch.int32:
            problem = "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got"
            problem = f"{problem} {input.dtype}; call .long() on it (the order is indices, weight)"
            fail(RuntimeError, "embedding", "input", problem)
        input = input.long()
    try:
        if max_norm is not None:
            if not isinstance(max_norm, (int, float)):
                fail(TypeError, "embedding", "max_norm", f"must be float, not {type(max_norm).__name__}")
            _renormalize(weight, input, max_norm, norm_type)
        if sparse or torch_runs(weight, _embedding.op.own_up_to):
            return torch.embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)
        return _embedding(weight, input, EmbeddingOptions(padding_idx, scale_grad_by_freq))
    except (RuntimeError, IndexError) as error:
        _explain("embedding", error, input, rows, IndexError, "index out of range in self: {value}, for a table of {size} rows")


def _renormalize(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    if not torch.compiler.is_compiling() and ((index < 0) | (index >= weight.shape[0])).any():
        raise IndexError("index out of range in self")  # before torch writes the rows that come first
    torch.embedding_renorm_(weight.detach(), index.contiguous(), max_norm, norm_type)  # no gradient, no tangent


def _explain(function: str, error: Exception, index: Tensor, size: int, kind: type[Exception], problem: str) -> NoReturn:
    """Raise `kind` about the first index out of range in place of a kernel's error; other errors as they are."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        raise error
    outside = ((index < 0) | (index >= size)).reshape(-1)
    if not outside.any():
        raise error
    at = outside.to(torch.uint8).argmax()
    value = int(index.reshape(-1)[at])
    position = tuple(int(i) for i in torch.unravel_index(at, index.shape)) if index.dim() else ()
    hint = "; negative indices do not count from the end here, add the size to them" if value < 0 else ""
    problem = f"{problem.format(value=value, size=size)}, at position {position}: it must be from 0 to {size - 1}{hint}"
    argument = "index" if function == "gather" else "input"
    raise kind(f"{function}(): argument '{argument}': {problem}") from None
