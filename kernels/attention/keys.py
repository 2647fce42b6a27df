"""Attention, rung 4: the gradients of keys and values in tiles: BLOCK_N keys walk along the tiles of queries of all heads that
share them.

One kernel makes both, as VALUES says: together they would need more registers than there are.

          products of tiles              bytes (L queries, S keys of E numbers of b bytes, per head)
dk        3: q k^T, g v^T, ds^T q        3 L S E b / BLOCK_N, from the L2 cache
dv        3: q k^T, g v^T, p^T g         the same
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.attention import naive
from scratchnet.kernels.attention.online import attention_forward as attention_forward
from scratchnet.kernels.attention.queries import queries_gradient
from scratchnet.kernels.attention_tiles import Backward, backward_arguments, gradients, part_of
from scratchnet.kernels.launch import launch
from scratchnet.ops.attention import AttentionOptions


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
            dropped, ds, dx = gradients(
                q + b * q_batch + h * q_head, k + b * k_batch + group * k_head, v + b * v_batch + group * v_head,
                grad + b * g_batch + h * g_head, None if mask is None else mask + b * mask_batch + h * mask_head,
                seed, delta, lse, (b * heads + h) * queries + i, i, j,
                mask_row, mask_column, q_row, q_column, k_row, k_column, v_row, v_column, g_row, g_column,
                queries, keys, size, value_size, left, right, scale, softcap, threshold, factor,
                CAPPED, BOOLEAN, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
            )  # fmt: skip
            if VALUES:
                rows = part_of(grad + b * g_batch + h * g_head, i, e, i < queries, g_row, g_column, value_size, DOT)
                total = tl.dot(tl.trans(dropped).to(DOT), rows, total, input_precision=PRECISION, out_dtype=ACC)
            else:
                rows = part_of(q + b * q_batch + h * q_head, i, e, i < queries, q_row, q_column, size, DOT)
                total = tl.dot(tl.trans(dx).to(DOT), rows, total, input_precision=PRECISION, out_dtype=ACC)
    at = (head * keys + j)[:, None] * width + e[None, :]
    tl.store(dkey + at, total.to(dkey.dtype.element_ty), mask=(j < keys)[:, None] & (e < width)[None, :])


def keys_gradient(call: Backward, values: bool) -> Tensor:
    """That of the keys, or of the values."""
    of = call.tensors[3 if values else 2]
    b, groups, keys, size = of.shape
    dkey = of.new_empty(of.shape)
    grid = (b * groups * triton.cdiv(keys, call.constants["BLOCK_N"]) * triton.cdiv(size, call.constants["BLOCK_V"]),)
    launch(keys_kernel, grid, *call.tensors, dkey, *call.further, VALUES=values, **call.constants)
    return dkey


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
    dk, dv = keys_gradient(call, False) if need_k else None, keys_gradient(call, True) if need_v else None
    needs = (False, False, False, need_mask, need_sinks)
    return dq, dk, dv, *naive.attention_backward(grad, q, k, v, mask, sinks, seed, y, lse, options, *needs)[3:]
