"""LayerNorm and RMSNorm in float64 NumPy, over the last `ndim` axes: D numbers per row.

LayerNorm:  m = mean(x),  v = mean((x - m)^2)  (biased),  r = 1 / sqrt(v + eps),  h = (x - m) r,  y = h w + b
Backward:   with g = dL/dy and a = g w = dL/dh. x_i reaches h_j in three ways, directly, through m and through r:

    dh_j/dx_i = r (delta_ij - 1/D - h_i h_j / D)      since dr/dx_i = -r^3 (x_i - m) / D = -r^2 h_i / D
    dx = r (a - mean(a) - h mean(a h)),   dw = sum over rows of g h,   db = sum over rows of g

RMSNorm:    r = 1 / sqrt(mean(x^2) + eps),  h = x r,  y = h w: the same without the mean,  dx = r (a - h mean(a h)).
The backwards recompute the statistics: the saved ones may be rounded to float32.
"""

from __future__ import annotations

import math

import numpy as np

from scratchnet.ops.layer_norm import NormOptions


def _mean(x: np.ndarray, ndim: int) -> np.ndarray:
    """Mean over the last `ndim` axes, kept with size 1; NaN for a row of size 0 (np.mean would warn)."""
    axes = tuple(range(-ndim, 0))
    return x.sum(axis=axes, keepdims=True) / np.float64(math.prod(x.shape[-ndim:]))


def _sum_of_rows(x: np.ndarray, ndim: int) -> np.ndarray:
    return x.sum(axis=tuple(range(x.ndim - ndim)))


@np.errstate(all="ignore")
def layer_norm_forward(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, options: NormOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y (shape of x), mean and rstd (..., 1 * ndim); weight and bias have the shape of the last `ndim` axes."""
    ndim, eps = options
    mean = _mean(x, ndim)
    rstd = 1 / np.sqrt(_mean((x - mean) ** 2, ndim) + eps)
    y = (x - mean) * rstd
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y, mean, rstd


@np.errstate(all="ignore")
def layer_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    weight: np.ndarray | None,
    options: NormOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """dx (shape of x), dweight and dbias (the last `ndim` axes) of `layer_norm_forward`."""
    ndim, eps = options
    _, mean, rstd = layer_norm_forward(x, None, None, options)
    h = (x - mean) * rstd
    a = grad if weight is None else grad * weight
    dx = rstd * (a - _mean(a, ndim) - h * _mean(a * h, ndim)) if need_x else None
    dweight = _sum_of_rows(grad * h, ndim) if need_weight else None
    dbias = _sum_of_rows(grad, ndim) if need_bias else None
    return dx, dweight, dbias


@np.errstate(all="ignore")
def rms_norm_forward(x: np.ndarray, weight: np.ndarray | None, options: NormOptions) -> tuple[np.ndarray, np.ndarray]:
    """y (shape of x) and rstd (..., 1 * ndim)."""
    rstd = 1 / np.sqrt(_mean(x**2, options.ndim) + options.eps)
    y = x * rstd
    return y if weight is None else y * weight, rstd


@np.errstate(all="ignore")
def rms_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    rstd: np.ndarray,
    weight: np.ndarray | None,
    options: NormOptions,
    need_x: bool,
    need_weight: bool,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """dx (shape of x) and dweight (the last `ndim` axes) of `rms_norm_forward`."""
    ndim, eps = options
    h, rstd = rms_norm_forward(x, None, options)
    a = grad if weight is None else grad * weight
    dx = rstd * (a - h * _mean(a * h, ndim)) if need_x else None
    dweight = _sum_of_rows(grad * h, ndim) if need_weight else None
    return dx, dweight


@np.errstate(all="ignore")
def add_layer_norm_forward(
    x: np.ndarray, residual: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, options: NormOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """total = x + residual, then y, mean and rstd of its LayerNorm."""
    total = x + residual
    return total, *layer_norm_forward(total, weight, bias, options)


@np.errstate(all="ignore")
def add_layer_norm_backward(
    grad_total: np.ndarray,
    grad_y: np.ndarray,
    total: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    weight: np.ndarray | None,
    options: NormOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """d(total), which x and residual share, dweight, dbias: total is an output and the norm's input, so two paths add."""
    dx, dweight, dbias = layer_norm_backward(grad_y, total, mean, rstd, weight, options, need_x, need_weight, need_bias)
    return None if dx is None else grad_total + dx, dweight, dbias
