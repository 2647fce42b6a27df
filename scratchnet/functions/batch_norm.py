"""BatchNorm: every channel by its own statistics, those of the batch or those that ran along in training; InstanceNorm."""

from __future__ import annotations

import torch
import torch.nn.functional
from torch import Tensor

from scratchnet.functions.checks import HALVES, is_float
from scratchnet.functions.dispatch import PLAIN, Function, Operator, gradients, or_torch, torch_runs
from scratchnet.functions.explain import batch_norm as explain
from scratchnet.functions.layout import pixels
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
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


_batch_norm = Operator("batch_norm", BatchNorm, layout=pixels)


def _own(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5) -> Tensor:
    """torch's, without its Python function where nothing needs it: that takes as long as a small image."""
    given = running_mean, running_var, weight, bias
    plain = type(input) is Tensor and not training and eps > 0
    for value in given:
        plain = plain and (value is None or type(value) in PLAIN and value.is_contiguous())
    if not plain:
        return _batch_norm.op.torch(input, *given, training, momentum, eps)
    cudnn = input.is_cuda and torch.backends.cudnn.enabled  # a function call
    return torch.batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps, cudnn)


@or_torch(_own, _batch_norm.op)
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
    if input.numel() == 0:
        return _nothing(input, weight, bias)
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


def _nothing(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """The result for no numbers; weight and bias take part, for their gradients of zero."""
    y = input.clone()
    y = y if weight is None else y * weight[0]
    return y if bias is None else y + bias[0]


@or_torch(torch.nn.functional.instance_norm)
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """batch_norm of every sample of input (N, C, ...) by itself; the other tensors are (C).

    use_input_stats: with the statistics of each channel of each sample, whose means over the samples move the running ones, if
    there are any; otherwise with the running ones. ValueError for one value per channel, RuntimeError if shapes or dtypes do
    not fit. torch.nn.functional.instance_norm; Ulyanov et al., https://arxiv.org/abs/1607.08022.
    """
    tensors = running_mean, running_var, weight, bias
    if not (
        is_float(input)
        and input.dim() > 2
        and all(value is None or _has_channels(value, input) for value in tensors)
        and (running_mean is None) == (running_var is None)
        and (input.shape[2:].numel() != 1 if use_input_stats else running_mean is not None)
    ):
        explain.instance_norm(input, *tensors, use_input_stats)
    if input.numel() == 0:
        return _nothing(input, weight, bias)
    samples, channels = input.shape[:2]
    planes = input.reshape(1, samples * channels, *input.shape[2:])  # every channel of every sample is one of a single image
    if torch_runs(planes, _batch_norm.op, (planes, *tensors, use_input_stats)):
        return torch.nn.functional.instance_norm(input, *tensors, use_input_stats, momentum, eps)
    repeated = [None if value is None else value.repeat(samples) for value in tensors]
    y = batch_norm(planes, *repeated, use_input_stats, momentum, eps)
    if use_input_stats and running_mean is not None:
        with torch.no_grad():
            for running, moved in zip(tensors[:2], repeated, strict=False):
                running.copy_(moved.view(samples, channels).mean(0))
    return y.view(input.shape)


def _has_channels(value: Tensor, input: Tensor) -> bool:
    """Whether there is a number for each channel of input, on its device and in its dtype, or in float32 for a 16-bit one."""
    return (
        isinstance(value, Tensor)
        and value.shape == input.shape[1:2]
        and value.device == input.device
        and (value.dtype is input.dtype or value.dtype is torch.float32 and input.dtype in HALVES)
    )
