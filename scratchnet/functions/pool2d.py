"""Pooling: the largest entry or the mean of every window of an image."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import is_float
from scratchnet.functions.dispatch import Function, Operator, fastest_first, gradients, or_torch
from scratchnet.functions.explain import pool2d as explain
from scratchnet.functions.explain.pool2d import Pair, is_int
from scratchnet.functions.layout import channels_last_like
from scratchnet.ops.pool2d import AdaptivePoolOptions, AvgPoolOptions, MaxPoolOptions
from scratchnet.oracle.pool2d import output_size as count_windows


class MaxPool2d(Function):
    """y = x[index], index the arg-max of the window in its plane; dx is grad added up where index points: scatter-add."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.shape = kernel, x.shape
        y, index = kernel.forward(x, options)
        ctx.save_for_backward(index)
        ctx.mark_non_differentiable(index)
        return y, index

    @staticmethod
    def backward(ctx, grad, _index):
        return gradients(ctx, grad, ctx.shape, *ctx.saved_tensors)


class AvgPool2d(Function):
    """y = sum of the window / divisor; every entry of the window gets grad / divisor."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.shape, ctx.options = kernel, x.shape, options
        return kernel.forward(x, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, ctx.shape, ctx.options)


class AdaptiveAvgPool2d(Function):
    """The same, the windows given by how many there are to be."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.shape = kernel, x.shape
        return kernel.forward(x, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, ctx.shape)


_max_pool2d = Operator("max_pool2d", MaxPool2d)
_avg_pool2d = Operator("avg_pool2d", AvgPool2d)
_adaptive_avg_pool2d = Operator("adaptive_avg_pool2d", AdaptiveAvgPool2d)


def _own_max(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """torch's, without its Python functions where nothing needs them: they take as long as a small image."""
    if return_indices or type(input) is not Tensor:
        return _max_pool2d.op.torch(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return torch.max_pool2d(input, kernel_size, () if stride is None else stride, padding, dilation, ceil_mode)


@or_torch(_own_max, _max_pool2d.op)
def max_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest entry of each window of input (N, C, H, W) or (C, H, W): (..., out_h, out_w), in input's dtype.

    out = floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, with ceil_mode rounded up unless that window
    began behind the image; stride is kernel_size unless given; the padding counts as -infinity. The first of equals wins, NaN
    wins over all. return_indices adds where the entries lie in their flattened planes, int64 of the same shape. RuntimeError if
    the windows do not fit, TypeError for other types, NotImplementedError for bool and complex input.
    torch.nn.functional.max_pool2d.
    """
    window = _window(input, kernel_size, stride, padding, dilation, ceil_mode)
    if window is None or input.dtype is torch.bool or input.is_complex():
        explain.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)
    y, index = _max_pool2d(input, MaxPoolOptions(*window, ceil_mode))
    y = channels_last_like(y, input)
    return (y, channels_last_like(index, input)) if return_indices else y


@fastest_first("avg_pool2d")
def avg_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of input (N, C, H, W) or (C, H, W): (..., out_h, out_w), in input's dtype.

    Sizes as in `max_pool2d`. The padding is zeros, which count unless count_include_pad is False; divisor_override takes the
    place of the number of entries. RuntimeError if the windows do not fit or the divisor is zero, TypeError for other types,
    NotImplementedError for other dtypes than floats and int64. torch.nn.functional.avg_pool2d.
    """
    window = _window(input, kernel_size, stride, padding, 1, ceil_mode)
    if not (
        window
        and (input.dtype is torch.int64 or is_float(input))
        and isinstance(ceil_mode, bool)
        and (divisor_override is None or isinstance(divisor_override, int) and divisor_override != 0)
    ):
        explain.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, divisor_override)
    kernel, stride, padding, _ = window
    options = AvgPoolOptions(kernel, stride, padding, ceil_mode, count_include_pad, divisor_override or 0)
    return channels_last_like(_avg_pool2d(input, options), input)


@fastest_first("adaptive_avg_pool2d")
def adaptive_avg_pool2d(input: Tensor, output_size: int | None | Sequence[int | None]) -> Tensor:
    """The means of windows that divide input (N, C, H, W) or (C, H, W) into output_size rows and columns: (..., *output_size).

    Window o of an axis reaches from floor(o size / out) to ceil((o + 1) size / out); None in output_size keeps an axis as it
    is. ValueError for an input of fewer than three axes, RuntimeError if sizes do not fit, NotImplementedError for a dtype that
    is no float. torch.nn.functional.adaptive_avg_pool2d.
    """
    sizes = _adaptive_sizes(input, output_size)
    if not (sizes and min(sizes) >= 0 and is_float(input) and input.dim() in (3, 4) and 0 not in input.shape[-2:]):
        explain.adaptive_avg_pool2d(input, output_size)
        return input.mean((-2, -1), keepdim=True)  # what is left is torch's mean: of complex numbers, of nothing, of more axes
    return channels_last_like(_adaptive_avg_pool2d(input, AdaptivePoolOptions(sizes)), input)


def _adaptive_sizes(input: Tensor, output_size: int | None | Sequence[int | None]) -> list[int] | None:
    """How many windows for rows and for columns."""
    wanted = (output_size, output_size) if is_int(output_size) else output_size
    if isinstance(input, Tensor) and input.dim() > 2 and isinstance(wanted, (tuple, list)) and len(wanted) == 2:
        if all(size is None or is_int(size) for size in wanted):
            return [size if out is None else out for out, size in zip(wanted, input.shape[-2:], strict=True)]
    return None


def _pair(value: Pair) -> list[int] | None:
    """The numbers for rows and for columns."""
    if type(value) is int:
        return [value, value]
    numbers = list(value) if isinstance(value, (tuple, list)) else [value]
    return numbers * (2 // len(numbers)) if len(numbers) in (1, 2) and all(map(is_int, numbers)) else None


def _window(input: Tensor, kernel_size, stride, padding, dilation, ceil_mode) -> list[list[int]] | None:
    """kernel_size, stride, padding and dilation as pairs; None unless the windows fit the image."""
    if stride is None or stride == () or stride == []:
        stride = kernel_size
    window = [_pair(value) for value in (kernel_size, stride, padding, dilation)]
    if None in window or not isinstance(input, Tensor) or input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        return None
    return window if all(_fits(*axis, ceil_mode) for axis in zip(input.shape[-2:], *window, strict=True)) else None


def _fits(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> bool:
    """Whether there are windows along an axis, and each of them sees an entry."""
    if min(kernel, stride, dilation) < 1 or not 0 <= padding <= (dilation * (kernel - 1) + 1) // 2:
        return False
    count = count_windows(size, kernel, stride, padding, dilation, ceil_mode)
    if dilation == 1 or count < 1:
        return count > 0
    begins = range(-padding, min(0, count * stride - padding), stride)  # of those that begin in the padding
    return all(begin % dilation < size for begin in begins)
