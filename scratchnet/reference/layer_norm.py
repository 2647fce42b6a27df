"""LayerNorm and RMSNorm in plain PyTorch, over the last `ndim` axes; derived in `scratchnet.oracle.layer_norm`.

The backwards recompute the statistics from x: the saved ones are constants to autograd.
"""

from __future__ import annotations

from torch import Tensor

from scratchnet.ops.layer_norm import NormOptions
from scratchnet.reference import widen


def _mean(x: Tensor, ndim: int) -> Tensor:
    """Mean over the last `ndim` axes, kept with size 1."""
    return x.mean(tuple(range(-ndim, 0)), keepdim=True)


def layer_norm_forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, options: NormOptions
) -> tuple[Tensor, Tensor, Tensor]:
    """y (shape of x), mean and rstd (..., 1 * ndim); weight and bias have the shape of the last `ndim` axes."""
    ndim, eps = options
    wide = widen(x)
    mean = _mean(wide, ndim)
    rstd = (_mean((wide - mean) ** 2, ndim) + eps).rsqrt()
    y = (wide - mean) * rstd
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.to(x.dtype), mean, rstd


def layer_norm_backward(
    grad: Tensor,
    x: Tensor,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    options: NormOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """dx (shape of x), dweight and dbias (the last `ndim` axes) of `layer_norm_forward`."""
    ndim, eps = options
    h, _, rstd = layer_norm_forward(widen(x), None, None, options)
    grad = widen(grad)
    a = grad if weight is None else grad * weight
    dx = (rstd * (a - _mean(a, ndim) - h * _mean(a * h, ndim))).to(x.dtype) if need_x else None
    dweight = (grad * h).sum_to_size(x.shape[-ndim:]).to(x.dtype) if need_weight else None
    dbias = grad.sum_to_size(x.shape[-ndim:]).to(x.dtype) if need_bias else None
    return dx, dweight, dbias


def rms_norm_forward(x: Tensor, weight: Tensor | None, options: NormOptions) -> tuple[Tensor, Tensor]:
    """y (shape of x) and rstd (..., 1 * ndim)."""
    wide = widen(x)
    rstd = (_mean(wide**2, options.ndim) + options.eps).rsqrt()
    y = wide * rstd
    return (y if weight is None else y * weight).to(x.dtype), rstd


def rms_norm_backward(
    grad: Tensor,
    x: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    options: NormOptions,
    need_x: bool,
    need_weight: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """dx (shape of x) and dweight (the last `ndim` axes) of `rms_norm_forward`."""
    ndim, eps = options
    h, rstd = rms_norm_forward(widen(x), None, options)
    grad = widen(grad)
    a = grad if weight is None else grad * weight
    dx = (rstd * (a - h * _mean(a * h, ndim))).to(x.dtype) if need_x else None
    dweight = (grad * h).sum_to_size(x.shape[-ndim:]).to(x.dtype) if need_weight else None
    return dx, dweight


def add_layer_norm_forward(
    x: Tensor, residual: Tensor, weight: Tensor | None, bias: Tensor | None, options: NormOptions
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """total = x + residual (rounded: it is an output), then y, mean and rstd of its LayerNorm."""
    total = x + residual
    return total, *layer_norm_forward(total, weight, bias, options)


def add_layer_norm_backward(
    grad_total: Tensor,
    grad_y: Tensor,
    total: Tensor,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    options: NormOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """d(total), which x and residual share, dweight and dbias."""
    wide, dtype = widen(total), total.dtype
    dx, dweight, dbias = layer_norm_backward(grad_y, wide, mean, rstd, weight, options, need_x, need_weight, need_bias)
    dx = (grad_total + dx).to(dtype) if need_x else None
    return dx, dweight.to(dtype) if need_weight else None, dbias.to(dtype) if need_bias else None
