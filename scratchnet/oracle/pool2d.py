"""Pooling in float64 NumPy: one number for each window of x (..., H, W).

Maximum:  y = x[index], the arg-max of the window: a gather; so dx is its transpose, the scatter-add of gather.py
Average:  y = sum of the window / divisor; so every entry of the window gets dy / divisor, and overlapping windows add up

Windows are given by the places of their taps in the flattened plane, (windows, taps), and by which of them lie inside: the
padding is never read. Without an adaptive size, tap k of window o lies at o * stride - padding + k * dilation.
"""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from scratchnet.ops import DimOptions
from scratchnet.ops.pool2d import AdaptivePoolOptions, AvgPoolOptions, MaxPoolOptions
from scratchnet.oracle.gather import gather_backward


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows fit along an axis; ceil_mode admits one that reaches beyond its end, but none that begins beyond it."""
    reach = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (reach + (stride - 1 if ceil_mode else 0)) // stride + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


def _regular(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> np.ndarray:
    """(windows, taps): places along an axis, some of them outside."""
    start = np.arange(output_size(size, kernel, stride, padding, dilation, ceil_mode)) * stride - padding
    return start[:, None] + np.arange(kernel) * dilation


def _adaptive(size: int, out: int) -> np.ndarray:
    """(out, taps): from floor(o size / out) to ceil((o + 1) size / out); taps past the end of a window lie at -1, outside."""
    begin, end = np.arange(out) * size // out, -(-np.arange(1, out + 1) * size // out)
    taps = begin[:, None] + np.arange((end - begin).max(initial=0))
    return np.where(taps < end[:, None], taps, -1)


def _plane(rows: np.ndarray, columns: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(windows, taps) of the plane from those of its axes: where they lie, or the nearest place, and which are inside."""
    (height, width), (o, k), (p, q) = shape[-2:], rows.shape, columns.shape
    inside = ((0 <= rows) & (rows < height))[:, None, :, None] & ((0 <= columns) & (columns < width))[None, :, None, :]
    at = rows.clip(0, height - 1)[:, None, :, None] * width + columns.clip(0, width - 1)[None, :, None, :]
    return at.reshape(o * p, k * q), inside.reshape(o * p, k * q)


def _taps(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(..., windows, taps)"""
    return x.reshape(*x.shape[:-2], math.prod(x.shape[-2:]))[..., at]


def max_pool2d_forward(
    x: np.ndarray,
    options: MaxPoolOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """y and index (..., out_h, out_w) of x (..., H, W): the largest entry of each window and its place in the flattened plane.

    Of equal entries the first wins, but a NaN wins over all, and the last NaN over the others, as in torch.
    """
    kernel_size, stride, padding, dilation, ceil_mode = options
    axes = zip(x.shape[-2:], kernel_size, stride, padding, dilation, strict=True)
    rows, columns = (_regular(*axis, ceil_mode) for axis in axes)
    at, inside = _plane(rows, columns, x.shape)
    values = np.where(inside, _taps(x, at), -np.inf)  # (..., windows, taps)
    top = values.max(axis=-1, keepdims=True)
    first = ((values == top) & inside).argmax(axis=-1)
    last_nan = at.shape[1] - 1 - np.isnan(values)[..., ::-1].argmax(axis=-1)
    best = np.where(np.isnan(top[..., 0]), last_nan, first)
    shape = (*x.shape[:-2], len(rows), len(columns))
    return top.reshape(shape), at[np.arange(len(at)), best].reshape(shape)


def max_pool2d_backward(grad: np.ndarray, shape: Sequence[int], index: np.ndarray) -> np.ndarray:
    """dx, of the given shape."""
    lines = math.prod(shape[:-2])
    lines_of = lambda a: a.reshape(lines, math.prod(a.shape[-2:]))
    return gather_backward(lines_of(grad), (lines, shape[-2] * shape[-1]), lines_of(index), DimOptions(1)).reshape(shape)


def _average(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    at, inside = _plane(rows, columns, x.shape)
    sums = np.where(inside, _taps(x, at), 0).sum(axis=-1)
    return sums.reshape(*x.shape[:-2], len(rows), len(columns)) / divisor


def _spread(grad: np.ndarray, shape: Sequence[int], rows: np.ndarray, columns: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """The transpose of `_average`."""
    at, inside = _plane(rows, columns, shape)
    share = (grad / divisor).reshape(*shape[:-2], len(at), 1)
    dx = np.zeros((*shape[:-2], shape[-2] * shape[-1]))
    np.add.at(dx, (..., at), np.where(inside, share, 0))
    return dx.reshape(shape)


def _windows(shape: Sequence[int], options: AvgPoolOptions) -> tuple:
    """The taps of both axes and the divisor of every window (out_h, out_w) of avg_pool2d."""
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override = options
    axes, counts = [], []
    for size, kernel, step, pad in zip(shape[-2:], kernel_size, stride, padding, strict=True):
        taps = _regular(size, kernel, step, pad, 1, ceil_mode)
        low, high = (-pad, size + pad) if count_include_pad else (0, size)  # a window beyond the padding is cut off there
        axes.append(taps)
        counts.append(((low <= taps) & (taps < high)).sum(axis=1))
    return *axes, divisor_override or np.outer(*counts)


@np.errstate(all="ignore")
def avg_pool2d_forward(
    x: np.ndarray,
    options: AvgPoolOptions,
) -> np.ndarray:
    """The mean of each window of x (..., H, W): (..., out_h, out_w); divisor_override 0 means none."""
    return _average(x, *_windows(x.shape, options))


@np.errstate(all="ignore")
def avg_pool2d_backward(
    grad: np.ndarray,
    shape: Sequence[int],
    options: AvgPoolOptions,
) -> np.ndarray:
    """dx, of the given shape."""
    return _spread(grad, shape, *_windows(shape, options))


def _adaptive_windows(shape: Sequence[int], output_size: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    axes = [_adaptive(size, out) for size, out in zip(shape[-2:], output_size, strict=True)]
    return *axes, np.outer(*((taps >= 0).sum(axis=1) for taps in axes))


@np.errstate(all="ignore")
def adaptive_avg_pool2d_forward(x: np.ndarray, options: AdaptivePoolOptions) -> np.ndarray:
    """The means of the windows that divide x (..., H, W) into output_size rows and columns: (..., *output_size)."""
    return _average(x, *_adaptive_windows(x.shape, options.output_size))


@np.errstate(all="ignore")
def adaptive_avg_pool2d_backward(grad: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """dx, of the given shape."""
    return _spread(grad, shape, *_adaptive_windows(shape, grad.shape[-2:]))
