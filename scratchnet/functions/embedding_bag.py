"""Sums, means and maxima of rows: of a table by index, bag by bag, and of a tensor by segments."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.utils._python_dispatch import _disable_current_modes

from scratchnet.functions.checks import is_float
from scratchnet.functions.dispatch import PLAIN, Function, Operator, gradients, or_torch
from scratchnet.functions.explain import embedding_bag as explain
from scratchnet.functions.gather import check_first
from scratchnet.ops.embedding_bag import MODES, EmbeddingBagOptions
from scratchnet.ops.scatter import INDEX_ADD


class EmbeddingBag(Function):
    """y[b] = sum of scale[p] weight[index[p]] over bag b; dweight adds grad up by index, dscale[p] = grad[b] . weight[i]."""

    @staticmethod
    def forward(ctx, kernel, weight, index, offsets, scale, options):
        ctx.kernel, ctx.options = kernel, options
        y, which = kernel.forward(weight, index, offsets, scale, options)
        ctx.save_for_backward(weight, index, offsets, scale, which)
        return y

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


_embedding_bag = Operator("embedding_bag", EmbeddingBag)


@functools.lru_cache(maxsize=64)
def _kept_starts(bags: int, size: int) -> Tensor:
    """Where each of few bags begins, made once, as making them takes as long as the sums do: only torch's own reads them.

    A plain tensor, whatever mode the first call is in.
    """
    with torch.inference_mode(False), _disable_current_modes():
        return torch.arange(0, bags * size, size, dtype=torch.int64, device="cpu")


def _own(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """torch's, where nothing needs its Python function without that: its checks take as long as the sum of a row."""
    if type(input) is Tensor and type(weight) in PLAIN and weight.dim() == 2 and per_sample_weights is None and mode in MODES:
        options = False, MODES.index(mode), False, None
        if sparse or scale_grad_by_freq or max_norm is not None:
            pass
        elif type(offsets) is Tensor:
            if input.dim() == offsets.dim() == 1:
                return torch.embedding_bag(weight, input, offsets, *options, include_last_offset, padding_idx)[0]
        elif offsets is None and input.dim() == 2 and not input.is_nested:
            bags, size = input.shape
            if type(bags) is int and bags <= 64 and size and input.dtype is torch.int64 and input.is_cpu and not is_compiling():
                starts = _kept_starts(bags, size)
            else:
                starts = torch.arange(0, bags * size, size, dtype=input.dtype, device=input.device)
            return torch.embedding_bag(weight, input.reshape(-1), starts, *options, False, padding_idx)[0]
    check_first(max_norm, input, weight)
    options = (max_norm, norm_type, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding_idx)
    return _embedding_bag.op.torch(input, weight, offsets, *options)


@or_torch(_own, _embedding_bag.op, explain=explain.embedding_bag, by=1)
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or max of the rows of weight (V, D) that each bag names: (B, D); zeros for an empty bag.

    input: int64 or int32 from 0 to V - 1; (B, N), a bag in each row, or (N,) with offsets (B,), where each bag begins, rising
    from 0; with include_last_offset (B + 1,), the last one an end. per_sample_weights: of input's shape, factors in a sum.
    padding_idx: entries that count as absent. The maximum is the first of equals. max_norm, scale_grad_by_freq and sparse are
    torch's own. RuntimeError for an entry or an offset that is out of range, ValueError for shapes and options that do not
    fit, NotImplementedError for weights without a sum.
    torch.nn.functional.embedding_bag.
    """
    if not (
        isinstance(input, Tensor)
        and is_float(weight)
        and input.dtype is torch.int64
        and weight.device == input.device
        and weight.dim() == 2
        and (
            input.dim() == 2
            and offsets is None
            or input.dim() == 1
            and isinstance(offsets, Tensor)
            and offsets.dtype is torch.int64
            and offsets.dim() == 1
            and offsets.numel()
        )
        and input.numel()
        and (
            per_sample_weights is None
            or isinstance(per_sample_weights, Tensor)
            and mode == "sum"
            and per_sample_weights.shape == input.shape
            and per_sample_weights.dtype is weight.dtype
        )
        and (padding_idx is None or type(padding_idx) is int and -weight.shape[0] <= padding_idx < weight.shape[0])
        and mode in MODES
        and not (sparse or scale_grad_by_freq or max_norm is not None)
    ):
        options = (max_norm, norm_type, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding_idx)
        explain.embedding_bag(input, weight, offsets, *options)
        ours = explain.is_index(input, offsets) and is_float(weight) and input.numel()
        if not ours or sparse or scale_grad_by_freq or max_norm is not None:
            return _embedding_bag.op.torch(input, weight, offsets, *options)
        input, offsets = input.long(), offsets if offsets is None else offsets.long()
    n, scale = input.numel(), per_sample_weights
    if offsets is None:
        offsets = torch.arange(0, n + 1, input.shape[1], device=input.device)
        input, scale = input.reshape(-1), scale if scale is None else scale.reshape(-1)
    elif not include_last_offset:
        offsets = torch.cat((offsets, offsets.new_full((1,), n)))
    padding = -1 if padding_idx is None else padding_idx % weight.shape[0]
    chosen = EmbeddingBagOptions(MODES.index(mode), padding)
    return _embedding_bag(weight, input, offsets, scale, chosen)


def _own_segments(data: Tensor, *args, **options) -> Tensor:
    """torch's, unless it would read past data."""
    offsets = options.get("offsets")
    if type(offsets) is Tensor and offsets.numel() and (offsets[0] < 0 or offsets[-1] > data.shape[0]):
        raise ValueError("ours explains it")
    return torch.segment_reduce(data, *args, **options)


@or_torch(_own_segments, INDEX_ADD)  # whose figures stand for these: sums of rows by index, too
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Tensor:
    """The sum or mean of each segment of data (N, ...) along its first axis: (S, ...), in data's dtype.

    lengths (S,), which add up to N, or offsets (S + 1,), rising, from 0 to N at most: int64. The sum of an empty segment is 0,
    its mean NaN. RuntimeError for others. Other axes, reductions and initial are torch's own. torch.segment_reduce.
    """
    own = {"lengths": lengths, "indices": indices, "offsets": offsets, "axis": axis, "unsafe": unsafe, "initial": initial}
    given = lengths if offsets is None else offsets
    if not (
        is_float(data)
        and data.dim()
        and data.numel()
        and reduce in ("sum", "mean")
        and type(axis) is int
        and axis == 0
        and indices is None
        and initial is None
        and (lengths is None) != (offsets is None)
        and isinstance(given, Tensor)
        and given.dtype is torch.int64
        and given.dim() == 1
        and given.numel()
        and given.device == data.device
        and not torch.compiler.is_compiling()
    ):
        return torch.segment_reduce(data, reduce, **{name: value for name, value in own.items() if value is not None})
    if offsets is None:
        offsets = torch.cat((given.new_zeros(1), given.cumsum(0)))
    sizes, first, last = offsets.diff(), int(offsets[0]), int(offsets[-1])
    if first < 0 or last > data.shape[0] or lengths is not None and last < data.shape[0] or bool((sizes < 0).any()):
        explain.segment_reduce(data, lengths, offsets)
    rows = data[first:last].reshape(last - first, data[0].numel())
    index = torch.arange(last - first, device=data.device)
    y = _embedding_bag(rows, index, offsets - first, None, EmbeddingBagOptions(MODES.index(reduce), -1))
    if reduce == "mean":
        y = y.masked_fill((sizes == 0).unsqueeze(1), torch.nan)
    return y.view(-1, *data.shape[1:])
