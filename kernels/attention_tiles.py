"""Attention in tiles: one of queries and one of keys make a tile of scores in registers, which is used there.

Sizes above BLOCK_V make a program more for each further BLOCK_V columns, which computes the scores again: registers suffice for
heads of any size. Nothing is added atomically. https://arxiv.org/abs/2205.14135, https://arxiv.org/abs/2307.08691
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.attention_scores import common, delta_of, score
from scratchnet.kernels.dropout_mask import kept
from scratchnet.kernels.launch import INTERPRETED
from scratchnet.kernels.tile import multiply_tile, types, uses_threads
from scratchnet.ops.attention import AttentionOptions


@triton.jit
def visible(i, j, queries, keys, left, right):
    """Which keys the queries of a tile see, (M, N)."""
    ahead = j[None, :] - i[:, None]
    return (i < queries)[:, None] & (j < keys)[None, :] & (ahead >= -left) & (ahead <= right)


@triton.jit
def scores(
    q, k, i, j, mask, mask_row, mask_column, q_row, q_column, k_row, k_column, queries, keys, size, left, right,
    scale, softcap, CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """A tile of scores (M, N) of a head whose q, k and mask begin at these places, and the softcap's derivative."""
    x = multiply_tile(
        q, k, i, j, (i < queries)[:, None], (j < keys)[None, :], 0, size, size, q_row, q_column, k_column, k_row,
        PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip
    seen = visible(i, j, queries, keys, left, right)
    at = i[:, None] * mask_row + j[None, :] * mask_column
    return score((x * scale).to(ACC), mask, at, seen, softcap, CAPPED, BOOLEAN)


@triton.jit
def part_of(x, row, column, inside, row_stride, column_stride, size, DOT: tl.constexpr):
    """Rows of a head and some of its columns: (rows, columns)."""
    at = row[:, None] * row_stride + column[None, :] * column_stride
    return tl.load(x + at, mask=inside[:, None] & (column < size)[None, :], other=0).to(DOT)


@triton.jit
def gradients(
    q, k, v, grad, mask, seed, delta, lse, row, i, j,  # of one head; row: the number of its queries in delta and lse
    mask_row, mask_column, q_row, q_column, k_row, k_column, v_row, v_column, g_row, g_column,
    queries, keys, size, value_size, left, right, scale, softcap, threshold, factor,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """z p, and the gradients of the scores and of the products of a tile, (M, N); 0 where nothing is seen."""
    s, slope = scores(
        q, k, i, j, mask, mask_row, mask_column, q_row, q_column, k_row, k_column, queries, keys, size, left, right,
        scale, softcap, CAPPED, BOOLEAN, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip
    dp = multiply_tile(
        grad, v, i, j, (i < queries)[:, None], (j < keys)[None, :], 0, value_size, value_size, g_row, g_column, v_column, v_row,
        PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip
    inside = i < queries
    p = tl.exp(s - tl.load(lse + row, mask=inside, other=0).to(ACC)[:, None])
    dropped = p
    if seed is not None:
        z = kept(seed, row[:, None], j[None, :], threshold, factor, ACC)
        dp, dropped = dp * z, p * z
    ds = p * (dp - tl.load(delta + row, mask=inside, other=0).to(ACC)[:, None])
    return dropped, ds, (ds * slope * scale).to(ACC)


def blocks(q: Tensor) -> dict:
    """Sizes of tiles: those of matrix units, or of threads that multiply one by one, whose registers hold less."""
    small = uses_threads(q) and not INTERPRETED  # the interpreter is the faster, the fewer tiles there are
    m, k, v = (16, 16, 32) if small else (64, 32, 64)  # anything larger in float32 spills on sm_80
    return {**types(q), "BLOCK_M": m, "BLOCK_N": m, "BLOCK_K": k, "BLOCK_V": v}


class Backward(NamedTuple):
    """The arguments of every kernel of a backward pass, in this order but for its result, which comes after the tensors."""

    tensors: tuple[Tensor, ...]  # grad (B, H, L, Ev), q, k, v, delta and lse (B, H, L)
    further: tuple[int | float | Tensor | None, ...]  # strides, and the fields of Common
    constants: dict


def backward_arguments(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    seed: Tensor | None,
    y: Tensor,
    lse: Tensor,
    options: AttentionOptions,
) -> Backward:
    arguments, flags = common(q, k, v, mask, seed, options)
    delta, lse, g = delta_of(grad, y), lse.contiguous(), grad.transpose(1, 2)
    strides = (*g.stride(), *q.stride(), *k.stride(), *v.stride())
    return Backward((g, q, k, v, delta, lse), (*strides, *arguments), {**flags, **blocks(q)})
