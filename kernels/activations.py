"""Activations of a tile in registers, and their derivatives.

    relu            y = max(x, 0)         dy/dx = 1 where y > 0
    gelu            y = x Phi(x)          dy/dx = Phi(x) + x phi(x)
    gelu_tanh       y = x s(2u)           dy/dx = s(2u) + 2 u' x s(2u) s(-2u)         u = sqrt(2/pi) (x + 0.044715 x^3)
    silu            y = x s(x)            dy/dx = s(x) + x s(x) s(-x)
    quick_gelu      y = x s(c x)          dy/dx = s(c x) + c x s(c x) s(-c x)         c = 1.702
    squared_relu    y = max(x, 0)^2       dy/dx = 2 max(x, 0)
    sigmoid         y = s(x)              dy/dx = s(x) s(-x)
    tanh            y = tanh(x)           dy/dx = 1 - y^2

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
def tanh(x):
    """(1 - p) / (1 + p), p = exp(-2 |x|), which cancels near zero: there x + x^3 P(x^2) / Q(x^2), the ratio of Cephes."""
    z = x * x
    over = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
    under = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
    p = tl.exp(-2 * tl.abs(x))
    far = 1 - 2 * p / (1 + p)
    return tl.where(tl.abs(x) < 0.625, x + x * (z * (over / under)), tl.where(x < 0, -far, far))


@triton.jit
def logistic(x, SCALE: tl.constexpr):
    return x * tl.sigmoid(SCALE * x)


@triton.jit
def logistic_derivative(x, SCALE: tl.constexpr):
    s = tl.sigmoid(SCALE * x)
    return s + x * (SCALE * s * tl.sigmoid(-SCALE * x))


@triton.jit
def activate(z, ACTIVATION: tl.constexpr):
    """ACTIVATION: one of scratchnet.ops.ACTIVATIONS."""
    if ACTIVATION == "none":
        return z
    elif ACTIVATION == "relu":
        return tl.where(z <= 0, 0, z)  # keeps NaN
    elif ACTIVATION == "squared_relu":
        return tl.where(z <= 0, 0, z * z)
    elif ACTIVATION == "silu":
        return logistic(z, 1.0)
    elif ACTIVATION == "quick_gelu":
        return logistic(z, 1.702)
    elif ACTIVATION == "sigmoid":
        return tl.sigmoid(z)
    elif ACTIVATION == "tanh":
        return tanh(z)
    else:
        return gelu(z, ACTIVATION == "gelu_tanh")


@triton.jit
def activation_gradient(grad, saved, ACTIVATION: tl.constexpr):
    """The gradient of z from that of activate(z). saved: z; for relu the activation's result will do."""
    if ACTIVATION == "relu":
        return tl.where(saved <= 0, 0, grad)
    elif ACTIVATION == "squared_relu":
        return tl.where(saved <= 0, 0, grad * 2 * saved)
    elif ACTIVATION == "silu":
        return grad * logistic_derivative(saved, 1.0)
    elif ACTIVATION == "quick_gelu":
        return grad * logistic_derivative(saved, 1.702)
    elif ACTIVATION == "sigmoid":
        return grad * (tl.sigmoid(saved) * tl.sigmoid(-saved))
    elif ACTIVATION == "tanh":
        y = tanh(saved)
        return grad * (1 - y * y)
    else:
        return grad * gelu_derivative(saved, ACTIVATION == "gelu_tanh")
