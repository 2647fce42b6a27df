"""BatchNorm in float64 NumPy: the channels of x (N, C, ...), M numbers each, over the batch and all positions.

Forward:   m = mean(x),  v = mean((x - m)^2)  (biased),  r = 1 / sqrt(v + eps),  h = (x - m) r,  y = h w + b
Backward:  dw = sum of g h,  db = sum of g  with g = dL/dy. A channel is to batch norm what a row is to layer norm (derived in
layer_norm.py), and w is one number for the whole channel, so it comes out as a factor:

    dx = w r (g - mean(g) - h mean(g h)) = w r (g - db / M - h dw / M)

With running statistics, m and v are constants: x reaches y in one way only, dx = w r g.
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops.batch_norm import BatchNormOptions


def _axes(x: np.ndarray) -> tuple[int, ...]:
    """All but the channels."""
    return (0, *range(2, x.ndim))


def _per_channel(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(C) as (C, 1, ...), which lines up with the channels of x."""
    return a.reshape(-1, *(1,) * (x.ndim - 2))


def _mean(x: np.ndarray) -> np.ndarray:
    """(C); NaN for no numbers (np.mean would warn)."""
    return x.sum(axis=_axes(x)) / np.float64(x.size // max(x.shape[1], 1))


@np.errstate(all="ignore")
def batch_norm_forward(
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    options: BatchNormOptions,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y (shape of x), mean and var (C) that it was normalised with: the running ones if given, else those of x."""
    if running_mean is None:
        mean = _mean(x)
        var = _mean((x - _per_channel(mean, x)) ** 2)
    else:
        mean, var = running_mean.copy(), running_var.copy()
    y = (x - _per_channel(mean, x)) / _per_channel(np.sqrt(var + options.eps), x)
    if weight is not None:
        y = y * _per_channel(weight, x)
    if bias is not None:
        y = y + _per_channel(bias, x)
    return y, mean, var


@np.errstate(all="ignore")
def batch_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    var: np.ndarray,
    options: BatchNormOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """dx (shape of x), dweight and dbias (C) of `batch_norm_forward`; training: the statistics were those of x."""
    training, eps = options
    running = (None, None) if training else (mean, var)  # the saved ones may be rounded to float32
    h, _, var = batch_norm_forward(x, None, None, *running, options)
    dweight, dbias = (grad * h).sum(axis=_axes(x)), grad.sum(axis=_axes(x))
    dx = None
    if need_x:
        through = _per_channel(_mean(grad), x) + h * _per_channel(_mean(grad * h), x) if training else 0
        scale = 1 / np.sqrt(var + eps)
        dx = _per_channel(scale if weight is None else scale * weight, x) * (grad - through)
    return dx, dweight if need_weight else None, dbias if need_bias else None
