"""Attention, rung 2: forward in tiles; one of queries and one of keys make a tile of scores in registers, which is used there.

A program has BLOCK_M queries and BLOCK_V columns of the values; it walks along the tiles of keys. Backward is that of rung 1.

          products of tiles     bytes (L queries, S keys of E numbers of b bytes, per head)
forward   2: q k^T, p v         2 L S E b / BLOCK_M, from the L2 cache
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.attention.naive import attention_backward as attention_backward
from scratchnet.kernels.attention_scores import common, place_of
from scratchnet.kernels.attention_tiles import blocks, part_of, scores
from scratchnet.kernels.dropout_mask import kept
from scratchnet.kernels.launch import launch
from scratchnet.ops.attention import AttentionOptions


@triton.jit
def forward_kernel(
    q, k, v, sinks, y, lse,  # (B, H, L, E), (B, G, S, E), (B, G, S, Ev), (H) or None, (B, L, H, Ev), (B, H, L)
    q_batch, q_head, q_row, q_column, k_batch, k_head, k_row, k_column, v_batch, v_head, v_row, v_column,
    mask, mask_batch, mask_head, mask_row, mask_column, seed, heads, groups, queries, keys, size, value_size, left, right,
    scale: tl.float64, softcap: tl.float64, threshold, factor: tl.float64,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    parts, tiles = tl.cdiv(value_size, BLOCK_V), tl.cdiv(queries, BLOCK_M)
    part, tile = tl.program_id(0) % parts, tl.program_id(0) // parts % tiles
    b, h, first, group = place_of((tl.program_id(0) // parts // tiles).to(tl.int64), heads, groups, 1)
    i, e = tile.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M), part.to(tl.int64) * BLOCK_V + tl.arange(0, BLOCK_V)
    g = group % groups
    row = (b * heads + h) * queries + i
    m = tl.full([BLOCK_M], float("-inf"), ACC)
    if sinks is not None:
        m = tl.zeros([BLOCK_M], ACC) + tl.load(sinks + h).to(ACC)
    total, o = tl.where(m == float("-inf"), 0, 1).to(ACC), tl.zeros([BLOCK_M, BLOCK_V], ACC)
    begin = tl.maximum(0, tile.to(tl.int64) * BLOCK_M - left) // BLOCK_N * BLOCK_N
    for start in range(begin, tl.minimum(keys, (tile.to(tl.int64) + 1) * BLOCK_M + right), BLOCK_N):
        j = start + tl.arange(0, BLOCK_N).to(tl.int64)
        s, slope = scores(
            q + b * q_batch + h * q_head, k + b * k_batch + g * k_head, i, j,
            None if mask is None else mask + b * mask_batch + h * mask_head, mask_row, mask_column,
            q_row, q_column, k_row, k_column, queries, keys, size, left, right, scale, softcap,
            CAPPED, BOOLEAN, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
        )  # fmt: skip
        new = tl.maximum(m, tl.max(s, 1))
        shift = tl.where(new == float("-inf"), 0, new)
        p, shrink = tl.exp(s - shift[:, None]), tl.exp(m - shift)
        total, m = total * shrink + tl.sum(p, 1), new
        if seed is not None:
            p *= kept(seed, row[:, None], j[None, :], threshold, factor, ACC)
        values = part_of(v + b * v_batch + g * v_head, j, e, j < keys, v_row, v_column, value_size, DOT)
        o = tl.dot(p.to(DOT), values, o * shrink[:, None], input_precision=PRECISION, out_dtype=ACC)
    none = total == 0
    o = tl.where(none[:, None], 0, o / tl.where(none, 1, total)[:, None])
    at = ((b * queries + i) * heads + h)[:, None] * value_size + e[None, :]
    tl.store(y + at, o.to(y.dtype.element_ty), mask=(i < queries)[:, None] & (e < value_size)[None, :])
    if part == 0:
        result = tl.where(none, float("inf"), m + tl.log(tl.where(none, 1, total)))
        tl.store(lse + row, result.to(tl.float64), mask=i < queries)


def attention_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sinks: Tensor | None,
    seed: Tensor | None,
    options: AttentionOptions,
) -> tuple[Tensor, Tensor]:
    arguments, flags = common(q, k, v, mask, seed, options)
    b, h, rows, _ = q.shape
    y, lse = q.new_empty(b, rows, h, v.shape[3]), q.new_empty(b, h, rows, dtype=torch.float64)
    sinks = None if sinks is None else sinks.contiguous()
    tile = blocks(q)
    grid = (b * h * triton.cdiv(rows, tile["BLOCK_M"]) * triton.cdiv(max(v.shape[3], 1), tile["BLOCK_V"]),)
    strides = (*q.stride(), *k.stride(), *v.stride())
    if not v.shape[3]:  # no value to compute, but lse
        arguments = arguments._replace(value_size=1)
        v = v.new_zeros(*v.shape[:3], 1)
        strides, y_ = (*q.stride(), *k.stride(), *v.stride()), q.new_empty(b, rows, h, 1)
        launch(forward_kernel, grid, q, k, v, sinks, y_, lse, *strides, *arguments, **flags, **tile)
    else:
        launch(forward_kernel, grid, q, k, v, sinks, y, lse, *strides, *arguments, **flags, **tile)
    return y, lse
