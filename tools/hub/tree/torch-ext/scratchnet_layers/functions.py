"""Functions of CPU tensors that have no gradient, with torch's names and arguments where torch has them.

Floats are float64, float32, bfloat16 or float16, one dtype in a call. 16-bit numbers are computed in float32.
"""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from ._ops import add_op_namespace_prefix, ops

REDUCTIONS = ("none", "mean", "sum")  # torch's own numbering
SILU = 4  # the activation silu of csrc/ops/activation.h


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """torch.nn.functional.layer_norm."""
    return ops.layer_norm(input, weight, bias, len(normalized_shape), eps)[0]


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """torch.nn.functional.rms_norm: eps None is the machine epsilon of the dtype computed in."""
    if eps is None:
        eps = torch.finfo(torch.float64 if input.dtype is torch.float64 else torch.float32).eps
    return ops.rms_norm(input, weight, len(normalized_shape), eps)[0]


def add_layer_norm(
    input: Tensor,
    residual: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """(input + residual, layer_norm of that sum), in one pass over memory."""
    return ops.add_layer_norm(input, residual, weight, bias, len(normalized_shape), eps)[:2]


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """torch.nn.functional.gelu."""
    return ops.gelu(input, approximate == "tanh")


def geglu(input: Tensor, dim: int = -1, approximate: str = "none") -> Tensor:
    """First half * gelu(second half) along dim: torch.nn.functional.glu with GELU."""
    return ops.geglu(input, dim, approximate == "tanh")


def swiglu(input: Tensor, dim: int = -1) -> Tensor:
    """silu(first half) * second half along dim."""
    return ops.glu(input, dim, SILU, True)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """torch.nn.functional.cross_entropy: logits (C,), (N, C) or (N, C, d1, ...), target of classes or of probabilities."""
    shape, rank = input.shape, input.dim()
    x = input.reshape(1, -1, 1) if rank == 1 else input.unsqueeze(-1) if rank == 2 else input.flatten(2)  # (N, C, S)
    rows = target.reshape(x.shape if target.is_floating_point() else (x.shape[0], x.shape[2]))
    loss = ops.cross_entropy(x, rows, weight, REDUCTIONS.index(reduction), ignore_index, label_smoothing)[0]
    return loss if reduction != "none" else loss.reshape(() if rank == 1 else (shape[0], *shape[2:]))


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target), whose logits exist for a few rows at a time.

    input (N, K), linear_weight (C, K), linear_bias (C,), target (N,) or probabilities (N, C).
    """
    options = REDUCTIONS.index(reduction), -100 if ignore_index is None else ignore_index, label_smoothing
    return ops.linear_cross_entropy(input, linear_weight, linear_bias, target, weight, *options)[0]


def embedding(input: Tensor, weight: Tensor) -> Tensor:
    """torch.nn.functional.embedding: rows of weight (V, D) at input (...), int64 or int32."""
    return ops.embedding(weight, input.long(), -1, False)


# ---- What torch.compile needs: results without their numbers. Statistics are float32 or wider, a logsumexp is float64. -------


def _rows(x: Tensor, ndim: int) -> Tensor:
    """One number for each row of a norm."""
    return x.new_empty(x.shape[: x.dim() - ndim] + (1,) * ndim, dtype=torch.promote_types(x.dtype, torch.float32))


def _half(x: Tensor, dim: int) -> Tensor:
    return x.new_empty([size // 2 if axis == dim % x.dim() else size for axis, size in enumerate(x.shape)])


def _loss(x: Tensor, rows: Sequence[int], reduction: int) -> tuple[Tensor, Tensor, Tensor]:
    loss = x.new_empty(() if reduction else rows)
    return loss, x.new_empty(rows, dtype=torch.float64), x.new_empty((), dtype=torch.promote_types(x.dtype, torch.float32))


@torch.library.register_fake(add_op_namespace_prefix("layer_norm"))
def _(x, weight, bias, ndim, eps, rung=0):
    return x.new_empty(x.shape), _rows(x, ndim), _rows(x, ndim)


@torch.library.register_fake(add_op_namespace_prefix("rms_norm"))
def _(x, weight, ndim, eps, rung=0):
    return x.new_empty(x.shape), _rows(x, ndim)


@torch.library.register_fake(add_op_namespace_prefix("add_layer_norm"))
def _(x, residual, weight, bias, ndim, eps, rung=0):
    return x.new_empty(x.shape), x.new_empty(x.shape), _rows(x, ndim), _rows(x, ndim)


@torch.library.register_fake(add_op_namespace_prefix("gelu"))
def _(x, tanh, rung=0):
    return x.new_empty(x.shape)


@torch.library.register_fake(add_op_namespace_prefix("geglu"))
def _(x, dim, tanh, rung=0):
    return _half(x, dim)


@torch.library.register_fake(add_op_namespace_prefix("glu"))
def _(x, dim, activation, gate_first, rung=0):
    return _half(x, dim)


@torch.library.register_fake(add_op_namespace_prefix("cross_entropy"))
def _(x, target, weight, reduction, ignore_index, label_smoothing, rung=0):
    return _loss(x, (x.shape[0], x.shape[2]), reduction)


@torch.library.register_fake(add_op_namespace_prefix("linear_cross_entropy"))
def _(x, linear_weight, linear_bias, target, weight, reduction, ignore_index, label_smoothing, rung=0):
    return _loss(x, x.shape[:1], reduction)


@torch.library.register_fake(add_op_namespace_prefix("embedding"))
def _(weight, index, padding_idx, scale_grad_by_freq, rung=0):
    return weight.new_empty((*index.shape, weight.shape[1]))
