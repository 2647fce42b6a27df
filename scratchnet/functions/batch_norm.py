"""BatchNorm: every channel by its own statistics, those of the batch or those that ran along in training."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import HALVES, is_float
from scratchnet.functions.dispatch import Function, Operator, fastest_first, lined_up, needs
from scratchnet.functions.explain import batch_norm as explain
from scratchnet.ops.batch_norm import BatchNormOptions


class BatchNorm(Function):
    """y = (x - mean) rstd weight + bias;  dx = weight rstd (grad - mean(grad) - h mean(grad h)), h = (x - mean) rstd.

    The statistics are results as well, for the running ones, but nothing is differentiated through them. With running ones
    dx = weight rstd grad.
    """

    @staticmethod
    def forward(ctx, kernel, x, weight, bias, running_mean, running_var, options):
        ctx.kernel, ctx.options = kernel, options
        y, mean, var = kernel.forward(x, weight, bias, running_mean, running_var, options)
        ctx.save_for_backward(x, weight, mean, var)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx, grad, _mean, _var):
        return lined_up(ctx, *ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options, *needs(ctx)))


_batch_norm = Operator("batch_norm", BatchNorm)


@fastest_first("batch_norm")
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for every channel of input (N, C, ...); the other tensors are (C).

    training: with the mean and the biased variance of the batch, which move the running ones in place, if there are any:
    running += momentum * (batch - running), the variance unbiased. Otherwise with the running ones. The result has input's
    shape and dtype; a 16-bit input may come with float32 tensors. ValueError for one value per channel in training or an eps
    that is not positive, RuntimeError if shapes or dtypes do not fit. torch.nn.functional.batch_norm; https://arxiv.org/abs/1502.03167.
    """
    if not (
        is_float(input)
        and input.dim() > 1
        and all(value is None or _has_channels(value, input) for value in (running_mean, running_var, weight, bias))
        and (running_mean is None) == (running_var is None)
        and (input.numel() != input.shape[1] if training else running_mean is not None)
        and isinstance(momentum, (float, int, torch.SymFloat))
        and isinstance(eps, (float, int, torch.SymFloat))
        and (eps > 0 or eps == 0 and not training)
    ):
        explain.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if input.numel() == 0:  # nothing to normalise; weight and bias take part, for their gradients of zero
        y = input.clone()
        y = y if weight is None else y * weight[0]
        return y if bias is None else y + bias[0]
    if not training:
        return _batch_norm(input, weight, bias, running_mean, running_var, BatchNormOptions(False, eps))[0]
    y, mean, var = _batch_norm(input, weight, bias, None, None, BatchNormOptions(True, eps))
    if running_mean is not None:
        count = input.numel() // input.shape[1]
        with torch.no_grad():
            for running, now in ((running_mean, mean), (running_var, var * (count / (count - 1)))):
                if running.dtype == now.dtype:
                    running.mul_(1 - momentum).add_(now, alpha=momentum)
                else:  # 16-bit ones move in float32 and are rounded once
                    running.copy_(running.float().mul_(1 - momentum).add_(now, alpha=momentum))
    return y


def _has_channels(value: Tensor, input: Tensor) -> bool:
    """Whether there is a number for each channel of input, on its device and in its dtype, or in float32 for a 16-bit one."""
    return (
        isinstance(value, Tensor)
        and value.shape == input.shape[1:2]
        and value.device == input.device
        and (value.dtype is input.dtype or value.dtype is torch.float32 and input.dtype in HALVES)
    )
