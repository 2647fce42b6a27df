"""The registry of matmul and linear."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Op, nbytes, normal


def _matmul_cost(a: Tensor, b: Tensor, bias: Tensor | None = None, activation: str | None = None, *, transposed=False) -> Cost:
    n = b.shape[-2] if transposed else b.shape[-1]
    out = a.numel() // max(a.shape[-1], 1) * n
    moved = nbytes(a, b, bias) + out * a.element_size()
    return Cost(moved, 2 * moved, 2 * out * a.shape[-1], 4 * out * a.shape[-1])


MATMUL = Op(
    name="matmul",
    primitive="matmul",
    idea="batched A @ B, any strides, no copy of a transposed operand",
    forward="(Tensor a, Tensor b) -> Tensor",  # a (..., M, K), b (..., K, N), equal batch axes (expanded views)
    backward="(Tensor grad, Tensor a, Tensor b, bool need_a, bool need_b) -> (Tensor, Tensor)",
    torch=torch.matmul,
    cost=_matmul_cost,
    examples={
        "2-D": lambda m, k, dtype: ((normal(m, k, dtype=dtype), normal(k, m, dtype=dtype)), {}),
        "batched": lambda m, k, dtype: ((normal(2, m, k, dtype=dtype), normal(2, k, 5, dtype=dtype)), {}),
    },
    sizes=((1024, 1024), (384, 384), (2048, 512), (64, 4096)),
    own_up_to=2**12,
)

LINEAR = Op(
    name="linear",
    primitive="matmul",
    idea="x W^T + b with the activation applied while the tile is still in registers",
    # x (..., K), weight (N, K), bias (N); -> y, z: the pre-activation for GELU, else empty; saved is z, for ReLU y
    forward="(Tensor x, Tensor weight, Tensor? bias, int activation) -> (Tensor, Tensor)",
    backward="(Tensor grad, Tensor x, Tensor weight, Tensor saved, int activation, bool need_x, bool need_weight,"
    " bool need_bias) -> (Tensor, Tensor, Tensor)",
    torch=lambda input, weight, bias=None, activation=None: {
        None: lambda y: y,
        "relu": F.relu,
        "gelu": F.gelu,
        "gelu_tanh": lambda y: F.gelu(y, approximate="tanh"),
    }[activation](F.linear(input, weight, bias)),
    cost=lambda *args, **kwargs: _matmul_cost(*args, transposed=True, **kwargs),
    examples={
        name: lambda m, k, dtype, activation=activation: (
            (normal(m, k, dtype=dtype), normal(max(k // 2, 2), k, dtype=dtype), normal(max(k // 2, 2), dtype=dtype)),
            {"activation": activation} if activation else {},
        )
        for name, activation in (("bias+gelu", "gelu"), ("bias", None), ("bias+relu", "relu"), ("bias+gelu_tanh", "gelu_tanh"))
    },
    sizes=((1024, 1024), (64, 1024)),
    own_up_to=2**12,
)
