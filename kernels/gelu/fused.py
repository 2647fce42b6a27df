"""GELU and bias + GELU, rung 2: one kernel and one pass over memory.

gelu         y = x Phi(x), or x s(2u) in the tanh form; its derivative is in activations.py
bias_gelu    y = gelu(x + bias)         dbias = sum of dx over the rows

          passes over memory            bytes (N results of b bytes)
forward   read x, write y               2 N b
backward  read x and grad, write dx     3 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.activations import gelu, gelu_derivative
from scratchnet.kernels.column_sums import column_sums, split_rows
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.kernels.shapes import rows_and_columns
from scratchnet.ops.gelu import GeluOptions

BLOCK = 1024  # elements per program, in 4 warps: 8 per thread, two 128-bit loads of float32
BLOCK_ROWS, BLOCK_COLUMNS = 8, 128  # of the tiles: the elements of a thread are neighbours in a row
TILE = {"BLOCK_ROWS": BLOCK_ROWS, "BLOCK_COLUMNS": BLOCK_COLUMNS}

# ---- gelu ---------------------------------------------------------------------------------------------------------------


@triton.jit
def gelu_forward_kernel(
    x, y,  # (N), (N)
    n, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n).to(ACC)
    tl.store(y + i, gelu(value, TANH).to(y.dtype.element_ty), mask=i < n)


def gelu_forward(x: Tensor, options: GeluOptions) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), BLOCK),)
    launch(gelu_forward_kernel, grid, x, y, x.numel(), TANH=options.tanh, ACC=accumulator(x), BLOCK=BLOCK)
    return y


@triton.jit
def gelu_backward_kernel(
    grad, x, dx,  # (N), (N), (N)
    n, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value, g = tl.load(x + i, mask=i < n).to(ACC), tl.load(grad + i, mask=i < n).to(ACC)
    tl.store(dx + i, (g * gelu_derivative(value, TANH)).to(dx.dtype.element_ty), mask=i < n)


def gelu_backward(grad: Tensor, x: Tensor, options: GeluOptions) -> Tensor:
    grad, x = grad.contiguous(), x.contiguous()
    dx = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), BLOCK),)
    launch(gelu_backward_kernel, grid, grad, x, dx, x.numel(), TANH=options.tanh, ACC=accumulator(x), BLOCK=BLOCK)
    return dx


# ---- bias_gelu ----------------------------------------------------------------------------------------------------------


@triton.jit
def bias_gelu_forward_kernel(
    x, bias, y,  # (rows, columns), (columns), (rows, columns)
    rows, columns, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    mask = (row < rows)[:, None] & (column < columns)[None, :]
    i = row[:, None] * columns + column[None, :]
    b = tl.load(bias + column, mask=column < columns).to(ACC)
    value = tl.load(x + i, mask=mask).to(ACC) + b[None, :]
    tl.store(y + i, gelu(value, TANH).to(y.dtype.element_ty), mask=mask)


def bias_gelu_forward(x: Tensor, bias: Tensor, options: GeluOptions) -> Tensor:
    x, bias = x.contiguous(), bias.contiguous()
    y = torch.empty_like(x)
    rows, columns = rows_and_columns(x, 1)
    grid = (triton.cdiv(rows, BLOCK_ROWS), triton.cdiv(columns, BLOCK_COLUMNS))
    launch(bias_gelu_forward_kernel, grid, x, bias, y, rows, columns, TANH=options.tanh, ACC=accumulator(x), **TILE)
    return y


@triton.jit
def bias_gelu_backward_kernel(
    grad, x, bias, dx, partial,  # (rows, columns) twice, (columns), (rows, columns), (programs, columns)
    rows, columns, rows_per_program,
    NEED_X: tl.constexpr, NEED_BIAS: tl.constexpr, TANH: tl.constexpr, ACC: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    b = tl.load(bias + column, mask=column < columns).to(ACC)
    acc = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    for first in range(0, rows_per_program, BLOCK_ROWS):
        row = program * rows_per_program + first + tl.arange(0, BLOCK_ROWS)
        mask = (row < rows)[:, None] & (column < columns)[None, :]
        i = row[:, None] * columns + column[None, :]
        value = tl.load(x + i, mask=mask, other=0).to(ACC) + b[None, :]
        d = tl.load(grad + i, mask=mask, other=0).to(ACC) * gelu_derivative(value, TANH)
        if NEED_X:
            tl.store(dx + i, d.to(dx.dtype.element_ty), mask=mask)
        if NEED_BIAS:
            acc += tl.where(mask, d, 0)  # outside the mask a NaN bias would give 0 * NaN
    if NEED_BIAS:
        tl.store(partial + program * columns + column, tl.sum(acc, 0), mask=column < columns)


def bias_gelu_backward(grad: Tensor, x: Tensor, bias: Tensor, options: GeluOptions, need_x: bool, need_bias: bool):
    grad, x, bias = grad.contiguous(), x.contiguous(), bias.contiguous()
    rows, columns = rows_and_columns(x, 1)
    programs, rows_per_program = split_rows(rows, BLOCK_ROWS)
    dx = torch.empty_like(x) if need_x else None
    partial = statistics(x, programs, columns).zero_() if need_bias else None
    grid = (programs if rows else 0, triton.cdiv(columns, BLOCK_COLUMNS))
    tensors, sizes = (grad, x, bias, dx, partial), (rows, columns, rows_per_program)
    needs, constants = {"NEED_X": need_x, "NEED_BIAS": need_bias}, {"TANH": options.tanh, "ACC": accumulator(x)}
    launch(bias_gelu_backward_kernel, grid, *tensors, *sizes, **needs, **constants, **TILE)
    return dx, column_sums(partial, bias.dtype) if need_bias else None
