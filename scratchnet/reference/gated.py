"""Gated units in plain PyTorch; derived in `scratchnet.oracle.gated`."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.gated import GatedOptions, GegluOptions, GluOptions
from scratchnet.ops.gelu import GeluOptions
from scratchnet.reference import widen
from scratchnet.reference.gelu import gelu_backward, gelu_forward

_SCALE = {"silu": 1.0, "quick_gelu": 1.702}


def _activate(x: Tensor, name: str) -> Tensor:
    match name:
        case "relu":
            return x.relu()
        case "squared_relu":
            return x.relu().square()
        case "sigmoid":
            return x.sigmoid()
        case "tanh":
            return x.tanh()
        case "gelu" | "gelu_tanh":
            return gelu_forward(x, GeluOptions(name == "gelu_tanh"))
        case _:
            return x * torch.sigmoid(_SCALE[name] * x)


def _gradient(grad: Tensor, x: Tensor, name: str) -> Tensor:
    """grad act'(x); 0 where ReLU lets nothing through, whatever the gradient."""
    match name:
        case "relu":
            return grad.where(~(x <= 0), 0.0)  # NaN lets the gradient through
        case "squared_relu":
            return (grad * 2 * x).where(~(x <= 0), 0.0)
        case "sigmoid":
            return grad * x.sigmoid() * (-x).sigmoid()
        case "tanh":
            return grad * (1 - x.tanh() ** 2)
        case "gelu" | "gelu_tanh":
            return gelu_backward(grad, x, GeluOptions(name == "gelu_tanh"))
        case _:
            scale = _SCALE[name]
            value = torch.sigmoid(scale * x)
            return grad * (value + x * (scale * value * torch.sigmoid(-scale * x)))


def silu_forward(x: Tensor) -> Tensor:
    """x sigmoid(x), any shape."""
    return _activate(widen(x), "silu").to(x.dtype)


def silu_backward(grad: Tensor, x: Tensor) -> Tensor:
    """dx of `silu_forward`."""
    return _gradient(widen(grad), widen(x), "silu").to(x.dtype)


def quick_gelu_forward(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), any shape."""
    return _activate(widen(x), "quick_gelu").to(x.dtype)


def quick_gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    """dx of `quick_gelu_forward`."""
    return _gradient(widen(grad), widen(x), "quick_gelu").to(x.dtype)


def squared_relu_forward(x: Tensor) -> Tensor:
    """max(0, x)^2, any shape."""
    return _activate(widen(x), "squared_relu").to(x.dtype)


def squared_relu_backward(grad: Tensor, x: Tensor) -> Tensor:
    """dx of `squared_relu_forward`."""
    return _gradient(widen(grad), widen(x), "squared_relu").to(x.dtype)


def glu_forward(x: Tensor, options: GluOptions) -> Tensor:
    """One half of x along `dim` times the activation of the other half."""
    first, second = x.chunk(2, options.dim)
    gate, value = (first, second) if options.gate_first else (second, first)
    return gated_forward(gate, value, GatedOptions(options.activation))


def glu_backward(grad: Tensor, x: Tensor, options: GluOptions) -> Tensor:
    """dx of `glu_forward`."""
    first, second = x.chunk(2, options.dim)
    gate, value = (first, second) if options.gate_first else (second, first)
    dgate, dvalue = gated_backward(grad, gate, value, GatedOptions(options.activation), True, True)
    return torch.cat([dgate, dvalue] if options.gate_first else [dvalue, dgate], options.dim)


def geglu_forward(x: Tensor, options: GegluOptions) -> Tensor:
    """First half of x along `dim` times gelu of the second half."""
    return glu_forward(x, options.as_glu)


def geglu_backward(grad: Tensor, x: Tensor, options: GegluOptions) -> Tensor:
    """dx of `geglu_forward`."""
    return glu_backward(grad, x, options.as_glu)


def gated_forward(gate: Tensor, value: Tensor, options: GatedOptions) -> Tensor:
    """act(gate) value, elementwise; of two types the wider one."""
    y = _activate(widen(gate), ACTIVATIONS[options.activation]) * widen(value)
    return y.to(torch.promote_types(gate.dtype, value.dtype))


def gated_backward(
    grad: Tensor, gate: Tensor, value: Tensor, options: GatedOptions, need_gate: bool, need_value: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of gate and value of `gated_forward`."""
    name = ACTIVATIONS[options.activation]
    wide = widen(gate)
    dgate = _gradient(widen(grad) * widen(value), wide, name).to(gate.dtype) if need_gate else None
    return dgate, (widen(grad) * _activate(wide, name)).to(value.dtype) if need_value else None
