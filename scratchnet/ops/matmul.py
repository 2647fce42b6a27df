"""The description of matmul and linear."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Op, nbytes, normal


def _matmul_cost(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Cost:
    out = a.numel() // max(a.shape[-1], 1) * b.shape[-1]
    moved = nbytes(a, b, bias) + out * a.element_size()
    return Cost(moved, 2 * moved, 2 * out * a.shape[-1], 4 * out * a.shape[-1])


def _linear_cost(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | int | None = None) -> Cost:
    return _matmul_cost(x, weight.mT, bias)


class LinearOptions(NamedTuple):
    """activation: an index into EPILOGUES."""

    activation: int


IDEAS = {
    "cpp": ("naive loop", "loop order ikj", "cache blocks", "register tiles, SIMD", "packed panels, threads"),
    "cuda": ("one thread per element", "shared and register tiles, copies that run ahead, tensor cores, K split"),
    "triton": ("tuned: tiles in groups, tuned sizes, fused epilogue, K split where tiles are few",),
}

MATMUL = Op(
    name="matmul",
    primitive="matmul",
    idea="batched A @ B, any strides, no copy of a transposed operand",
    inputs=("a", "b"),  # (..., M, K), (..., K, N), equal batch axes (expanded views)
    outputs=("y",),
    saved=("a", "b"),
    gradients=("a", "b"),
    ideas=IDEAS | {"triton": ("naive: one tile per program", *IDEAS["triton"])},
    torch=torch.matmul,
    variant=lambda input, other: "batched" if other.dim() > 2 else "2-D",
    cost=_matmul_cost,
    products=_matmul_cost,
    examples={
        "2-D": lambda m, k, dtype: ((normal(m, k, dtype=dtype), normal(k, m, dtype=dtype)), {}),
        "batched": lambda m, k, dtype: ((normal(2, m, k, dtype=dtype), normal(2, k, 5, dtype=dtype)), {}),
    },
    sizes=((1024, 1024), (384, 384), (2048, 512), (64, 4096)),
)

LINEAR = Op(
    name="linear",
    primitive="matmul",
    idea="x W^T + b with the activation applied while the tile is still in registers",
    inputs=("x", "weight", "bias?"),  # (..., K), (N, K), (N)
    options=LinearOptions,
    outputs=("y",),
    kept=("saved",),  # the pre-activation for GELU, else empty; for ReLU backward takes y in its place
    saved=("x", "weight", "saved"),
    gradients=("x", "weight", "bias"),
    ideas=IDEAS,
    torch=lambda input, weight, bias=None, activation=None: {
        None: lambda y: y,
        "relu": F.relu,
        "gelu": F.gelu,
        "gelu_tanh": lambda y: F.gelu(y, approximate="tanh"),
    }[activation](F.linear(input, weight, bias)),
    variant=lambda input, weight, bias=None, activation=None: activation or "none",
    cost=_linear_cost,
    products=_linear_cost,
    examples={
        name: lambda m, k, dtype, activation=activation: (
            (normal(m, k, dtype=dtype), normal(max(k // 2, 2), k, dtype=dtype), normal(max(k // 2, 2), dtype=dtype)),
            {"activation": activation} if activation else {},
        )
        for name, activation in (("bias+gelu", "gelu"), ("bias", None), ("bias+relu", "relu"), ("bias+gelu_tanh", "gelu_tanh"))
    },
    sizes=((1024, 1024), (64, 1024)),
)
