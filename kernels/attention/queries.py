"""Attention, rung 3: the gradient of the queries in tiles, too.

The programs of forward make their tiles of scores again, and a tile of the gradients of these: no score is stored. All other
gradients are those of rung 1.

       products of tiles                bytes (L queries, S keys of E numbers of b bytes, per head)
dq     3: q k^T, g v^T, ds k            3 L S E b / BLOCK_M, from the L2 cache
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.attention import naive
from scratchnet.kernels.attention.online import attention_forward as attention_forward
from scratchnet.kernels.attention_scores import place_of
from scratchnet.kernels.attention_tiles import Backward, backward_arguments, gradients, part_of
from scratchnet.kernels.launch import launch
from scratchnet.ops.attention import AttentionOptions


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
        dropped, ds, dx = gradients(
            q + b * q_batch + h * q_head, k + b * k_batch + g * k_head, v + b * v_batch + g * v_head,
            grad + b * g_batch + h * g_head, None if mask is None else mask + b * mask_batch + h * mask_head,
            seed, delta, lse, row, i, j,
            mask_row, mask_column, q_row, q_column, k_row, k_column, v_row, v_column, g_row, g_column,
            queries, keys, size, value_size, left, right, scale, softcap, threshold, factor,
            CAPPED, BOOLEAN, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
        )  # fmt: skip
        k_part = part_of(k + b * k_batch + g * k_head, j, e, j < keys, k_row, k_column, size, DOT)
        total = tl.dot(dx.to(DOT), k_part, total, input_precision=PRECISION, out_dtype=ACC)
    at = row[:, None] * size + e[None, :]
    tl.store(dq + at, total.to(dq.dtype.element_ty), mask=(i < queries)[:, None] & (e < size)[None, :])


def queries_gradient(call: Backward) -> Tensor:
    q = call.tensors[1]
    b, h, rows, size = q.shape
    dq = q.new_empty(q.shape)
    grid = (b * h * triton.cdiv(rows, call.constants["BLOCK_M"]) * triton.cdiv(size, call.constants["BLOCK_V"]),)
    launch(queries_kernel, grid, *call.tensors, dq, *call.further, **call.constants)
    return dq


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
    dq = queries_gradient(call) if need_q else None
    needs = (False, need_k, need_v, need_mask, need_sinks)
    return dq, *naive.attention_backward(grad, q, k, v, mask, sinks, seed, y, lse, options, *needs)[1:]
