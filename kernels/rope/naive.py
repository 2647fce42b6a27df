"""Rotary embedding, rung 1: one kernel per operation, as array code runs. The term of the sines is written and read back.

y  = x cos + R(x) sin        R(x) = (-x_b, x_a) in place of each pair (x_a, x_b)
dx = g cos - R(g sin)

          passes over memory                                          bytes (N elements of b bytes, the term in float32)
forward   read x, write the term; read x and the term, write y        N (3 b + 8)
backward  read g, write the term; read g and the term, write dx       N (3 b + 8)
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.indices import check, error_flag, rows_of_tokens, token_row
from scratchnet.kernels.launch import launch, statistics
from scratchnet.ops.rope import RopeOptions

BLOCK = 1024  # elements per program


@triton.jit
def sines_kernel(
    x, sin, rows, term, bad,  # (count, columns), (table, rotary), (batches, tokens), (count, columns), (1)
    count, batches, heads, tokens, table, columns, rotary,
    INVERSE: tl.constexpr, INTERLEAVED: tl.constexpr, TOKENS_FIRST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row, column = i // columns, i % columns
    at, valid = token_row(rows, bad, row, count, batches, heads, tokens, table, TOKENS_FIRST)
    first = column % 2 == 0 if INTERLEAVED else column < rotary // 2
    step = 1 if INTERLEAVED else rotary // 2
    other = tl.where(first, column + step, column - step)
    mask = valid & (column < rotary)
    value = tl.load(x + row * columns + other, mask=mask).to(term.dtype.element_ty)
    value *= tl.load(sin + at * rotary + (other if INVERSE else column), mask=mask).to(term.dtype.element_ty)
    tl.store(term + i, tl.where(first != INVERSE, -value, value), mask=mask)


@triton.jit
def sum_kernel(
    x, cos, rows, term, y, bad,  # (count, columns), (table, rotary), (batches, tokens), (count, columns) twice, (1)
    count, batches, heads, tokens, table, columns, rotary, TOKENS_FIRST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row, column = i // columns, i % columns
    at, valid = token_row(rows, bad, row, count, batches, heads, tokens, table, TOKENS_FIRST)
    mask = valid & (column < rotary)
    value = tl.load(x + i, mask=valid)
    turned = value.to(term.dtype.element_ty) * tl.load(cos + at * rotary + column, mask=mask).to(term.dtype.element_ty)
    turned += tl.load(term + i, mask=mask)
    tl.store(y + i, tl.where(column < rotary, turned.to(y.dtype.element_ty), value), mask=valid)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None, options: RopeOptions, inverse: bool) -> Tensor:
    heads, tokens, columns = x.shape[options.unsqueeze_dim], x.shape[3 - options.unsqueeze_dim], x.shape[3]
    x, cos, sin, rows, bad = (
        x.contiguous(),
        cos.contiguous(),
        sin.contiguous(),
        rows_of_tokens(positions, cos, tokens),
        error_flag(x),
    )
    y, term = torch.empty_like(x), statistics(x, *x.shape)
    count, table = x.shape[:-1].numel(), cos.shape[:-1].numel()
    sizes = count, rows.shape[0], heads, tokens, table, columns, cos.shape[-1]
    order = {"TOKENS_FIRST": options.unsqueeze_dim == 2, "BLOCK": BLOCK}
    grid = (triton.cdiv(x.numel(), BLOCK),)
    launch(sines_kernel, grid, x, sin, rows, term, bad, *sizes, INVERSE=inverse, INTERLEAVED=options.interleaved, **order)
    launch(sum_kernel, grid, x, cos, rows, term, y, bad, *sizes, **order)
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
