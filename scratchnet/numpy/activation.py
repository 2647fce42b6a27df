"""Activations a = f(z) and their derivatives f'(z), which take the pre-activation z, by name.

    linear    z                         1
    relu      max(z, 0)                 1 where z > 0, else 0 (also at 0)
    sigmoid   s = 1 / (1 + exp(-z))     s (1 - s)
    tanh      t                         1 - t^2
    gelu      z P(z)                    P(z) + z p(z): see scratchnet.oracle.gelu
    softmax   exp(z) / sum exp(z)       not elementwise, see below

Softmax runs over the classes, axis 0 of column-major data. It is paired with cross-entropy: the gradient that the loss passes
to the layer is already that of z, a - y, so the layer's own derivative is 1.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Callable

import numpy as np

from scratchnet.numpy.kernels import NUMPY
from scratchnet.ops import DimOptions
from scratchnet.ops.gelu import GeluOptions

Function = Callable[[np.ndarray], np.ndarray]
_EXACT = GeluOptions(tanh=False)
_FEATURES = DimOptions(0)  # the axis of one sample's numbers


def relu(z: np.ndarray) -> np.ndarray:
    """max(z, 0), any shape."""
    return np.maximum(z, 0.0)


def relu_derivative(z: np.ndarray) -> np.ndarray:
    """1 where z > 0, else 0."""
    return np.where(z > 0, 1.0, 0.0)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), any shape; exp sees only negative numbers, so that it never overflows."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def sigmoid_derivative(z: np.ndarray) -> np.ndarray:
    """s (1 - s); 1 - s(z) is s(-z) without the cancellation."""
    return sigmoid(z) * sigmoid(-z)


def tanh_derivative(z: np.ndarray) -> np.ndarray:
    """1 - tanh(z)^2."""
    return 1.0 - np.tanh(z) ** 2


def activation_pair(name: str, kernels: SimpleNamespace = NUMPY) -> tuple[Function, Function]:
    """f and f' of the table above; ValueError for another name."""
    table = {
        "linear": (lambda z: z, np.ones_like),
        "relu": (relu, relu_derivative),
        "sigmoid": (sigmoid, sigmoid_derivative),
        "tanh": (np.tanh, tanh_derivative),
        "gelu": (lambda z: kernels.gelu_forward(z, _EXACT), lambda z: kernels.gelu_backward(np.ones_like(z), z, _EXACT)),
        "softmax": (lambda z: kernels.softmax_forward(z, _FEATURES), np.ones_like),
    }
    if name not in table:
        raise ValueError(f"there is no activation {name!r}; the activations are {', '.join(table)}")
    return table[name]
