"""Gated units in float64 NumPy.

The gate is the input itself, with the sigmoid s(x) = 1 / (1 + exp(-x)), s' = s(x) s(-x):

    silu          y = x s(x)          y' = s(x) + x s(x) s(-x)
    quick_gelu    y = x s(c x)        y' = s(c x) + c x s(c x) s(-c x)        c = 1.702
    squared_relu  y = max(0, x)^2     y' = 2 max(0, x)

The gate is another number: y = act(b) a, so da = g act(b) and db = g a act'(b). s(-x) is 1 - s(x) without the cancellation.
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.gated import GatedOptions, GegluOptions, GluOptions
from scratchnet.ops.gelu import GeluOptions
from scratchnet.oracle.gelu import gelu_backward, gelu_forward

_SCALE = {"silu": 1.0, "quick_gelu": 1.702}


def _sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def _activate(x: np.ndarray, name: str) -> np.ndarray:
    match name:
        case "relu":
            return np.maximum(x, 0.0)  # NaN stays NaN
        case "squared_relu":
            return np.maximum(x, 0.0) ** 2
        case "sigmoid":
            return _sigmoid(x)
        case "tanh":
            return np.tanh(x)
        case "gelu" | "gelu_tanh":
            return gelu_forward(x, GeluOptions(name == "gelu_tanh"))
        case _:
            return x * _sigmoid(_SCALE[name] * x)


def _gradient(grad: np.ndarray, x: np.ndarray, name: str) -> np.ndarray:
    """grad act'(x); 0 where ReLU lets nothing through, whatever the gradient."""
    match name:
        case "relu":
            return np.where(x <= 0, 0.0, grad)
        case "squared_relu":
            return np.where(x <= 0, 0.0, grad * 2 * x)
        case "sigmoid":
            return grad * _sigmoid(x) * _sigmoid(-x)
        case "tanh":
            return grad * (1 - np.tanh(x) ** 2)
        case "gelu" | "gelu_tanh":
            return gelu_backward(grad, x, GeluOptions(name == "gelu_tanh"))
        case _:
            scale = _SCALE[name]
            value = _sigmoid(scale * x)
            return grad * (value + x * (scale * value * _sigmoid(-scale * x)))


@np.errstate(all="ignore")
def silu_forward(x: np.ndarray) -> np.ndarray:
    """x s(x), any shape."""
    return _activate(x, "silu")


@np.errstate(all="ignore")
def silu_backward(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx (shape of x) of `silu_forward`."""
    return _gradient(grad, x, "silu")


@np.errstate(all="ignore")
def quick_gelu_forward(x: np.ndarray) -> np.ndarray:
    """x s(1.702 x), any shape."""
    return _activate(x, "quick_gelu")


@np.errstate(all="ignore")
def quick_gelu_backward(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx (shape of x) of `quick_gelu_forward`."""
    return _gradient(grad, x, "quick_gelu")


@np.errstate(all="ignore")
def squared_relu_forward(x: np.ndarray) -> np.ndarray:
    """max(0, x)^2, any shape."""
    return _activate(x, "squared_relu")


@np.errstate(all="ignore")
def squared_relu_backward(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx (shape of x) of `squared_relu_forward`."""
    return _gradient(grad, x, "squared_relu")


@np.errstate(all="ignore")
def glu_forward(x: np.ndarray, options: GluOptions) -> np.ndarray:
    """One half of x along `dim` times the activation of the other half."""
    first, second = np.split(x, 2, axis=options.dim)
    gate, value = (first, second) if options.gate_first else (second, first)
    return _activate(gate, ACTIVATIONS[options.activation]) * value


@np.errstate(all="ignore")
def glu_backward(grad: np.ndarray, x: np.ndarray, options: GluOptions) -> np.ndarray:
    """dx of `glu_forward`."""
    first, second = np.split(x, 2, axis=options.dim)
    gate, value = (first, second) if options.gate_first else (second, first)
    dgate, dvalue = gated_backward(grad, gate, value, GatedOptions(options.activation), True, True)
    return np.concatenate([dgate, dvalue] if options.gate_first else [dvalue, dgate], axis=options.dim)


def geglu_forward(x: np.ndarray, options: GegluOptions) -> np.ndarray:
    """First half of x along `dim` times gelu of the second half."""
    return glu_forward(x, options.as_glu)


def geglu_backward(grad: np.ndarray, x: np.ndarray, options: GegluOptions) -> np.ndarray:
    """dx of `geglu_forward`."""
    return glu_backward(grad, x, options.as_glu)


@np.errstate(all="ignore")
def gated_forward(gate: np.ndarray, value: np.ndarray, options: GatedOptions) -> np.ndarray:
    """act(gate) value, elementwise."""
    return _activate(gate, ACTIVATIONS[options.activation]) * value


@np.errstate(all="ignore")
def gated_backward(
    grad: np.ndarray, gate: np.ndarray, value: np.ndarray, options: GatedOptions, need_gate: bool, need_value: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The gradients of gate and value of `gated_forward`."""
    name = ACTIVATIONS[options.activation]
    dgate = _gradient(grad * value, gate, name) if need_gate else None
    return dgate, grad * _activate(gate, name) if need_value else None
