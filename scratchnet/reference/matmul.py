"""Matrix products in plain PyTorch: Y = A B, dA = G B^T, dB = A^T G; derived in `scratchnet.oracle.matmul`."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.gelu import GeluOptions
from scratchnet.ops.matmul import LinearOptions
from scratchnet.reference import widen
from scratchnet.reference.gelu import gelu_backward, gelu_forward


def matmul_forward(a: Tensor, b: Tensor) -> Tensor:
    """A B for a (..., M, K) and b (..., K, N) with equal batch axes; integers stay integers."""
    return (widen(a) @ widen(b)).to(a.dtype)


def matmul_backward(grad: Tensor, a: Tensor, b: Tensor, need_a: bool, need_b: bool) -> tuple[Tensor | None, Tensor | None]:
    """dA (..., M, K) and dB (..., K, N) of `matmul_forward`."""
    da = matmul_forward(grad, b.mT) if need_a else None
    db = matmul_forward(a.mT, grad) if need_b else None
    return da, db


def linear_forward(x: Tensor, weight: Tensor, bias: Tensor | None, options: LinearOptions) -> tuple[Tensor, Tensor]:
    """act(x W^T + b) for x (..., K), weight (N, K), bias (N), and what else backward needs: Z for GELU, otherwise nothing."""
    z = widen(x) @ widen(weight).T  # (..., N)
    if bias is not None:
        z = z + bias
    match ACTIVATIONS[options.activation]:
        case "none":
            return z.to(x.dtype), x.new_empty(0)
        case "relu":
            return z.relu().to(x.dtype), x.new_empty(0)
        case name:
            return gelu_forward(z, GeluOptions(name == "gelu_tanh")).to(x.dtype), z.to(x.dtype)


def linear_outputs(x: Tensor, weight: Tensor, bias: Tensor | None, options: LinearOptions) -> Tensor:
    """The first result of `linear_forward`."""
    return linear_forward(x, weight, bias, options)[0]


def linear_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    saved: Tensor,
    options: LinearOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """dX (..., K), dW (N, K) and db (N) of `linear_forward`; a second derivative needs a differentiable `saved`."""
    dz = widen(grad)
    match ACTIVATIONS[options.activation]:
        case "relu":
            dz = dz.where(~(saved <= 0), 0.0)  # NaN lets the gradient through
        case "gelu" | "gelu_tanh" as name:
            dz = gelu_backward(dz, widen(saved), GeluOptions(name == "gelu_tanh"))
    rows = list(range(x.ndim - 1))
    dx = (dz @ widen(weight)).to(x.dtype) if need_x else None
    dweight = torch.tensordot(dz, widen(x), (rows, rows)).to(x.dtype) if need_weight else None
    dbias = dz.sum_to_size(dz.shape[-1:]).to(x.dtype) if need_bias else None
    return dx, dweight, dbias
