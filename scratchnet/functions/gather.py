"""Gather along a dimension, and embedding: rows of a table by index."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet import backends
from scratchnet.functions.dispatch import PLAIN, Function, Operator, fastest_first, gradients, or_torch, torch_runs, unknown
from scratchnet.functions.explain import gather as explain
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
        return gradients(ctx, grad, ctx.shape, *ctx.saved_tensors, ctx.options)


class Embedding(Function):
    """y[i] = weight[index[i]]; a row of dweight is the sum of the grads of its occurrences."""

    @staticmethod
    def forward(ctx, kernel, weight, index, options):
        ctx.kernel, ctx.rows, ctx.options = kernel, weight.shape[0], options
        ctx.save_for_backward(index)
        return kernel.forward(weight, index, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.rows, ctx.options)


_gather = Operator("gather", Gather)
_embedding = Operator("embedding", Embedding)


@fastest_first("gather", explain=explain.gather)
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """input[..., index, ...] along dim: y[i][j] = input[index[i][j]][j] for dim 0; the result has the shape of index.

    index: int64 or int32, as many axes as input, along the others at most as large; every entry from 0 to input.shape[dim] - 1.
    RuntimeError if shapes, dtype or entries of index do not fit; IndexError for a dim that input does not have. torch.gather;
    sparse_grad and out are torch's own.
    """
    if sparse_grad or out is not None:
        explain.gather(input, dim, index)  # first: torch would write some entries of `out` before it meets a wrong index
        return torch.gather(input, dim, index, sparse_grad=sparse_grad, out=out)
    if not (
        isinstance(input, Tensor)
        and isinstance(index, Tensor)
        and index.dtype is torch.int64
        and index.device == input.device
        and type(dim) is int
        and -input.dim() <= dim < input.dim()
        and (index.shape == input.shape or is_inside(index, input, dim % input.dim()))
        and index.numel()
    ):
        explain.gather(input, dim, index)
        if not index.numel():
            return torch.gather(input, dim, index)  # which looks at nothing else
        index = index.long()
    return _gather(input, index, DimOptions(dim % max(input.dim(), 1)))


def is_inside(index: Tensor, input: Tensor, dim: int) -> bool:
    """Whether index has input's axes and is at most as large, apart from dim."""
    sizes = zip(index.shape, input.shape, strict=False)
    return index.dim() == input.dim() and all(size <= limit or d == dim for d, (size, limit) in enumerate(sizes))


def check_first(max_norm: float | None, index: Tensor, weight: Tensor) -> None:
    """ValueError where torch's own would shrink rows in place before it meets a wrong index: ours looks at indices first."""
    if max_norm is not None and backends.current() is None and weight.is_cpu and not unknown((index, weight)):
        raise ValueError("ours looks at the indices first")


def _own(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """torch's, where nothing needs its Python function without that."""
    if padding_idx is None and max_norm is None and type(input) is Tensor and type(weight) in PLAIN:
        return torch.embedding(weight, input, -1, scale_grad_by_freq, sparse)
    check_first(max_norm, input, weight)
    return _embedding.op.torch(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)


@or_torch(_own, _embedding.op, explain=explain.embedding, by=1)
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
    if not (
        isinstance(input, Tensor)
        and isinstance(weight, Tensor)
        and input.dtype is torch.int64
        and weight.device == input.device
        and weight.dim() == 2
        and (padding_idx is None or type(padding_idx) is int and -weight.shape[0] <= padding_idx < weight.shape[0])
        and max_norm is None
    ):
        explain.embedding(input, weight, padding_idx, max_norm)
        input = input.long()
        if max_norm is not None:  # torch's writes to the weight: no gradient, no tangent
            torch.embedding_renorm_(weight.detach(), input.contiguous(), max_norm, norm_type)
    padding = -1 if padding_idx is None or not weight.shape[0] else padding_idx % weight.shape[0]
    if sparse or torch_runs(weight, _embedding.op):
        return torch.embedding(weight, input, padding, scale_grad_by_freq, sparse)
    return _embedding(weight, input, EmbeddingOptions(padding, scale_grad_by_freq))
