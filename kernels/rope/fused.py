"""Rotary embedding, rung 2: one kernel and one pass over memory. Both numbers of a pair are in registers, and turned there.

y_a = x_a cos_a - x_b sin_a        y_b = x_b cos_b + x_a sin_b
backward, the inverse: x_a = y_a cos_a + y_b sin_b,  x_b = y_b cos_b - y_a sin_a

          passes over memory      bytes (N elements of b bytes)
forward   read x, write y         2 N b
backward  read grad, write dx     2 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.indices import check, error_flag, rows_of_tokens, token_row
from scratchnet.kernels.launch import accumulator, launch
from scratchnet.ops.rope import RopeOptions

TILE = 1024  # pairs per program
BLOCK_PAIRS = 128  # of a row, at most


@triton.jit
def load_pairs(p, row, first, pairs, mask, INTERLEAVED: tl.constexpr, ACC: tl.constexpr, BLOCK_PAIRS: tl.constexpr):
    """First and second numbers of the pairs from `first` on in rows that begin at p + row; neighbours are read together."""
    if INTERLEAVED:
        column = 2 * first + tl.arange(0, 2 * BLOCK_PAIRS)
        both = tl.load(p + row[:, None] + column[None, :], mask=mask[:, None] & (column < 2 * pairs)[None, :], other=0)
        a, b = tl.split(tl.reshape(both, [both.shape[0], BLOCK_PAIRS, 2]))
    else:
        column = first + tl.arange(0, BLOCK_PAIRS)
        inside = mask[:, None] & (column < pairs)[None, :]
        a = tl.load(p + row[:, None] + column[None, :], mask=inside, other=0)
        b = tl.load(p + pairs + row[:, None] + column[None, :], mask=inside, other=0)
    return a.to(ACC), b.to(ACC)


@triton.jit
def store_pairs(p, a, b, row, first, pairs, mask, INTERLEAVED: tl.constexpr, BLOCK_PAIRS: tl.constexpr):
    a, b = a.to(p.dtype.element_ty), b.to(p.dtype.element_ty)
    if INTERLEAVED:
        column = 2 * first + tl.arange(0, 2 * BLOCK_PAIRS)
        both = tl.reshape(tl.join(a, b), [a.shape[0], 2 * BLOCK_PAIRS])
        tl.store(p + row[:, None] + column[None, :], both, mask=mask[:, None] & (column < 2 * pairs)[None, :])
    else:
        column = first + tl.arange(0, BLOCK_PAIRS)
        inside = mask[:, None] & (column < pairs)[None, :]
        tl.store(p + row[:, None] + column[None, :], a, mask=inside)
        tl.store(p + pairs + row[:, None] + column[None, :], b, mask=inside)


@triton.jit
def rotate_kernel(
    x, cos, sin, rows, y, bad,  # (count, columns), (table, rotary) twice, (batches, tokens), (count, columns), (1)
    count, batches, heads, tokens, table, columns, rotary,
    INVERSE: tl.constexpr, INTERLEAVED: tl.constexpr, TOKENS_FIRST: tl.constexpr, REST: tl.constexpr, ACC: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_PAIRS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    first = tl.program_id(1).to(tl.int64) * BLOCK_PAIRS
    at, valid = token_row(rows, bad, row, count, batches, heads, tokens, table, TOKENS_FIRST)
    pairs = rotary // 2
    x_a, x_b = load_pairs(x, row * columns, first, pairs, valid, INTERLEAVED, ACC, BLOCK_PAIRS)
    cos_a, cos_b = load_pairs(cos, at * rotary, first, pairs, valid, INTERLEAVED, ACC, BLOCK_PAIRS)
    sin_a, sin_b = load_pairs(sin, at * rotary, first, pairs, valid, INTERLEAVED, ACC, BLOCK_PAIRS)
    if INVERSE:
        y_a, y_b = x_a * cos_a + x_b * sin_b, x_b * cos_b - x_a * sin_a
    else:
        y_a, y_b = x_a * cos_a - x_b * sin_a, x_b * cos_b + x_a * sin_b
    store_pairs(y, y_a, y_b, row * columns, first, pairs, valid, INTERLEAVED, BLOCK_PAIRS)
    if REST:  # what is not turned is copied
        column = 2 * first + tl.arange(0, 2 * BLOCK_PAIRS) + rotary
        inside = valid[:, None] & (column < columns)[None, :]
        place = row[:, None] * columns + column[None, :]
        tl.store(y + place, tl.load(x + place, mask=inside), mask=inside)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None, options: RopeOptions, inverse: bool) -> Tensor:
    heads, tokens, columns = x.shape[options.unsqueeze_dim], x.shape[3 - options.unsqueeze_dim], x.shape[3]
    x, cos, sin, rows, bad = (
        x.contiguous(),
        cos.contiguous(),
        sin.contiguous(),
        rows_of_tokens(positions, cos, tokens),
        error_flag(x),
    )
    y, rotary = torch.empty_like(x), cos.shape[-1]
    count, table = x.shape[:-1].numel(), cos.shape[:-1].numel()
    sizes = count, rows.shape[0], heads, tokens, table, columns, rotary
    most = triton.cdiv(max(rotary, columns - rotary), 2)  # pairs of columns, turned or copied
    block = min(BLOCK_PAIRS, triton.next_power_of_2(max(most, 1)))
    tile = {"BLOCK_ROWS": TILE // block, "BLOCK_PAIRS": block, "ACC": accumulator(x)}
    how = {"INVERSE": inverse, "INTERLEAVED": options.interleaved, "REST": rotary < columns}
    grid = triton.cdiv(count, TILE // block), triton.cdiv(most, block)
    order = {"TOKENS_FIRST": options.unsqueeze_dim == 2}
    launch(rotate_kernel, grid, x, cos, sin, rows, y, bad, *sizes, **how, **order, **tile)
    check(bad)
    return y


def rope_forward(
    q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None, options: RopeOptions
) -> tuple[Tensor, Tensor]:
    return _rotated(q, cos, sin, positions, options, inverse=False), _rotated(k, cos, sin, positions, options, inverse=False)


def rope_backward(
    grad_q_out: Tensor,
    grad_k_out: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Tensor | None,
    options: RopeOptions,
    need_q: bool,
    need_k: bool,
) -> tuple[Tensor | None, Tensor | None]:
    dq = _rotated(grad_q_out, cos, sin, positions, options, inverse=True) if need_q else None
    return dq, _rotated(grad_k_out, cos, sin, positions, options, inverse=True) if need_k else None
