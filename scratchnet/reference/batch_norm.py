"""BatchNorm in plain PyTorch, x (N, C, ...); derived in `scratchnet.oracle.batch_norm`.

The backward recomputes the statistics of x: the saved ones are constants to autograd.
"""

from __future__ import annotations

from torch import Tensor

from scratchnet.ops.batch_norm import BatchNormOptions
from scratchnet.reference import widen


def _mean(x: Tensor) -> Tensor:
    """(C): the mean over all axes but the channels."""
    return x.mean((0, *range(2, x.dim())))


def _per_channel(t: Tensor, x: Tensor) -> Tensor:
    """(C) as (1, C, 1, ...)."""
    return t.view(1, -1, *(1,) * (x.dim() - 2))


def batch_norm_forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    options: BatchNormOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """y (shape of x), mean and var (C) that it was normalised with: the running ones if given, else those of x."""
    wide = widen(x)
    if running_mean is None:
        mean = _mean(wide)
        var = _mean((wide - _per_channel(mean, x)) ** 2)
    else:
        mean, var = widen(running_mean).clone(), widen(running_var).clone()
    y = (wide - _per_channel(mean, x)) * _per_channel((var + options.eps).rsqrt(), x)
    if weight is not None:
        y = y * _per_channel(weight, x)
    if bias is not None:
        y = y + _per_channel(bias, x)
    return y.to(x.dtype), mean, var


def batch_norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    var: Tensor,
    options: BatchNormOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """dx (shape of x), dweight and dbias (C) of `batch_norm_forward`; training: the statistics were those of x."""
    training, eps = options
    wide, grad, count = widen(x), widen(grad), x.numel() // max(x.shape[1], 1)
    if training:
        _, mean, var = batch_norm_forward(wide, None, None, None, None, options)
    rstd = (var + eps).rsqrt()
    h = (wide - _per_channel(mean, x)) * _per_channel(rstd, x)
    axes = (0, *range(2, x.dim()))
    dweight, dbias = (grad * h).sum(axes), grad.sum(axes)
    dx = None
    if need_x:
        dx = grad
        if training:
            dx = dx - _per_channel(dbias / count, x) - h * _per_channel(dweight / count, x)
        dx = (dx * _per_channel(rstd if weight is None else rstd * weight, x)).to(x.dtype)
    return dx, dweight.to(x.dtype) if need_weight else None, dbias.to(x.dtype) if need_bias else None
