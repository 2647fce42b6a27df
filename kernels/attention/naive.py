"""Attention, rung 1: one query per program, which walks along its keys with an online softmax; for dk and dv, one key.

m' = max(m, s),  l' = l exp(m - m') + sum exp(s - m'),  o' = o exp(m - m') + sum exp(s - m') v;  y = o / l,  lse = m + log(l)
backward: p = exp(s - lse),  ds = p (g . v - g . y);  no score is stored

          what each program reads                 bytes (L queries, S keys of E numbers of b bytes, per head)
forward   its query, all keys and values          2 L S E b, from the L2 cache
backward  dq: the same;  dk, dv: all q, g, y      2 L S E b and 3 L S E b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.attention_scores import common, delta_of, place_of, score, sinks_gradient
from scratchnet.kernels.dropout_mask import kept
from scratchnet.kernels.launch import accumulator, launch
from scratchnet.ops.attention import AttentionOptions

TILE = 4096  # numbers of keys, or of values, per step of a loop


@triton.jit
def _rows(x, row, e, inside, size, ACC: tl.constexpr):
    """Rows of a matrix with `size` columns: (rows, columns), 0 where there are none."""
    return tl.load(x + row[:, None] * size + e[None, :], mask=inside[:, None] & (e < size)[None, :], other=0).to(ACC)


@triton.jit
def forward_kernel(
    q, k, v, sinks, y, lse,  # (B H L, E), (B G S, E), (B G S, Ev), (H) or None, (B L H, Ev), (B H L)
    mask, mask_batch, mask_head, mask_row, mask_column, seed, heads, groups, queries, keys, size, value_size, left, right,
    scale: tl.float64, softcap: tl.float64, threshold, factor: tl.float64,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, ACC: tl.constexpr,
    BLOCK_S: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    b, h, i, group = place_of(row, heads, groups, queries)
    e, ev = tl.arange(0, BLOCK_E), tl.arange(0, BLOCK_V)
    query = tl.load(q + row * size + e, mask=e < size, other=0).to(ACC)
    m = tl.full([1], float("-inf"), ACC)
    if sinks is not None:
        m = tl.zeros([1], ACC) + tl.load(sinks + h).to(ACC)
    total, o = tl.where(m == float("-inf"), 0, 1).to(ACC), tl.zeros([BLOCK_V], ACC)
    for first in range(0, keys, BLOCK_S):
        j = first + tl.arange(0, BLOCK_S).to(tl.int64)
        seen = (j < keys) & (j >= i - left) & (j <= i + right)
        x = (tl.sum(query[None, :] * _rows(k, group * keys + j, e, j < keys, size, ACC), 1) * scale).to(ACC)
        at = b * mask_batch + h * mask_head + i * mask_row + j * mask_column
        s, slope = score(x, mask, at, seen, softcap, CAPPED, BOOLEAN)
        new = tl.maximum(m, tl.max(s, 0))
        shift = tl.where(new == float("-inf"), 0, new)
        p, shrink = tl.exp(s - shift), tl.exp(m - shift)
        total, m = total * shrink + tl.sum(p, 0), new
        if seed is not None:
            p *= kept(seed, row, j, threshold, factor, ACC)
        o = o * shrink + tl.sum(p[:, None] * _rows(v, group * keys + j, ev, j < keys, value_size, ACC), 0)
    none = total == 0
    o = tl.where(none, 0, o / tl.where(none, 1, total))
    tl.store(y + ((b * queries + i) * heads + h) * value_size + ev, o.to(y.dtype.element_ty), mask=ev < value_size)
    value = tl.where(none, float("inf"), m + tl.log(tl.where(none, 1, total)))
    tl.store(lse + row + tl.arange(0, 1), value.to(tl.float64))


def _in_order(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else t.contiguous() for t in tensors]


def _tile(size: int, value_size: int) -> dict:
    block_e, block_v = (triton.next_power_of_2(max(n, 1)) for n in (size, value_size))
    return {"BLOCK_S": max(1, TILE // max(block_e, block_v, 64)), "BLOCK_E": block_e, "BLOCK_V": block_v}


def attention_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sinks: Tensor | None,
    seed: Tensor | None,
    options: AttentionOptions,
) -> tuple[Tensor, Tensor]:
    q, k, v, sinks = _in_order(q, k, v, sinks)
    arguments, flags = common(q, k, v, mask, seed, options)
    b, h, rows, size = q.shape
    y, lse = q.new_empty(b, rows, h, v.shape[3]), q.new_empty(b, h, rows, dtype=torch.float64)
    tile = _tile(size, v.shape[3])
    launch(forward_kernel, (b * h * rows,), q, k, v, sinks, y, lse, *arguments, **flags, ACC=accumulator(q), **tile)
    return y, lse


@triton.jit
def queries_kernel(
    grad, q, k, v, delta, lse, dq, dmask,  # (B H L, Ev), (B H L, E), (B G S, E), (B G S, Ev), (B H L) twice, (B H L, E)
    # and the gradient of every score, (B H L, S), or None
    mask, mask_batch, mask_head, mask_row, mask_column, seed, heads, groups, queries, keys, size, value_size, left, right,
    scale: tl.float64, softcap: tl.float64, threshold, factor: tl.float64,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, ACC: tl.constexpr,
    BLOCK_S: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    b, h, i, group = place_of(row, heads, groups, queries)
    e, ev = tl.arange(0, BLOCK_E), tl.arange(0, BLOCK_V)
    query = tl.load(q + row * size + e, mask=e < size, other=0).to(ACC)
    g = tl.load(grad + row * value_size + ev, mask=ev < value_size, other=0).to(ACC)
    total, d = tl.zeros([BLOCK_E], ACC), tl.load(delta + row).to(ACC)
    for first in range(0, keys, BLOCK_S):
        j = first + tl.arange(0, BLOCK_S).to(tl.int64)
        seen = (j < keys) & (j >= i - left) & (j <= i + right)
        key = _rows(k, group * keys + j, e, j < keys, size, ACC)
        at = b * mask_batch + h * mask_head + i * mask_row + j * mask_column
        x = (tl.sum(query[None, :] * key, 1) * scale).to(ACC)
        s, slope = score(x, mask, at, seen, softcap, CAPPED, BOOLEAN)
        dp = tl.sum(g[None, :] * _rows(v, group * keys + j, ev, j < keys, value_size, ACC), 1)
        if seed is not None:
            dp *= kept(seed, row, j, threshold, factor, ACC)
        ds = tl.exp(s - tl.load(lse + row).to(ACC)) * (dp - d)
        if dmask is not None:
            tl.store(dmask + row * keys + j, ds, mask=j < keys)
        total += tl.sum((ds * slope * scale).to(ACC)[:, None] * key, 0)
    tl.store(dq + row * size + e, total.to(dq.dtype.element_ty), mask=e < size)


@triton.jit
def keys_kernel(
    grad, q, k, v, delta, lse, dk, dv,  # as above, (B G S, E), (B G S, Ev)
    mask, mask_batch, mask_head, mask_row, mask_column, seed, heads, groups, queries, keys, size, value_size, left, right,
    scale: tl.float64, softcap: tl.float64, threshold, factor: tl.float64,
    CAPPED: tl.constexpr, BOOLEAN: tl.constexpr, ACC: tl.constexpr,
    BLOCK_S: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    number = tl.program_id(0).to(tl.int64)
    j, group = number % keys, number // keys
    b, share = group // groups, heads // groups
    e, ev = tl.arange(0, BLOCK_E), tl.arange(0, BLOCK_V)
    key = tl.load(k + number * size + e, mask=e < size, other=0).to(ACC)
    value = tl.load(v + number * value_size + ev, mask=ev < value_size, other=0).to(ACC)
    to_key, to_value = tl.zeros([BLOCK_E], ACC), tl.zeros([BLOCK_V], ACC)
    for h in range(group % groups * share, group % groups * share + share):
        for first in range(0, queries, BLOCK_S):
            i = first + tl.arange(0, BLOCK_S).to(tl.int64)
            row, inside = (b * heads + h) * queries + i, i < queries
            seen = inside & (j >= i - left) & (j <= i + right)
            query, g = _rows(q, row, e, inside, size, ACC), _rows(grad, row, ev, inside, value_size, ACC)
            at = b * mask_batch + h * mask_head + i * mask_row + j * mask_column
            x = (tl.sum(query * key[None, :], 1) * scale).to(ACC)
            s, slope = score(x, mask, at, seen, softcap, CAPPED, BOOLEAN)
            p = tl.exp(s - tl.load(lse + row, mask=inside, other=0).to(ACC))
            dp, dropped = tl.sum(g * value[None, :], 1), p
            if seed is not None:
                z = kept(seed, row, j, threshold, factor, ACC)
                dp, dropped = dp * z, dropped * z
            ds = (p * (dp - tl.load(delta + row, mask=inside, other=0).to(ACC)) * slope * scale).to(ACC)
            to_key += tl.sum(tl.where(seen, ds, 0)[:, None] * query, 0)
            to_value += tl.sum(tl.where(seen, dropped, 0)[:, None] * g, 0)
    tl.store(dk + number * size + e, to_key.to(dk.dtype.element_ty), mask=e < size)
    tl.store(dv + number * value_size + ev, to_value.to(dv.dtype.element_ty), mask=ev < value_size)


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
    """A mask's gradient is summed over what the mask was broadcast to by torch, from the gradients of all scores."""
    delta = delta_of(grad, y)
    grad, q, k, v, lse = _in_order(grad.transpose(1, 2), q, k, v, lse)
    arguments, flags = common(q, k, v, mask, seed, options)
    b, h, rows, size = q.shape
    options = {**flags, "ACC": accumulator(q), **_tile(size, v.shape[3])}
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    scores = lse.new_empty(b, h, rows, k.shape[2], dtype=delta.dtype) if need_mask else None
    if need_q or need_mask:
        launch(queries_kernel, (b * h * rows,), grad, q, k, v, delta, lse, dq, scores, *arguments, **options)
    if need_k or need_v:
        launch(keys_kernel, (k.shape[0] * k.shape[1] * k.shape[2],), grad, q, k, v, delta, lse, dk, dv, *arguments, **options)
    return (
        dq if need_q else None,
        dk if need_k else None,
        dv if need_v else None,
        scores.sum_to_size(mask.shape).to(q.dtype) if need_mask else None,
        sinks_gradient(sinks, lse, delta) if need_sinks else None,
    )
