"""Matrix products in float64 NumPy.

Forward:   Y = A B                    y_mn = sum_k a_mk b_kn
Backward:  with G = dL/dY,  dL/da_mk = sum_n g_mn b_kn  and  dL/db_kn = sum_m a_mk g_mn, that is

    dA = G B^T        dB = A^T G

A linear layer is Y = act(Z) with Z = X W^T + b: first dZ = G act'(Z), then the same two products with B = W^T,

    dX = dZ W         dW = dZ^T X         db = sum of dZ over all rows
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.gelu import GeluOptions
from scratchnet.ops.matmul import LinearOptions
from scratchnet.oracle.gelu import gelu_backward, gelu_forward


@np.errstate(all="ignore")
def matmul_forward(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A B for a (..., M, K) and b (..., K, N) with equal batch axes; integers stay integers."""
    return a @ b


@np.errstate(all="ignore")
def matmul_backward(
    grad: np.ndarray, a: np.ndarray, b: np.ndarray, need_a: bool, need_b: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """dA (..., M, K) and dB (..., K, N) of `matmul_forward`."""
    da = grad @ b.swapaxes(-1, -2) if need_a else None
    db = a.swapaxes(-1, -2) @ grad if need_b else None
    return da, db


@np.errstate(all="ignore")
def linear_forward(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, options: LinearOptions
) -> tuple[np.ndarray, np.ndarray]:
    """act(x W^T + b) for x (..., K), weight (N, K), bias (N), and what else backward needs: Z for GELU, otherwise nothing."""
    z = x @ weight.T  # (..., N)
    if bias is not None:
        z = z + bias
    match ACTIVATIONS[options.activation]:
        case "none":
            return z, np.empty(0)
        case "relu":
            return np.maximum(z, 0.0), np.empty(0)  # NaN stays NaN
        case name:
            return gelu_forward(z, GeluOptions(name == "gelu_tanh")), z


@np.errstate(all="ignore")
def linear_backward(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    saved: np.ndarray,
    options: LinearOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """dX (..., K), dW (N, K) and db (N) of `linear_forward`."""
    match ACTIVATIONS[options.activation]:
        case "none":
            dz = grad
        case "relu":
            dz = np.where(saved <= 0, 0.0, grad)
        case name:
            dz = gelu_backward(grad, saved, GeluOptions(name == "gelu_tanh"))
    rows = tuple(range(x.ndim - 1))
    dx = dz @ weight if need_x else None
    dweight = np.tensordot(dz, x, axes=(rows, rows)) if need_weight else None
    dbias = dz.sum(axis=rows) if need_bias else None
    return dx, dweight, dbias
