"""Attention in tiles: one of queries and one of keys make a tile of scores in registers, which is used there.

forward   a program has BLOCK_M queries and BLOCK_V columns of the values; it walks along the tiles of keys
backward  dq: the same programs;  dk, dv: BLOCK_N keys walk along the tiles of queries of all heads that share them;
          dmask: a tile of the mask walks along all that it was broadcast to

          products of tiles                                  bytes (L queries, S keys of E numbers of b bytes, per head)
forward   2: q k^T, p v                                      2 L S E b / BLOCK_M, from the L2 cache
backward  8: q k^T and g v^T for each of dq, dk and dmask    6 L S E b / BLOCK_M

Sizes above BLOCK_V make a program more for each further BLOCK_V columns, which computes the scores again: registers suffice for
heads of any size. Nothing is added atomically. https://arxiv.org/abs/2205.14135, https://arxiv.org/abs/2307.08691
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.attention_scores import common, delta_of, place_of, score, sinks_gradient
from scratchnet.kernels.dropout_mask import kept
from scratchnet.kernels.launch import INTERPRETED, launch
from scratchnet.kernels.tile import multiply_tile, types, uses_threads
from scratchnet.ops.attention import AttentionOptions


@triton.jit
def _visible(i, j, queries, keys, left, right):
    """Which keys the queries of a tile see, (M, N)."""
    ahead = j[None, :] - i[:, None]
    return (i < queries)[:, None] & (j < keys)[None, :] & (ahead >= -left) & (ahead <= right)


@triton.jit
def _scores(
    q, k, i, j, mask, mask_row, mask_column, q_row, q_column, k_row, k_column, queries, keys, size, left, right,
    scale, softcap, CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """A tile of scores (M, N) of a head whose q, k and mask begin at these places, and the softcap's derivative."""
    x = multiply_tile(
        q, k, i, j, (i < queries)[:, None], (j < keys)[None, :], 0, size, size, q_row, q_column, k_column, k_row,
        PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip
    seen = _visible(i, j, queries, keys, left, right)
    at = i[:, None] * mask_row + j[None, :] * mask_column
    return score((x * scale).to(ACC), mask, at, seen, softcap, CAPPED, BOOLEAN)


@triton.jit
def _part(x, row, column, inside, row_stride, column_stride, size, DOT: tl.constexpr):
    """Rows of a head and some of its columns: (rows, columns)."""
    at = row[:, None] * row_stride + column[None, :] * column_stride
    return tl.load(x + at, mask=inside[:, None] & (column < size)[None, :], other=0).to(DOT)


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
        s, slope = _scores(
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
        values = _part(v + b * v_batch + g * v_head, j, e, j < keys, v_row, v_column, value_size, DOT)
        o = tl.dot(p.to(DOT), values, o * shrink[:, None], input_precision=PRECISION, out_dtype=ACC)
    none = total == 0
    o = tl.where(none[:, None], 0, o / tl.where(none, 1, total)[:, None])
    at = ((b * queries + i) * heads + h)[:, None] * value_size + e[None, :]
    tl.store(y + at, o.to(y.dtype.element_ty), mask=(i < queries)[:, None] & (e < value_size)[None, :])
    if part == 0:
        result = tl.where(none, float("inf"), m + tl.log(tl.where(none, 1, total)))
        tl.store(lse + row, result.to(tl.float64), mask=i < queries)


def _blocks(q: Tensor) -> dict:
    """Sizes of tiles: those of matrix units, or of threads that multiply one by one, whose registers hold less."""
    small = uses_threads(q) and not INTERPRETED  # the interpreter is the faster, the fewer tiles there are
    m, k, v = (16, 16, 32) if small else (64, 32, 64)  # anything larger in float32 spills on sm_80
    return {**types(q), "BLOCK_M": m, "BLOCK_N": m, "BLOCK_K": k, "BLOCK_V": v}


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
    blocks = _blocks(q)
    grid = (b * h * triton.cdiv(rows, blocks["BLOCK_M"]) * triton.cdiv(max(v.shape[3], 1), blocks["BLOCK_V"]),)
    strides = (*q.stride(), *k.stride(), *v.stride())
    if not v.shape[3]:  # no value to compute, but lse
        arguments = arguments._replace(value_size=1)
        v = v.new_zeros(*v.shape[:3], 1)
        strides, y_ = (*q.stride(), *k.stride(), *v.stride()), q.new_empty(b, rows, h, 1)
        launch(forward_kernel, grid, q, k, v, sinks, y_, lse, *strides, *arguments, **flags, **blocks)
    else:
        launch(forward_kernel, grid, q, k, v, sinks, y, lse, *strides, *arguments, **flags, **blocks)
    return y, lse


@triton.jit
def _gradients(
    q, k, v, grad, mask, seed, delta, lse, row, i, j,  # of one head; row: the number of its queries in delta and lse
    mask_row, mask_column, q_row, q_column, k_row, k_column, v_row, v_column, g_row, g_column,
    queries, keys, size, value_size, left, right, scale, softcap, threshold, factor,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """z p, and the gradients of the scores and of the products of a tile, (M, N); 0 where nothing is seen."""
    s, slope = _scores(
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


@triton.jit
def queries_kernel(
    grad, q, k, v, delta, lse, dq,  # (B, H, L, Ev), as above, (B, H, L) twice, (B, H, L, E)
    g_batch, g_head, g_row, g_column, q_batch, q_head, q_row, q_column, k_batch, k_head, k_row, k_column,
    v_batch, v_head, v_row, v_column,
    mask, mask_batch, mask_head, mask_row, mask_column, seed, heads, groups, queries, keys, size, value_size, left, right,
    scale: tl.float64, softcap: tl.float64, threshold, factor: tl.float64,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    parts, tiles = tl.cdiv(size, BLOCK_V), tl.cdiv(queries, BLOCK_M)
    part, tile = tl.program_id(0) % parts, (tl.program_id(0) // parts % tiles).to(tl.int64)
    b, h, first, group = place_of((tl.program_id(0) // parts // tiles).to(tl.int64), heads, groups, 1)
    i, e = tile * BLOCK_M + tl.arange(0, BLOCK_M), part.to(tl.int64) * BLOCK_V + tl.arange(0, BLOCK_V)
    g = group % groups
    row = (b * heads + h) * queries + i
    total = tl.zeros([BLOCK_M, BLOCK_V], ACC)
    begin = tl.maximum(0, tile * BLOCK_M - left) // BLOCK_N * BLOCK_N
    for start in range(begin, tl.minimum(keys, (tile + 1) * BLOCK_M + right), BLOCK_N):
        j = start + tl.arange(0, BLOCK_N).to(tl.int64)
        dropped, ds, dx = _gradients(
            q + b * q_batch + h * q_head, k + b * k_batch + g * k_head, v + b * v_batch + g * v_head,
            grad + b * g_batch + h * g_head, None if mask is None else mask + b * mask_batch + h * mask_head,
            seed, delta, lse, row, i, j,
            mask_row, mask_column, q_row, q_column, k_row, k_column, v_row, v_column, g_row, g_column,
            queries, keys, size, value_size, left, right, scale, softcap, threshold, factor,
            CAPPED, BOOLEAN, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
        )  # fmt: skip
        k_part = _part(k + b * k_batch + g * k_head, j, e, j < keys, k_row, k_column, size, DOT)
        total = tl.dot(dx.to(DOT), k_part, total, input_precision=PRECISION, out_dtype=ACC)
    at = row[:, None] * size + e[None, :]
    tl.store(dq + at, total.to(dq.dtype.element_ty), mask=(i < queries)[:, None] & (e < size)[None, :])


@triton.jit
def keys_kernel(
    grad, q, k, v, delta, lse, dkey,  # as above, and dk (B, G, S, E), or with VALUES dv (B, G, S, Ev)
    g_batch, g_head, g_row, g_column, q_batch, q_head, q_row, q_column, k_batch, k_head, k_row, k_column,
    v_batch, v_head, v_row, v_column,
    mask, mask_batch, mask_head, mask_row, mask_column, seed, heads, groups, queries, keys, size, value_size, left, right,
    scale: tl.float64, softcap: tl.float64, threshold, factor: tl.float64, VALUES: tl.constexpr,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    width = value_size if VALUES else size
    parts, tiles, share = tl.cdiv(width, BLOCK_V), tl.cdiv(keys, BLOCK_N), heads // groups
    part, tile = tl.program_id(0) % parts, (tl.program_id(0) // parts % tiles).to(tl.int64)
    head = (tl.program_id(0) // parts // tiles).to(tl.int64)
    b, group = head // groups, head % groups
    j, e = tile * BLOCK_N + tl.arange(0, BLOCK_N), part.to(tl.int64) * BLOCK_V + tl.arange(0, BLOCK_V)
    total = tl.zeros([BLOCK_N, BLOCK_V], ACC)
    begin = tl.maximum(0, tile * BLOCK_N - right) // BLOCK_M * BLOCK_M
    end = tl.minimum(queries, (tile + 1) * BLOCK_N + left)
    for h in range(group * share, group * share + share):
        for start in range(begin, end, BLOCK_M):
            i = start + tl.arange(0, BLOCK_M).to(tl.int64)
            dropped, ds, dx = _gradients(
                q + b * q_batch + h * q_head, k + b * k_batch + group * k_head, v + b * v_batch + group * v_head,
                grad + b * g_batch + h * g_head, None if mask is None else mask + b * mask_batch + h * mask_head,
                seed, delta, lse, (b * heads + h) * queries + i, i, j,
                mask_row, mask_column, q_row, q_column, k_row, k_column, v_row, v_column, g_row, g_column,
                queries, keys, size, value_size, left, right, scale, softcap, threshold, factor,
                CAPPED, BOOLEAN, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
            )  # fmt: skip
            if VALUES:
                rows = _part(grad + b * g_batch + h * g_head, i, e, i < queries, g_row, g_column, value_size, DOT)
                total = tl.dot(tl.trans(dropped).to(DOT), rows, total, input_precision=PRECISION, out_dtype=ACC)
            else:
                rows = _part(q + b * q_batch + h * q_head, i, e, i < queries, q_row, q_column, size, DOT)
                total = tl.dot(tl.trans(dx).to(DOT), rows, total, input_precision=PRECISION, out_dtype=ACC)
    at = (head * keys + j)[:, None] * width + e[None, :]
    tl.store(dkey + at, total.to(dkey.dtype.element_ty), mask=(j < keys)[:, None] & (e < width)[None, :])


@triton.jit
def mask_kernel(
    grad, q, k, v, delta, lse, dmask,  # as above, and (batches, of_heads, rows, columns): 1, or as many as the scores have
    g_batch, g_head, g_row, g_column, q_batch, q_head, q_row, q_column, k_batch, k_head, k_row, k_column,
    v_batch, v_head, v_row, v_column,
    mask, mask_batch, mask_head, mask_row, mask_column, seed, heads, groups, queries, keys, size, value_size, left, right,
    scale: tl.float64, softcap: tl.float64, threshold, factor: tl.float64,
    all_batches, batches, of_heads, rows, columns,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    down, across = tl.cdiv(rows, BLOCK_M), tl.cdiv(columns, BLOCK_N)
    tile = (tl.program_id(0) % (down * across)).to(tl.int64)
    head = (tl.program_id(0) // (down * across)).to(tl.int64)
    m, n, of_head, batch = tile // across, tile % across, head % of_heads, head // of_heads
    # what of every axis belongs to this tile: a share of the mask's own, or all that it was broadcast to
    first_b, count_b = (0, all_batches) if batches == 1 else (batch, 1)
    first_h, count_h = (0, heads) if of_heads == 1 else (of_head, 1)
    first_m, count_m = (0, tl.cdiv(queries, BLOCK_M)) if rows == 1 else (m, 1)
    first_n, count_n = (0, tl.cdiv(keys, BLOCK_N)) if columns == 1 else (n, 1)
    total = tl.zeros([BLOCK_M, BLOCK_N], ACC)
    for number in range(0, count_b * count_h * count_m * count_n):
        b, h = first_b + number // count_n // count_m // count_h, first_h + number // count_n // count_m % count_h
        i = (first_m + number // count_n % count_m) * BLOCK_M + tl.arange(0, BLOCK_M).to(tl.int64)
        j = (first_n + number % count_n) * BLOCK_N + tl.arange(0, BLOCK_N).to(tl.int64)
        g = h // (heads // groups)
        dropped, ds, dx = _gradients(
            q + b * q_batch + h * q_head, k + b * k_batch + g * k_head, v + b * v_batch + g * v_head,
            grad + b * g_batch + h * g_head, mask + b * mask_batch + h * mask_head,
            seed, delta, lse, (b * heads + h) * queries + i, i, j,
            mask_row, mask_column, q_row, q_column, k_row, k_column, v_row, v_column, g_row, g_column,
            queries, keys, size, value_size, left, right, scale, softcap, threshold, factor,
            CAPPED, BOOLEAN, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
        )  # fmt: skip
        total += ds
    if rows == 1:
        total = tl.zeros([BLOCK_M, 1], ACC) + tl.sum(total, 0)[None, :]
    if columns == 1:
        total = tl.zeros([1, BLOCK_N], ACC) + tl.sum(total, 1)[:, None]
    i, j = m * BLOCK_M + tl.arange(0, BLOCK_M), n * BLOCK_N + tl.arange(0, BLOCK_N)
    at = (head * rows + i)[:, None] * columns + j[None, :]
    tl.store(dmask + at, total.to(dmask.dtype.element_ty), mask=(i < rows)[:, None] & (j < columns)[None, :])


def attention_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sinks: Tensor | None,
    seed: Tensor | None,
    y: Tensor,
    lse: Tensor,
    options: AttentionOptions,
    need_q: bool,
    need_k: bool,
    need_v: bool,
    need_mask: bool,
    need_sinks: bool,
) -> tuple[Tensor | None, ...]:
    delta, lse, g = delta_of(grad, y), lse.contiguous(), grad.transpose(1, 2)
    arguments, flags = common(q, k, v, mask, seed, options)
    blocks = _blocks(q)
    m, n, width = blocks["BLOCK_M"], blocks["BLOCK_N"], blocks["BLOCK_V"]
    strides = (*g.stride(), *q.stride(), *k.stride(), *v.stride())
    inputs, further = (g, q, k, v, delta, lse), {**flags, **blocks}
    (b, h, rows, size), (groups, keys), value_size = q.shape, k.shape[1:3], v.shape[3]
    dq = dk = dv = dmask = None
    if need_q:
        dq = q.new_empty(q.shape)
        grid = (b * h * triton.cdiv(rows, m) * triton.cdiv(size, width),)
        launch(queries_kernel, grid, *inputs, dq, *strides, *arguments, **further)
    if need_k:
        dk = k.new_empty(k.shape)
        grid = (b * groups * triton.cdiv(keys, n) * triton.cdiv(size, width),)
        launch(keys_kernel, grid, *inputs, dk, *strides, *arguments, VALUES=False, **further)
    if need_v:
        dv = v.new_empty(v.shape)
        grid = (b * groups * triton.cdiv(keys, n) * triton.cdiv(value_size, width),)
        launch(keys_kernel, grid, *inputs, dv, *strides, *arguments, VALUES=True, **further)
    if need_mask:
        dmask = mask.new_empty(mask.shape)
        grid = (mask.shape[0] * mask.shape[1] * triton.cdiv(mask.shape[2], m) * triton.cdiv(mask.shape[3], n),)
        launch(mask_kernel, grid, *inputs, dmask, *strides, *arguments, b, *mask.shape, **further)
    return dq, dk, dv, dmask, sinks_gradient(sinks, lse, delta) if need_sinks else None
