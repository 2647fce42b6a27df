"""What every attention kernel does to the products of queries and keys: scale, softcap, mask, window, dropout.

s = softcap tanh(x / softcap) + mask,  -inf for a key that its query does not see;  cap'(x) = 1 - tanh^2(x / softcap)
tanh(u) = 2 sigma(2u) - 1,  1 - tanh^2(u) = 4 sigma(2u) sigma(-2u): no difference of nearly equal numbers
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels import launch  # noqa: F401  decides whether Triton compiles or interprets
from scratchnet.ops.attention import AttentionOptions
from scratchnet.ops.dropout import threshold_and_factor


@triton.jit
def place_of(row, heads, groups, queries):
    """Batch, head and query of a row number (batch, head, query), and the number of its head's group."""
    b, h = row // queries // heads, row // queries % heads
    return b, h, row % queries, b * groups + h // (heads // groups)


@triton.jit
def score(x, mask, at, seen, softcap, CAPPED: tl.constexpr, BOOLEAN: tl.constexpr):
    """Scores from scaled products, and the softcap's derivative; `at`: where the mask has them."""
    slope = tl.full(x.shape, 1, x.dtype)
    if CAPPED:
        u = (2 * x / softcap).to(x.dtype)
        half = tl.sigmoid(u)
        slope = 4 * half * tl.sigmoid(-u)
        x = (softcap * (2 * half - 1)).to(x.dtype)
    if mask is not None:
        m = tl.load(mask + at, mask=seen, other=0)
        x = tl.where(m != 0, x, float("-inf")) if BOOLEAN else x + m.to(x.dtype)
    return tl.where(seen, x, float("-inf")), slope


class Common(NamedTuple):
    """Arguments of every kernel: the mask as numbers with its strides (0: broadcast), the seed, sizes, options."""

    mask: Tensor | None
    mask_batch: int
    mask_head: int
    mask_row: int
    mask_column: int
    seed: Tensor | None
    heads: int
    groups: int
    queries: int
    keys: int
    size: int
    value_size: int
    left: int
    right: int
    scale: float
    softcap: float
    threshold: int
    factor: float


def common(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, seed: Tensor | None, options: AttentionOptions
) -> tuple[Common, dict]:
    """The arguments that are the same for all kernels of a call, and the flags CAPPED and BOOLEAN."""
    boolean = mask is not None and mask.dtype is torch.bool
    strides = [0] * 4 if mask is None else [0 if size == 1 else n for size, n in zip(mask.shape, mask.stride(), strict=True)]
    sizes = q.shape[1], k.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3]
    left, right, scale, softcap, dropout = options
    threshold, factor = threshold_and_factor(dropout)
    mask = mask.view(torch.uint8) if boolean else mask
    arguments = Common(mask, *strides, seed if dropout > 0 else None, *sizes, left, right, scale, softcap, threshold, factor)
    return arguments, {"CAPPED": softcap > 0, "BOOLEAN": boolean}


def delta_of(grad: Tensor, y: Tensor) -> Tensor:
    """g . y of every query, (B, H, L), from (B, L, H, Ev)."""
    wide = torch.float64 if y.dtype == torch.float64 else torch.float32
    return (grad.to(wide) * y.to(wide)).sum(3).transpose(1, 2).contiguous()


def sinks_gradient(sinks: Tensor, lse: Tensor, delta: Tensor) -> Tensor:
    """-sum of exp(sink - lse) delta over batches and queries, (H)."""
    return -((sinks[:, None] - lse).exp() * delta).sum((0, 2)).to(sinks.dtype)
