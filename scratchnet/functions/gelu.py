"""GELU: gelu(x) and, fused, gelu(x + bias); a * gelu(gate) is in gated.py."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import is_float
from scratchnet.functions.dispatch import Function, Operator, fastest_first, gradients, or_torch, torch_runs
from scratchnet.functions.explain import gelu as explain
from scratchnet.functions.layout import dense
from scratchnet.ops.gelu import GeluOptions


class GELU(Function):
    """y = x Phi(x);  dy/dx = Phi(x) + x phi(x), from x alone."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(x)
        return kernel.forward(x, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


class BiasGELU(Function):
    """y = gelu(x + bias): the sum is formed in registers in both directions, and dbias is summed on the way."""

    @staticmethod
    def forward(ctx, kernel, x, bias, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(x, bias)
        return kernel.forward(x, bias, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


_gelu = Operator("gelu", GELU, layout=dense)
_bias_gelu = Operator("bias_gelu", BiasGELU)
_APPROXIMATE = ("none", "tanh")


@fastest_first("gelu")
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit, x * Phi(x), of a floating-point tensor of any shape; the result has its shape and dtype.

    approximate: "none" (Phi through erf) or "tanh". NotImplementedError for another dtype, RuntimeError for another option.
    torch.nn.functional.gelu; Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415.
    """
    if not (is_float(input) and approximate in _APPROXIMATE):
        explain.gelu(input, approximate)
    return _gelu(input, GeluOptions(approximate == "tanh"))


@or_torch(_bias_gelu.op.torch)
def bias_gelu(input: Tensor, bias: Tensor, approximate: str = "none") -> Tensor:
    """gelu(input + bias) without writing the sum: input (..., D), bias (D,), both floating-point -> (..., D).

    RuntimeError if the shapes, devices or the option do not fit, NotImplementedError for another dtype.
    """
    if not (
        is_float(input)
        and is_float(bias)
        and input.dim()
        and bias.shape == input.shape[-1:]
        and bias.device == input.device
        and approximate in _APPROXIMATE
    ):
        explain.bias_gelu(input, bias, approximate)
    if torch_runs(input, _bias_gelu.op, (input, bias, approximate)):  # only now: torch's sum takes other shapes too
        return _bias_gelu.op.torch(input, bias, approximate)
    return _bias_gelu(input, bias, GeluOptions(approximate == "tanh"))
