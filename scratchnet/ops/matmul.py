"""The description of matmul and linear."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Callable, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Op, nbytes, normal, one_row


def _matmul_cost(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Cost:
    out = a.numel() // max(a.shape[-1], 1) * b.shape[-1]
    moved = nbytes(a, b, bias) + out * a.element_size()
    return Cost(moved, 2 * moved, 2 * out * a.shape[-1], 4 * out * a.shape[-1])


_AFTER: dict[str, Callable] = {"relu": F.relu, "gelu": F.gelu, "gelu_tanh": lambda y: F.gelu(y, approximate="tanh")}


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None) -> Tensor:
    y = F.linear(input, weight, bias)
    return y if activation is None else _AFTER[activation](y)


def _linear_variant(input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None) -> str:
    """A product with one row takes as long as its weight takes to be read."""
    return activation or ("one row" if one_row(input) else "none")


def _one_row(m: int, k: int, dtype: torch.dtype) -> tuple[tuple, dict]:
    return (normal(1, k, dtype=dtype), normal(m, k, dtype=dtype), normal(m, dtype=dtype)), {}


def _linear_cost(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | int | None = None) -> Cost:
    return _matmul_cost(x, weight.mT, bias)


def _blocks(*blocks: tuple[int, int]) -> Callable[..., Cost]:
    """Rows and columns of the blocks of a result, for y = a b, da = g b^T and db = a^T g: the first factor is read once for
    each block of columns, the second once for each block of rows."""

    def cost(a: Tensor, b: Tensor) -> Cost:
        (*batch, m, k), n = a.shape, b.shape[-1]
        numbers = [
            rows * inner * math.ceil(columns / wide) + inner * columns * math.ceil(rows / high) + rows * columns
            for (rows, inner, columns), (high, wide) in zip(((m, k, n), (m, n, k), (k, m, n)), blocks, strict=True)
        ]
        forward, *backward = (number * math.prod(batch) * a.element_size() for number in numbers)
        return replace(_matmul_cost(a, b), forward_bytes=forward, backward_bytes=sum(backward))

    return cost


class LinearOptions(NamedTuple):
    """activation: an index into EPILOGUES."""

    activation: int


IDEAS = {
    "cpp": (
        "naive loop",
        "loop order ikj",
        "cache blocks",
        "register tiles, SIMD",
        "threads",
        "packing in registers",
        "packed panels",
        "read in place",
        "products of vectors",
    ),
    "cuda": (
        "one thread per element",
        "shared tiles",
        "register tiles",
        "packs from shared memory",
        "copies that run ahead",
        "tensor cores, K split",
    ),
    "triton": (
        "naive: one tile per program",
        "tuned: tiles in groups, tuned sizes",
        "split: K split where tiles are few, fused epilogue",
    ),
}

MATMUL = Op(
    name="matmul",
    primitive="matmul",
    idea="batched A @ B, any strides, no copy of a transposed operand",
    inputs=("a", "b"),  # (..., M, K), (..., K, N), equal batch axes (expanded views)
    outputs=("y",),
    saved=("a", "b"),
    gradients=("a", "b"),
    ideas=IDEAS,
    torch=torch.matmul,
    variant=lambda input, other: "batched" if other.dim() > 2 else "2-D",
    work=lambda input, other: input.numel() * (other.size(-1) if other.dim() > 1 else 1),
    cost=_matmul_cost,
    # Rung 2 takes the loops of rung 1 where the second factor is transposed; rung 4's tiles are those of AVX-512.
    passes={
        "cpp:1": _blocks((1, 1), (1, 1), (1, 1)),
        "cpp:2": _blocks((1, sys.maxsize), (1, 1), (1, sys.maxsize)),
        "cpp:3": _blocks(*[(64, 128)] * 3),
        "cpp:4": _blocks(*[(192, 48)] * 3),
        "cpp:7": _matmul_cost,
    },
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
    outputs_alone=True,
    gradients=("x", "weight", "bias"),
    ideas=IDEAS | {"triton": ("linear: bias and activation in the product",)},
    torch=_linear,
    variant=_linear_variant,
    work=lambda input, weight, *args, **kwargs: input.numel() * weight.size(0),
    forward_only={"one row": _one_row},
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
