"""GELU in float64 NumPy.

Exact:  y = x P(x)            with the normal distribution P(x) = erfc(-x / sqrt 2) / 2
        y' = P(x) + x p(x)    with its density p(x) = P'(x) = exp(-x^2 / 2) / sqrt(2 pi)
Tanh:   y = x (1 + t) / 2     with t = tanh(u),  u = sqrt(2 / pi) (x + 0.044715 x^3)
        y' = (1 + t) / 2 + x (1 - t^2) u' / 2    with u' = sqrt(2 / pi) (1 + 3 * 0.044715 x^2)

erfc(-x / sqrt 2) is 1 + erf(x / sqrt 2), and s(2 u) is (1 + tanh u) / 2, without the cancellation at negative x.
"""

from __future__ import annotations

import math

import numpy as np

from scratchnet.ops.gelu import GeluOptions

_erfc = np.vectorize(math.erfc, otypes=[np.float64])
_SLOPE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def _gelu(x: np.ndarray, tanh: bool) -> np.ndarray:
    if tanh:
        return x * _sigmoid(2 * _SLOPE * (x + _CUBIC * x**3))
    return x * 0.5 * _erfc(-x / math.sqrt(2))


def _derivative(x: np.ndarray, tanh: bool) -> np.ndarray:
    if tanh:
        u = _SLOPE * (x + _CUBIC * x**3)
        return _sigmoid(2 * u) + x * _sigmoid(2 * u) * _sigmoid(-2 * u) * 2 * _SLOPE * (1 + 3 * _CUBIC * x**2)
    return 0.5 * _erfc(-x / math.sqrt(2)) + x * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


@np.errstate(all="ignore")
def gelu_forward(x: np.ndarray, options: GeluOptions) -> np.ndarray:
    """gelu(x), any shape."""
    return _gelu(x, options.tanh)


@np.errstate(all="ignore")
def gelu_backward(grad: np.ndarray, x: np.ndarray, options: GeluOptions) -> np.ndarray:
    """dx (shape of x) of `gelu_forward`."""
    return grad * _derivative(x, options.tanh)


@np.errstate(all="ignore")
def bias_gelu_forward(x: np.ndarray, bias: np.ndarray, options: GeluOptions) -> np.ndarray:
    """gelu(x + bias) for x (..., D) and bias (D)."""
    return _gelu(x + bias, options.tanh)


@np.errstate(all="ignore")
def bias_gelu_backward(
    grad: np.ndarray, x: np.ndarray, bias: np.ndarray, options: GeluOptions, need_x: bool, need_bias: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """dx (..., D) and dbias (D) of `bias_gelu_forward`: both are dL/d(x + bias), the second summed over all rows."""
    dz = grad * _derivative(x + bias, options.tanh)
    return dz if need_x else None, dz.sum(axis=tuple(range(x.ndim - 1))) if need_bias else None
