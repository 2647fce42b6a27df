"""Activations of a tile in registers, and their derivatives.

    relu         y = max(x, 0)         dy/dx = 1 where y > 0
    gelu         y = x Phi(x)          dy/dx = Phi(x) + x phi(x)
    gelu_tanh    y = x s(2u)           dy/dx = s(2u) + 2 u' x s(2u) s(-2u)         u = sqrt(2/pi) (x + 0.044715 x^3)

Phi is the normal distribution function, phi its density, s the sigmoid. tanh(u) = 2 s(2u) - 1, and 1 - s(v) = s(-v) does not
cancel.
"""

from __future__ import annotations

import triton
import triton.language as tl

from scratchnet.kernels import launch  # noqa: F401  decides whether Triton compiles or interprets


@triton.jit
def gelu(x, TANH: tl.constexpr):
    if TANH:
        return x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    return 0.5 * x * (1 + tl.math.erf(x * 0.7071067811865476))


@triton.jit
def gelu_derivative(x, TANH: tl.constexpr):
    if TANH:
        v = 1.5957691216057308 * (x + 0.044715 * x * x * x)  # 2 u
        slope = 1.5957691216057308 * (1 + 3 * 0.044715 * x * x)
        # For a large |x| slope is large and s(-v) zero; x * slope first would be infinity times zero.
        return tl.sigmoid(v) * (1 + x * (slope * tl.sigmoid(-v)))
    return 0.5 * (1 + tl.math.erf(x * 0.7071067811865476)) + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)


@triton.jit
def activate(z, ACTIVATION: tl.constexpr):
    """ACTIVATION: one of scratchnet.ops.ACTIVATIONS."""
    if ACTIVATION == "none":
        return z
    elif ACTIVATION == "relu":
        return tl.where(z <= 0, 0, z)  # keeps NaN
    else:
        return gelu(z, ACTIVATION == "gelu_tanh")


@triton.jit
def activation_gradient(grad, saved, ACTIVATION: tl.constexpr):
    """The gradient of z from that of activate(z). saved: the activation's result for relu, z for gelu."""
    if ACTIVATION == "relu":
        return tl.where(saved <= 0, 0, grad)
    else:
        return grad * gelu_derivative(saved, ACTIVATION == "gelu_tanh")
