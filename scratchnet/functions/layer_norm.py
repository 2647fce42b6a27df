"""LayerNorm, RMSNorm, and a residual sum with the LayerNorm after it."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import HALVES, is_float
from scratchnet.functions.dispatch import Function, Operator, fastest_first, gradients, lined_up, or_torch, torch_runs, wanted
from scratchnet.functions.explain import layer_norm as explain
from scratchnet.ops.layer_norm import NormOptions


class LayerNorm(Function):
    """y = (x - mean) rstd weight + bias;  dx = rstd (a - mean(a) - h mean(a h)) with a = grad weight, h = (x - mean) rstd."""

    @staticmethod
    def forward(ctx, kernel, x, weight, bias, options):
        ctx.kernel, ctx.options = kernel, options
        y, mean, rstd = kernel.forward(x, weight, bias, options)
        ctx.save_for_backward(x, mean, rstd, weight)
        return y

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


class RMSNorm(Function):
    """y = x rstd weight;  dx = rstd (a - h mean(a h)) with a = grad weight, h = x rstd."""

    @staticmethod
    def forward(ctx, kernel, x, weight, options):
        ctx.kernel, ctx.options = kernel, options
        y, rstd = kernel.forward(x, weight, options)
        ctx.save_for_backward(x, rstd, weight)
        return y

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


class AddLayerNorm(Function):
    """total = x + residual, y = LayerNorm(total): both outputs' gradients meet in d(total), which x and residual share."""

    @staticmethod
    def forward(ctx, kernel, x, residual, weight, bias, options):
        ctx.kernel, ctx.options = kernel, options
        total, y, mean, rstd = kernel.forward(x, residual, weight, bias, options)
        ctx.save_for_backward(total, mean, rstd, weight)
        return total, y

    @staticmethod
    def backward(ctx, grad_total, grad):
        _, need_x, need_residual, need_weight, need_bias, _ = needed = wanted(ctx)
        flags = need_x or need_residual, need_weight, need_bias
        dx, *others = ctx.kernel.backward(grad_total, grad, *ctx.saved_tensors, ctx.options, *flags)
        kernel, dx_, _, *others = lined_up(ctx, needed, dx, *others)
        return kernel, dx_, dx if need_residual else None, *others  # the residual's is that of x


_AUTOCAST = {"cuda": "float32"}  # as torch: on a CPU a norm computes in float32 internally, whatever the input dtype
_layer_norm = Operator("layer_norm", LayerNorm, autocast=_AUTOCAST)
_rms_norm = Operator("rms_norm", RMSNorm, autocast=_AUTOCAST)
_add_layer_norm = Operator("add_layer_norm", AddLayerNorm, autocast=_AUTOCAST)


def _fits(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> bool:
    """Whether the last axes of floats are normalized_shape, which the parameters have too, on the same device."""
    return (
        is_float(input)
        and isinstance(normalized_shape, (tuple, list))
        and len(normalized_shape) > 0
        and float not in map(type, normalized_shape)  # which are equal to ints
        and input.shape[-len(normalized_shape) :] == (shape := tuple(normalized_shape))
        and (weight is None or is_float(weight) and weight.shape == shape and weight.device == input.device)
        and (bias is None or is_float(bias) and bias.shape == shape and bias.device == input.device)
        and isinstance(eps, (float, int, torch.SymFloat))
    )


def _dtypes_fit(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> bool:
    """torch's rule: one dtype for all, except that 16-bit inputs may have float32 parameters."""
    parameter = bias if weight is None else weight
    if parameter is None or parameter.dtype is input.dtype or parameter.dtype is torch.float32 and input.dtype in HALVES:
        return bias is None or bias.dtype is parameter.dtype
    return False


@fastest_first("layer_norm")
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes of input (..., *normalized_shape).

    var is the biased variance. weight and bias have normalized_shape and input's dtype, or float32 with a 16-bit input; the
    result has input's shape and dtype. RuntimeError if shapes or dtypes do not fit. torch.nn.functional.layer_norm; https://arxiv.org/abs/1607.06450.
    """
    if not (_fits(input, normalized_shape, weight, bias, eps) and _dtypes_fit(input, weight, bias)):
        explain.layer_norm(input, normalized_shape, weight, bias, eps)
    return _layer_norm(input, weight, bias, NormOptions(len(normalized_shape), eps))


@fastest_first("rms_norm")
def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axes of input (..., *normalized_shape).

    eps None is the machine epsilon of the dtype computed in: that of float32 also for 16-bit inputs. weight has
    normalized_shape; the result has input's shape and dtype. RuntimeError if shapes do not fit (ValueError for too few axes).
    torch.nn.functional.rms_norm; https://arxiv.org/abs/1910.07467.
    """
    if not _fits(input, normalized_shape, weight, None, 0.0 if eps is None else eps):
        explain.rms_norm(input, normalized_shape, weight, eps)
        return _rms_norm.op.torch(input, normalized_shape, weight, eps)  # of complex numbers, or with a weight that is no float
    if eps is None:
        eps = torch.finfo(torch.float64 if input.dtype is torch.float64 else torch.float32).eps
    return _rms_norm(input, weight, NormOptions(len(normalized_shape), eps))


@or_torch(_add_layer_norm.op.torch)
def add_layer_norm(
    input: Tensor,
    residual: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """(input + residual, layer_norm of that sum): the residual stream and its norm in one pass over memory.

    input and residual (..., *normalized_shape) have one shape and dtype, else RuntimeError; the rest is as in `layer_norm`.
    """
    if not (
        _fits(input, normalized_shape, weight, bias, eps)
        and _dtypes_fit(input, weight, bias)
        and isinstance(residual, Tensor)
        and residual.shape == input.shape
        and residual.dtype == input.dtype
        and residual.device == input.device
    ):
        explain.add_layer_norm(input, residual, normalized_shape, weight, bias, eps)
    if torch_runs(input, _add_layer_norm.op):  # only now: torch's sum takes other shapes too
        return _add_layer_norm.op.torch(input, residual, normalized_shape, weight, bias, eps)
    return _add_layer_norm(input, residual, weight, bias, NormOptions(len(normalized_shape), eps))
