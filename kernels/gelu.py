"""GELU and its fused forms.

    y = x Phi(x)          dy/dx = Phi(x) + x phi(x)                   erf
    y = x s(2u)           dy/dx = s(2u) + 2 u' x s(2u) s(-2u)         tanh; u = sqrt(2/pi) (x + 0.044715 x^3), s the sigmoid

Phi is the normal distribution function, phi its density. tanh(u) = 2 s(2u) - 1, and 1 - s(v) = s(-v) does not cancel.

              passes over memory    bytes (N elements of b bytes)
    forward   read x, write y       2 N b
    backward  read x, grad, write   3 N b
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.column_sums import column_sums, partials
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.ops.gelu import GegluOptions, GeluOptions

BLOCK = 1024  # elements a program, in 4 warps: 8 a thread, two 128-bit loads of float32
BLOCK_ROWS, BLOCK_COLUMNS = 8, 128  # of the fused forms' tiles: a thread's elements are neighbours in a row
TILE = {"BLOCK_ROWS": BLOCK_ROWS, "BLOCK_COLUMNS": BLOCK_COLUMNS}


@triton.jit
def activation(x, TANH: tl.constexpr):
    if TANH:
        return x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    return 0.5 * x * (1 + tl.math.erf(x * 0.7071067811865476))


@triton.jit
def derivative(x, TANH: tl.constexpr):
    if TANH:
        v = 1.5957691216057308 * (x + 0.044715 * x * x * x)  # 2 u
        slope = 1.5957691216057308 * (1 + 3 * 0.044715 * x * x)
        # Far out slope is large and s(-v) zero; x * slope first would be infinity times zero.
        return tl.sigmoid(v) * (1 + x * (slope * tl.sigmoid(-v)))
    return 0.5 * (1 + tl.math.erf(x * 0.7071067811865476)) + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)


# ---- gelu ---------------------------------------------------------------------------------------------------------------


@triton.jit
def gelu_forward_kernel(x, y, n, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n).to(ACC)
    tl.store(y + i, activation(value, TANH).to(y.dtype.element_ty), mask=i < n)


def gelu_forward(x: Tensor, options: GeluOptions) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), BLOCK),)
    launch(gelu_forward_kernel, grid, x, y, x.numel(), TANH=options.tanh, ACC=accumulator(x), BLOCK=BLOCK)
    return y


@triton.jit
def gelu_backward_kernel(grad, x, dx, n, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value, g = tl.load(x + i, mask=i < n).to(ACC), tl.load(grad + i, mask=i < n).to(ACC)
    tl.store(dx + i, (g * derivative(value, TANH)).to(dx.dtype.element_ty), mask=i < n)


def gelu_backward(grad: Tensor, x: Tensor, options: GeluOptions) -> Tensor:
    grad, x = grad.contiguous(), x.contiguous()
    dx = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), BLOCK),)
    launch(gelu_backward_kernel, grid, grad, x, dx, x.numel(), TANH=options.tanh, ACC=accumulator(x), BLOCK=BLOCK)
    return dx


# ---- bias_gelu: x (R, C) + bias (C) -------------------------------------------------------------------------------------


@triton.jit
def bias_gelu_forward_kernel(
    x, bias, y, rows, columns, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    mask = (row < rows)[:, None] & (column < columns)[None, :]
    i = row[:, None] * columns + column[None, :]
    b = tl.load(bias + column, mask=column < columns).to(ACC)
    value = tl.load(x + i, mask=mask).to(ACC) + b[None, :]
    tl.store(y + i, activation(value, TANH).to(y.dtype.element_ty), mask=mask)


def bias_gelu_forward(x: Tensor, bias: Tensor, options: GeluOptions) -> Tensor:
    x, bias = x.contiguous(), bias.contiguous()
    y = torch.empty_like(x)
    columns = bias.numel()
    rows = x.numel() // columns if columns else 0
    grid = (triton.cdiv(rows, BLOCK_ROWS), triton.cdiv(columns, BLOCK_COLUMNS))
    launch(
        bias_gelu_forward_kernel, grid, x, bias, y, rows, columns,
        TANH=options.tanh, ACC=accumulator(x), **TILE,
    )  # fmt: skip
    return y


@triton.jit
def bias_gelu_backward_kernel(
    grad, x, bias, dx, partial, rows, columns, rows_a_program,
    NEED_X: tl.constexpr, NEED_BIAS: tl.constexpr, TANH: tl.constexpr, ACC: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    b = tl.load(bias + column, mask=column < columns).to(ACC)
    acc = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    for first in range(0, rows_a_program, BLOCK_ROWS):
        row = program * rows_a_program + first + tl.arange(0, BLOCK_ROWS)
        mask = (row < rows)[:, None] & (column < columns)[None, :]
        i = row[:, None] * columns + column[None, :]
        value = tl.load(x + i, mask=mask, other=0).to(ACC) + b[None, :]
        d = tl.load(grad + i, mask=mask, other=0).to(ACC) * derivative(value, TANH)
        if NEED_X:
            tl.store(dx + i, d.to(dx.dtype.element_ty), mask=mask)
        if NEED_BIAS:
            acc += tl.where(mask, d, 0)  # beyond the edge a NaN bias would make 0 * NaN
    if NEED_BIAS:
        tl.store(partial + program * columns + column, tl.sum(acc, 0), mask=column < columns)


def bias_gelu_backward(grad: Tensor, x: Tensor, bias: Tensor, options: GeluOptions, need_x: bool, need_bias: bool):
    grad, x, bias = grad.contiguous(), x.contiguous(), bias.contiguous()
    columns = bias.numel()
    rows = x.numel() // columns if columns else 0
    count = partials(rows)
    dx = torch.empty_like(x) if need_x else None
    partial = statistics(x, count, columns).zero_() if need_bias else None
    rows_a_program = triton.cdiv(triton.cdiv(rows, count), BLOCK_ROWS) * BLOCK_ROWS
    launch(
        bias_gelu_backward_kernel, (count if rows else 0, triton.cdiv(columns, BLOCK_COLUMNS)),
        grad, x, bias, dx, partial, rows, columns, rows_a_program,
        NEED_X=need_x, NEED_BIAS=need_bias, TANH=options.tanh, ACC=accumulator(x), **TILE,
    )  # fmt: skip
    return dx, column_sums(partial, bias.dtype) if need_bias else None


# ---- geglu: x (outer, 2, inner) = a, g;  y (outer, inner) = a gelu(g) ----------------------------------------------------


@triton.jit
def geglu_forward_kernel(
    x, y, outer, inner, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr
):  # fmt: skip
    across = tl.cdiv(inner, BLOCK_COLUMNS)
    row = (tl.program_id(0) // across).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = (tl.program_id(0) % across).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    mask = (row < outer)[:, None] & (column < inner)[None, :]
    first = x + row[:, None] * 2 * inner + column[None, :]  # where a lies; g lies `inner` further
    a, g = tl.load(first, mask=mask).to(ACC), tl.load(first + inner, mask=mask).to(ACC)
    tl.store(y + row[:, None] * inner + column[None, :], (a * activation(g, TANH)).to(y.dtype.element_ty), mask=mask)


def geglu_forward(x: Tensor, options: GegluOptions) -> Tensor:
    dim, tanh = options
    x = x.contiguous()
    y = x.new_empty([size // 2 if axis == dim else size for axis, size in enumerate(x.shape)])
    launch(geglu_forward_kernel, *_halves(y, dim, x, y), TANH=tanh, ACC=accumulator(x), **TILE)
    return y


@triton.jit
def geglu_backward_kernel(
    grad, x, dx, outer, inner, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr
):  # fmt: skip
    across = tl.cdiv(inner, BLOCK_COLUMNS)
    row = (tl.program_id(0) // across).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = (tl.program_id(0) % across).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    mask = (row < outer)[:, None] & (column < inner)[None, :]
    first = row[:, None] * 2 * inner + column[None, :]
    a, g = tl.load(x + first, mask=mask).to(ACC), tl.load(x + first + inner, mask=mask).to(ACC)
    d = tl.load(grad + row[:, None] * inner + column[None, :], mask=mask).to(ACC)
    tl.store(dx + first, (d * activation(g, TANH)).to(dx.dtype.element_ty), mask=mask)
    tl.store(dx + first + inner, (d * a * derivative(g, TANH)).to(dx.dtype.element_ty), mask=mask)


def geglu_backward(grad: Tensor, x: Tensor, options: GegluOptions) -> Tensor:
    grad, x = grad.contiguous(), x.contiguous()
    dx = torch.empty_like(x)
    launch(geglu_backward_kernel, *_halves(grad, options.dim, grad, x, dx), TANH=options.tanh, ACC=accumulator(x), **TILE)
    return dx


def _halves(half: Tensor, dim: int, *tensors: Tensor) -> tuple:
    """Grid and arguments of a kernel over `half` (outer, inner), x split in two along dim.

    Either may be long, and only the first axis of CUDA's grids takes more than 65,535 programs: it counts the tiles.
    """
    inner = math.prod(half.shape[dim:])
    outer = half.numel() // inner if inner else 0
    return (triton.cdiv(outer, BLOCK_ROWS) * triton.cdiv(inner, BLOCK_COLUMNS),), *tensors, outer, inner
