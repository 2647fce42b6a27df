"""Gated units: silu, quick_gelu and squared_relu, whose gate is the input itself, and act(gate) * value.

Where one tensor holds both halves, each name keeps the order in which its models store them: glu, geglu and reglu have the
gate second, as torch's glu; swiglu has it first, as the fused gate_up_proj of the Llama family.
"""

from __future__ import annotations

import torch.nn.functional as own
from torch import Tensor

from scratchnet.functions.checks import is_float
from scratchnet.functions.dispatch import PLAIN, Function, Operator, gradients, or_torch, torch_runs
from scratchnet.functions.explain import gated as explain
from scratchnet.functions.layout import channels_last_like, dense
from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.gated import GATES_BY, GatedOptions, GegluOptions, GluOptions


class SelfGated(Function):
    """y = act(x), for silu, quick_gelu and squared_relu;  dy/dx = act'(x), from x alone."""

    @staticmethod
    def forward(ctx, kernel, x):
        ctx.kernel = kernel
        ctx.save_for_backward(x)
        return kernel.forward(x)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors)


class GLU(Function):
    """y = a act(b) for the halves a, b of x along dim, for glu and geglu."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(x)
        return kernel.forward(x, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


class Gated(Function):
    """y = act(gate) value;  both gradients in one pass, from gate and value alone."""

    @staticmethod
    def forward(ctx, kernel, gate, value, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(gate, value)
        return kernel.forward(gate, value, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


_silu = Operator("silu", SelfGated, layout=dense)
_quick_gelu = Operator("quick_gelu", SelfGated, layout=dense)
_squared_relu = Operator("squared_relu", SelfGated, layout=dense)
_glu = Operator("glu", GLU)
_geglu = Operator("geglu", GLU)
_gated = Operator("gated", Gated)


# ---- x itself is the gate ------------------------------------------------------------------------------------------------


def _own_silu(input: Tensor, inplace: bool = False) -> Tensor:
    """torch's, unless it would write to a tensor before the checks."""
    if inplace and type(input) in PLAIN:
        raise ValueError("ours looks first")
    return own.silu(input, inplace)


@or_torch(_own_silu, _silu.op)
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), GELU's cheaper neighbour, also called swish. Floats of any shape; the result has its shape and dtype.

    Complex numbers and inplace=True, which overwrites x, run torch's own. NotImplementedError for integers.
    Elfwing, Uchibe, Doya: https://arxiv.org/abs/1702.03118; torch.nn.functional.silu.
    """
    if not is_float(input) or inplace:
        explain.silu(input, inplace)
        return own.silu(input, inplace)
    return _silu(input)


@or_torch(_quick_gelu.op.torch)
def quick_gelu(input: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), GELU's first approximation, of a floating-point tensor of any shape; the result has its shape.

    NotImplementedError for another dtype. Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415; CLIP's activation.
    """
    if not is_float(input):
        explain.quick_gelu(input)
    if torch_runs(input, _quick_gelu.op, (input,)):  # only now: torch's formula takes integers too
        return _quick_gelu.op.torch(input)
    return _quick_gelu(input)


@or_torch(_squared_relu.op.torch)
def squared_relu(input: Tensor) -> Tensor:
    """max(0, x)^2, also called relu^2, of a floating-point tensor of any shape; the result has its shape and dtype.

    NotImplementedError for another dtype. So et al.: Primer, https://arxiv.org/abs/2109.08668.
    """
    if not is_float(input):
        explain.squared_relu(input)
    if torch_runs(input, _squared_relu.op, (input,)):  # only now: torch's formula takes integers too
        return _squared_relu.op.torch(input)
    return _squared_relu(input)


# ---- a gate and a value --------------------------------------------------------------------------------------------------


def _has_halves(input: Tensor, dim: int) -> bool:
    return is_float(input) and isinstance(dim, int) and -input.dim() <= dim < input.dim() and input.shape[dim] % 2 == 0


def _joined(input: Tensor, dim: int, activation: str, gate_first: bool) -> Tensor:
    if torch_runs(input, _glu.op, (input, dim, activation)):  # only now: torch's product takes odd sizes too
        return _glu.op.torch(input, dim, activation, gate_first)
    options = GluOptions(dim % input.dim(), ACTIVATIONS.index(activation), gate_first)
    return channels_last_like(_glu(input, options), input)


@or_torch(_glu.op.torch)
def glu(input: Tensor, dim: int = -1, activation: str = "sigmoid", gate_first: bool = False) -> Tensor:
    """First half * activation(second half) along dim of a floating-point tensor, (..., 2 D) -> (..., D) for dim -1.

    activation: "sigmoid", "relu", "gelu", "gelu_tanh", "silu" or "tanh"; gate_first=True: the first half is the gate.
    RuntimeError for an odd size, a scalar or another activation, IndexError for a dim that the tensor does not have.
    torch.nn.functional.glu; Dauphin et al., https://arxiv.org/abs/1612.08083.
    """
    if not (_has_halves(input, dim) and activation in GATES_BY and isinstance(gate_first, bool)):
        explain.glu(input, dim, activation, gate_first)
    return _joined(input, dim, activation, gate_first)


@or_torch(_geglu.op.torch)
def geglu(input: Tensor, dim: int = -1, approximate: str = "none") -> Tensor:
    """First half * gelu(second half) along dim of a floating-point tensor, (..., 2 D) -> (..., D) for dim -1: F.glu with GELU.

    RuntimeError for an odd size, IndexError for a dim that the tensor does not have. Shazeer, https://arxiv.org/abs/2002.05202.
    """
    if not (_has_halves(input, dim) and approximate in ("none", "tanh")):
        explain.geglu(input, dim, approximate)
    if torch_runs(input, _geglu.op, (input, dim, approximate)):
        return _geglu.op.torch(input, dim, approximate)
    return channels_last_like(_geglu(input, GegluOptions(dim % input.dim(), approximate == "tanh")), input)


@or_torch(lambda input, dim=-1: _glu.op.torch(input, dim, "relu"))
def reglu(input: Tensor, dim: int = -1) -> Tensor:
    """First half * max(0, second half) along dim of a floating-point tensor, (..., 2 D) -> (..., D): F.glu with ReLU.

    RuntimeError for an odd size, IndexError for a dim that the tensor does not have. Shazeer, https://arxiv.org/abs/2002.05202.
    """
    if not _has_halves(input, dim):
        explain.reglu(input, dim)
    return _joined(input, dim, "relu", False)


@or_torch(lambda input, dim=-1: _glu.op.torch(input, dim, "silu", True))
def swiglu(input: Tensor, dim: int = -1) -> Tensor:
    """silu(first half) * second half along dim of a floating-point tensor, (..., 2 D) -> (..., D) for dim -1.

    The gate comes first, unlike in glu, geglu and reglu; for two tensors: gated(gate, value).
    RuntimeError for an odd size, IndexError for a dim that the tensor does not have. Shazeer, https://arxiv.org/abs/2002.05202.
    """
    if not _has_halves(input, dim):
        explain.swiglu(input, dim)
    return _joined(input, dim, "silu", True)


@or_torch(_gated.op.torch)
def gated(gate: Tensor, value: Tensor, activation: str = "silu") -> Tensor:
    """activation(gate) * value for floating-point tensors of one shape, without writing activation(gate): any shape.

    activation: "silu" (SwiGLU, as in Llama's MLP), "relu", "gelu", "gelu_tanh", "sigmoid" or "tanh". Of two dtypes the result
    has the wider one. RuntimeError if shapes, devices or the activation do not fit, NotImplementedError for another dtype.
    """
    if not (
        is_float(gate)
        and is_float(value)
        and value.shape == gate.shape
        and value.device == gate.device
        and activation in GATES_BY
    ):
        explain.gated(gate, value, activation)
    if torch_runs(gate, _gated.op, (gate, value, activation)):  # only now: torch's product takes other shapes too
        return _gated.op.torch(gate, value, activation)
    return channels_last_like(_gated(gate, value, GatedOptions(ACTIVATIONS.index(activation))), gate)
