"""Attention, rung 5: the gradient of the mask in tiles: a tile of the mask walks along all that it was broadcast to.

The gradients of all scores, which rung 1 stores, exist in registers only.

          products of tiles       bytes (L queries, S keys of E numbers of b bytes, per head)
dmask     2: q k^T, g v^T         2 L S E b / BLOCK_M, from the L2 cache
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.attention.keys import keys_gradient
from scratchnet.kernels.attention.online import attention_forward as attention_forward
from scratchnet.kernels.attention.queries import queries_gradient
from scratchnet.kernels.attention_scores import sinks_gradient
from scratchnet.kernels.attention_tiles import Backward, backward_arguments, gradients
from scratchnet.kernels.launch import launch
from scratchnet.ops.attention import AttentionOptions


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
        dropped, ds, dx = gradients(
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


def mask_gradient(call: Backward, mask: Tensor) -> Tensor:
    dmask = mask.new_empty(mask.shape)
    (batches, heads, rows, columns), m, n = mask.shape, call.constants["BLOCK_M"], call.constants["BLOCK_N"]
    grid = (batches * heads * triton.cdiv(rows, m) * triton.cdiv(columns, n),)
    launch(mask_kernel, grid, *call.tensors, dmask, *call.further, call.tensors[1].shape[0], *mask.shape, **call.constants)
    return dmask


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
    call = backward_arguments(grad, q, k, v, mask, seed, y, lse, options)
    return (
        queries_gradient(call) if need_q else None,
        keys_gradient(call, False) if need_k else None,
        keys_gradient(call, True) if need_v else None,
        mask_gradient(call, mask) if need_mask else None,
        sinks_gradient(sinks, lse, call.tensors[4]) if need_sinks else None,
    )
