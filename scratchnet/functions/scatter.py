"""Sums by index: the transposes of gather and of an embedding, added to what is there."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import is_float
from scratchnet.functions.dispatch import Function, Operator, fastest_first, wanted
from scratchnet.functions.explain import scatter as explain
from scratchnet.functions.gather import is_inside
from scratchnet.ops import DimOptions
from scratchnet.torch_private import tracing


class Scatter(Function):
    """y = x, then y[index[i, j], j] += src[i, j] along dim 0, likewise along any dim, or whole rows; dsrc is grad gathered."""

    @staticmethod
    def forward(ctx, kernel, x, src, index, *options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(index)
        return kernel.forward(x, src, index, *options)

    @staticmethod
    def backward(ctx, grad):
        _, need_x, need_src, *others = wanted(ctx)
        dsrc = ctx.kernel.backward(grad, *ctx.saved_tensors, *ctx.options) if need_src else None
        return None, grad if need_x else None, dsrc, *[None] * len(others)


_scatter_add = Operator("scatter_add", Scatter)
_index_add = Operator("index_add", Scatter)


@fastest_first("scatter_add", explain=explain.scatter_add)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input, with src[i][j] added to its entry [index[i][j]][j] for dim 0, likewise along any dim: the transpose of gather.

    index: int64 or int32, as many axes as input, along the others at most as large, nowhere larger than src; every entry from 0
    to input.shape[dim] - 1. What is added to an entry is added in the order of the index, the same bits on any number of
    threads. src has input's dtype. RuntimeError if shapes, dtypes or entries of index do not fit; IndexError for a dim that
    input does not have. torch.scatter_add; out is torch's own.
    """
    if not (
        _alike(input, index, src)
        and type(dim) is int
        and -input.dim() <= dim < input.dim()
        and is_inside(index, input, dim % input.dim())
        and (index.shape == src.shape or is_inside(index, src, -1))
        and index.numel()
        and out is None
    ):
        explain.scatter_add(input, dim, index, src)
        if out is not None or not is_float(input) or not index.numel():
            return torch.scatter_add(input, dim, index, src, **{"out": out} if out is not None else {})
        index = index.long()
    dim %= max(input.dim(), 1)
    if index.shape != src.shape:
        whole = src if src.dim() == index.dim() else src.reshape(-1)  # a scalar counts as (1,)
        src = whole[tuple(map(slice, index.shape))] if index.dim() else whole[0]
    if input.dim() > 1 and not tracing() and not torch.compiler.is_exporting() and _names_rows(index, input, dim):
        return _add_rows(input, dim, index[tuple(slice(None) if d == dim else 0 for d in range(index.dim()))], src)
    return _scatter_add(input, src, index, DimOptions(dim))


@fastest_first("index_add", explain=explain.index_add)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1, out: Tensor | None = None) -> Tensor:
    """input, with alpha times slice i of source along dim added to its slice index[i]; in input's shape and dtype.

    index (I,): int64 or int32, every entry from 0 to input.shape[dim] - 1. source has input's dtype and shape, but I entries
    along dim. What is added to a slice is added in the order of the index, the same bits on any number of threads.
    RuntimeError if shapes, dtypes or entries of index do not fit, IndexError for a dim that input does not have or an index of
    more than one axis. torch.index_add; out is torch's own.
    """
    if not (
        _alike(input, index, source)
        and type(dim) is int
        and -input.dim() <= dim < input.dim()
        and index.dim() == 1
        and source.dim() == input.dim()
        and all(size == (index.shape[0] if d == dim % input.dim() else input.shape[d]) for d, size in enumerate(source.shape))
        and type(alpha) in (int, float)
        and input.numel()
        and index.numel()
        and out is None
    ):
        explain.index_add(input, dim, index, source, alpha)
        if out is not None or not is_float(input) or not input.dim() or not input.numel() or not index.numel():
            return torch.index_add(input, dim, index, source, alpha=alpha, **{"out": out} if out is not None else {})
        index = index.long().reshape(-1)
    if alpha != 1:
        source = source * alpha
    return _add_rows(input, dim % input.dim(), index, source)


def _alike(input: Tensor, index: Tensor, src: Tensor) -> bool:
    """Whether these are floats of one dtype and an int64 index, on one device."""
    return (
        is_float(input)
        and isinstance(src, Tensor)
        and isinstance(index, Tensor)
        and src.dtype is input.dtype
        and index.dtype is torch.int64
        and index.device == src.device == input.device
    )


def _names_rows(index: Tensor, input: Tensor, dim: int) -> bool:
    """Whether an index of every line and column is the same for all of them, as memory shows: it was expanded.

    A recorded graph must not depend on it.
    """
    others = [d for d in range(index.dim()) if d != dim]
    return all(index.shape[d] == input.shape[d] and (index.stride(d) == 0 or index.shape[d] == 1) for d in others)


def _add_rows(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    if input.dim() == 1:
        return _scatter_add(input, src, index, DimOptions(0))
    if dim == 0:
        return _index_add(input, src, index)
    return _index_add(input.movedim(dim, 0), src.movedim(dim, 0), index).movedim(0, dim).contiguous()
