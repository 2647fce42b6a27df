"""Pooling in plain PyTorch: every window given by the places of its taps; see `scratchnet.oracle.pool2d`."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.ops import DimOptions
from scratchnet.ops.pool2d import AdaptivePoolOptions, AvgPoolOptions, MaxPoolOptions
from scratchnet.oracle.pool2d import output_size
from scratchnet.reference import widen
from scratchnet.reference.gather import gather_backward


def _regular(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool, like: Tensor) -> Tensor:
    """(windows, taps): places along an axis, some of them outside."""
    count = output_size(size, kernel, stride, padding, dilation, ceil_mode)
    start = torch.arange(count, device=like.device) * stride - padding
    return start.unsqueeze(1) + torch.arange(kernel, device=like.device) * dilation


def _adaptive(size: int, out: int, like: Tensor) -> Tensor:
    """(out, taps): from floor(o size / out) to ceil((o + 1) size / out); taps past the end of a window lie at -1, outside."""
    o = torch.arange(out, device=like.device)
    begin, end = o * size // out, ((o + 1) * size + out - 1) // out
    taps = begin.unsqueeze(1) + torch.arange((size - 1) // max(out, 1) + 2, device=like.device)  # the most that any has
    return taps.where(taps < end.unsqueeze(1), -1)


def _plane(rows: Tensor, columns: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """(windows, taps) of the plane from those of its axes: where they lie, or the nearest place, and which are inside."""
    inside = ((0 <= rows) & (rows < height))[:, None, :, None] & ((0 <= columns) & (columns < width))[None, :, None, :]
    at = rows.clamp(0, height - 1)[:, None, :, None] * width + columns.clamp(0, width - 1)[None, :, None, :]
    return at.flatten(2).flatten(0, 1), inside.flatten(2).flatten(0, 1)


def _taps(x: Tensor, at: Tensor) -> Tensor:
    """(..., windows, taps)"""
    return x.flatten(-2).index_select(-1, at.flatten()).unflatten(-1, at.shape)


def max_pool2d_forward(
    x: Tensor,
    options: MaxPoolOptions,
) -> tuple[Tensor, Tensor]:
    """y and index (..., out_h, out_w) of x (..., H, W): the largest entry of each window and its place in the plane."""
    kernel_size, stride, padding, dilation, ceil_mode = options
    axes = zip(x.shape[-2:], kernel_size, stride, padding, dilation, strict=True)
    rows, columns = (_regular(*axis, ceil_mode, x) for axis in axes)
    at, inside = _plane(rows, columns, *x.shape[-2:])
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    values = _taps(x, at).masked_fill(~inside, lowest)  # (..., windows, taps)
    top = values.detach().amax(-1, keepdim=True)
    first = ((values == top) & inside).int().argmax(-1)
    last_nan = at.shape[1] - 1 - values.isnan().int().flip(-1).argmax(-1)
    best = last_nan.where(top.squeeze(-1).isnan(), first).unsqueeze(-1)  # (..., windows, 1)
    shape = (rows.shape[0], columns.shape[0])
    index = at.expand(*best.shape[:-1], at.shape[1]).gather(-1, best)
    return values.gather(-1, best).squeeze(-1).unflatten(-1, shape), index.squeeze(-1).unflatten(-1, shape)


def max_pool2d_backward(grad: Tensor, shape: list[int], index: Tensor) -> Tensor:
    """dx, of the given shape."""
    plane = [*shape[:-2], shape[-2] * shape[-1]]
    return gather_backward(grad.flatten(-2), plane, index.flatten(-2), DimOptions(-1)).view(shape)


def _average(x: Tensor, rows: Tensor, columns: Tensor, divisor: Tensor | int) -> Tensor:
    at, inside = _plane(rows, columns, *x.shape[-2:])
    sums = _taps(widen(x), at).masked_fill(~inside, 0).sum(-1).unflatten(-1, (rows.shape[0], columns.shape[0]))
    if x.is_floating_point():
        return (sums / divisor).to(x.dtype)
    return sums.div(divisor, rounding_mode="trunc").to(x.dtype)


def _spread(grad: Tensor, shape: list[int], rows: Tensor, columns: Tensor, divisor: Tensor | int) -> Tensor:
    """The transpose of `_average`."""
    at, inside = _plane(rows, columns, *shape[-2:])
    share = (widen(grad) / divisor).flatten(-2).unsqueeze(-1)  # (..., windows, 1)
    share = share.where(inside, 0.0).flatten(-2)
    dx = share.new_zeros([*shape[:-2], shape[-2] * shape[-1]])
    return dx.index_add(-1, at.flatten(), share).view(shape).to(grad.dtype)


def _windows(shape: list[int], options: AvgPoolOptions, like: Tensor) -> tuple:
    """The taps of both axes and the divisor of every window (out_h, out_w) of avg_pool2d."""
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override = options
    axes, counts = [], []
    for size, kernel, step, pad in zip(shape[-2:], kernel_size, stride, padding, strict=True):
        taps = _regular(size, kernel, step, pad, 1, ceil_mode, like)
        low, high = (-pad, size + pad) if count_include_pad else (0, size)  # a window beyond the padding is cut off there
        axes.append(taps)
        counts.append(((low <= taps) & (taps < high)).sum(1))
    return *axes, divisor_override or counts[0].unsqueeze(1) * counts[1]


def avg_pool2d_forward(
    x: Tensor,
    options: AvgPoolOptions,
) -> Tensor:
    """The mean of each window of x (..., H, W): (..., out_h, out_w); divisor_override 0 means none."""
    return _average(x, *_windows(x.shape, options, x))


def avg_pool2d_backward(
    grad: Tensor,
    shape: list[int],
    options: AvgPoolOptions,
) -> Tensor:
    """dx, of the given shape."""
    return _spread(grad, shape, *_windows(shape, options, grad))


def _adaptive_windows(shape: list[int], output_size: list[int], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = (_adaptive(size, out, like) for size, out in zip(shape[-2:], output_size, strict=True))
    return rows, columns, (rows >= 0).sum(1).unsqueeze(1) * (columns >= 0).sum(1)


def adaptive_avg_pool2d_forward(x: Tensor, options: AdaptivePoolOptions) -> Tensor:
    """The means of the windows that divide x (..., H, W) into output_size rows and columns: (..., *output_size)."""
    return _average(x, *_adaptive_windows(x.shape, options.output_size, x))


def adaptive_avg_pool2d_backward(grad: Tensor, shape: list[int]) -> Tensor:
    """dx, of the given shape."""
    return _spread(grad, shape, *_adaptive_windows(shape, grad.shape[-2:], grad))
