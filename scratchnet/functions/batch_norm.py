"""BatchNorm: every channel by its own statistics, those of the batch or those that ran along in training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_float, check_tensor, fail
from scratchnet.functions.dispatch import Function, Operator, fastest_first, lined_up, needs
from scratchnet.ops.batch_norm import BatchNormOptions

_HALVES = (torch.bfloat16, torch.float16)


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
    shape and dtype; a 16-bit input may come with float32 tensors. ValueError for one value a channel in training or an eps that
    is not positive, RuntimeError if shapes or dtypes do not fit. torch.nn.functional.batch_norm; https://arxiv.org/abs/1502.03167.
    """
    _check(input, running_mean, running_var, weight, bias, training, momentum, eps)
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


def _check(input, running_mean, running_var, weight, bias, training, momentum, eps) -> None:
    check_tensor("batch_norm", "input", input)
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        check_tensor("batch_norm", name, value)
    for name, value in (("momentum", momentum), ("eps", eps)):
        if not isinstance(value, (float, int, torch.SymFloat)):
            fail(TypeError, "batch_norm", name, f"must be float, not {type(value).__name__}")
    if training and input.dim() > 1 and math.prod((input.shape[0], *input.shape[2:])) == 1:
        got = f"Expected more than 1 value per channel when training, got input size {input.shape}"
        fail(ValueError, "batch_norm", "input", f"{got}; one sample has no variance: call .eval(), or take a LayerNorm")
    if eps < 0 or training and eps == 0:
        needs = "eps must be positive during training" if training else "eps must be non-negative"
        fail(ValueError, "batch_norm", "eps", f"batch_norm {needs}, but got {eps}")
    check_float("batch_norm", "input", input)
    if input.dim() < 2:
        if input.numel() == 0:
            return
        # torch looks for the channels last: a wrong call in other ways as well has another type of exception
        wrong = any(value.numel() for value in given.values()) or not training and running_mean is None
        problem = f"Dimension out of range: needs the axes (N, C, ...), got {tuple(input.shape)}"
        fail(RuntimeError if wrong else IndexError, "batch_norm", "input", problem)
    for name in ("running_mean", "running_var"):
        if not training and name not in given:
            fail(RuntimeError, "batch_norm", name, f"{name} must be defined in evaluation mode; or pass training=True")
    channels = input.shape[1]
    for name, value in given.items():
        if value.shape != (channels,):
            found = f"got shape {tuple(value.shape)} for input {tuple(input.shape)}"
            fail(RuntimeError, "batch_norm", name, f"{name} should contain {channels} elements not {value.numel()}: {found}")
        check_device("batch_norm", name, value, "input", input)
        allowed = (input.dtype, torch.float32) if input.dtype in _HALVES else (input.dtype,)
        if value.dtype not in allowed:
            problem = f"mixed dtype: {name} is {value.dtype}, but input is {input.dtype}: convert one with .to(...)"
            fail(RuntimeError, "batch_norm", name, problem)
    if training and (running_mean is None) != (running_var is None):
        which = "running_mean" if running_mean is None else "running_var"
        needs = "running_mean and running_var must either both be None or neither be None"
        fail(ValueError, "batch_norm", which, needs)
