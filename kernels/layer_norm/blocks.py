"""LayerNorm, RMSNorm and residual + LayerNorm, rung 3: rows that are too long for registers, block by block.

A long row is read once for its statistics and once for the result; mean and squares of its blocks are merged in one pass. The
parameters' gradients are then a pass of their own, which divides the columns among programs too.

              passes over memory, long rows            bytes (N elements of b bytes)
    forward   read x twice, write y                    3 N b
    backward  read x and dy three times, write dx      7 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.column_sums import split_rows
from scratchnet.kernels.launch import MAX_REGISTERS, accumulator, launch, statistics
from scratchnet.kernels.layer_norm import registers
from scratchnet.kernels.layer_norm.registers import LONGEST, in_order, sums_of
from scratchnet.kernels.norm_rows import affine, load, mean_of, places, read, rstd_of, store, store_sums, weight_of
from scratchnet.kernels.shapes import row_statistic, rows_and_columns
from scratchnet.ops.layer_norm import NormOptions

# Of a long row: 8 elements per thread, each of which takes registers for its address in odd rows.
TILE = {"BLOCK_ROWS": 1, "BLOCK": 2048, "num_warps": 8, "maxnreg": MAX_REGISTERS}
SUM_ROWS, SUM_COLUMNS = 16, 128  # tile of the parameters' gradients; with 8 rows two registers spill on sm_100


@triton.jit
def forward_kernel(
    x, residual, weight, bias,  # (rows, columns), the same or None, (columns) or None twice
    total, y, mean, rstd,  # (rows, columns) or None, (rows, columns), (rows) or None, (rows)
    rows, columns, eps: tl.float64,
    CENTER: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr, maxnreg: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.arange(0, BLOCK)
    m, r = _statistics(x, residual, total, row, rows, columns, eps, CENTER, ACC, BLOCK_ROWS, BLOCK)
    source = x if total is None else total
    for first in range(0, columns, BLOCK):
        at = first + column
        i, mask = places(row, at, rows, columns)
        value = tl.load(source + i, mask=mask, other=0).to(ACC)
        result = affine((value - m[:, None]) * r[:, None], weight, bias, at, columns, ACC)
        tl.store(y + i, result.to(y.dtype.element_ty), mask=mask)
    if CENTER:
        tl.store(mean + row, m, mask=row < rows)
    tl.store(rstd + row, r, mask=row < rows)


@triton.jit
def _statistics(
    x, residual, total, row, rows, columns, eps,
    CENTER: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Mean and rstd of long rows in one pass: each block's mean and sum of squares about it, merged (Chan et al. 1979).

    They are those of x minus the row's first element: a sum of thousands of numbers near 1e4 would lose digits of the mean.
    """
    m, squares, origin = tl.zeros([BLOCK_ROWS], ACC), tl.zeros([BLOCK_ROWS], ACC), tl.zeros([BLOCK_ROWS, 1], ACC)
    if CENTER:
        origin = read(x, residual, total, row[:, None] * columns, (row < rows)[:, None], ACC)
    for first in range(0, columns, BLOCK):
        i, mask = places(row, first + tl.arange(0, BLOCK), rows, columns)
        value = tl.where(mask, read(x, residual, total, i, mask, ACC) - origin, 0)
        count = tl.minimum(columns - first, BLOCK).to(ACC)
        share = count / (first + count)
        block_mean = tl.sum(value, 1) / count if CENTER else tl.zeros([BLOCK_ROWS], ACC)
        centered = tl.where(mask, value - block_mean[:, None], 0)
        delta = block_mean - m
        squares += tl.sum(centered * centered, 1) + delta * delta * (first * share)
        m += delta * share
    return m + tl.sum(origin, 1), rstd_of(squares, columns, eps, CENTER, ACC)


def _forward(x: Tensor, residual, weight, bias, ndim: int, eps: float, center: bool):
    """total (None without residual), y, mean (None for RMSNorm), rstd."""
    x, residual, weight, bias = in_order(x, residual, weight, bias)
    rows, columns = rows_and_columns(x, ndim)
    if columns <= LONGEST:
        return registers.forward(x, residual, weight, bias, ndim, eps, center)
    y, total = torch.empty_like(x), None if residual is None else torch.empty_like(x)
    mean, rstd = row_statistic(x, ndim) if center else None, row_statistic(x, ndim)
    tensors = (x, residual, weight, bias, total, y, mean, rstd)
    launch(forward_kernel, (rows,), *tensors, rows, columns, eps, CENTER=center, ACC=accumulator(x), **TILE)
    return total, y, mean, rstd


@triton.jit
def backward_kernel(
    grad_total, grad, x,  # (rows, columns) or None, (rows, columns) twice
    mean, rstd, weight, dx,  # (rows) or None, (rows), (columns) or None, (rows, columns)
    rows, columns, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr, maxnreg: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.arange(0, BLOCK)
    sum_a, sum_ah = tl.zeros([BLOCK_ROWS], ACC), tl.zeros([BLOCK_ROWS], ACC)
    for first in range(0, columns, BLOCK):
        at = first + column
        i, mask = places(row, at, rows, columns)
        g, h, r = load(grad, x, mean, rstd, row, i, rows, mask, ACC)
        a = g * weight_of(weight, at, columns, ACC)
        sum_a += mean_of(a, mean, columns)
        sum_ah += tl.sum(a * h, 1) / columns
    for first in range(0, columns, BLOCK):
        at = first + column
        i, mask = places(row, at, rows, columns)
        g, h, r = load(grad, x, mean, rstd, row, i, rows, mask, ACC)
        store(dx, grad_total, i, mask, g * weight_of(weight, at, columns, ACC), h, r, sum_a, sum_ah, ACC)


@triton.jit
def parameter_sums_kernel(
    grad, x, mean, rstd, dweight, dbias,  # (rows, columns) twice, (rows) or None, (rows), (programs, columns) or None twice
    rows, columns, rows_per_program,
    ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    """dweight and dbias of long rows, with the columns divided among programs too."""
    program = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    sum_weight, sum_bias = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC), tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    for first in range(0, rows_per_program, BLOCK_ROWS):
        row = program * rows_per_program + first + tl.arange(0, BLOCK_ROWS)
        i, mask = places(row, column, rows, columns)
        g, h, _ = load(grad, x, mean, rstd, row, i, rows, mask, ACC)
        sum_weight += g * h
        sum_bias += g
    store_sums(dweight, sum_weight, program, column, columns)
    store_sums(dbias, sum_bias, program, column, columns)


def _backward(grad_total, grad, x, mean, rstd, weight, ndim: int, need_x: bool, need_weight: bool, need_bias: bool):
    """dx, dweight, dbias; None for what is not needed."""
    tensors = grad_total, grad, x, mean, rstd, weight = in_order(grad_total, grad, x, mean, rstd, weight)
    rows, columns = rows_and_columns(x, ndim)
    if columns <= LONGEST:
        return registers.backward(*tensors, ndim, need_x, need_weight, need_bias)
    dx = torch.empty_like(x) if need_x else None
    if need_x:
        launch(backward_kernel, (rows,), *tensors, dx, rows, columns, ACC=accumulator(x), **TILE)
    programs, rows_per_program = split_rows(rows, SUM_ROWS)
    sums = [statistics(x, programs, columns).zero_() if need else None for need in (need_weight, need_bias)]
    if need_weight or need_bias:
        grid, sizes = (programs, triton.cdiv(columns, SUM_COLUMNS)), (rows, columns, rows_per_program)
        blocks = {"BLOCK_ROWS": SUM_ROWS, "BLOCK_COLUMNS": SUM_COLUMNS}
        launch(parameter_sums_kernel, grid, grad, x, mean, rstd, *sums, *sizes, ACC=accumulator(x), **blocks)
    return dx, *(sums_of(partial, x, ndim) for partial in sums)


def layer_norm_forward(x: Tensor, weight: Tensor | None, bias: Tensor | None, options: NormOptions):
    return _forward(x, None, weight, bias, options.ndim, options.eps, center=True)[1:]


def layer_norm_backward(grad, x, mean, rstd, weight, options: NormOptions, need_x: bool, need_weight: bool, need_bias: bool):
    return _backward(None, grad, x, mean, rstd, weight, options.ndim, need_x, need_weight, need_bias)


def rms_norm_forward(x: Tensor, weight: Tensor | None, options: NormOptions):
    _, y, _, rstd = _forward(x, None, weight, None, options.ndim, options.eps, center=False)
    return y, rstd


def rms_norm_backward(grad, x, rstd, weight, options: NormOptions, need_x: bool, need_weight: bool):
    return _backward(None, grad, x, None, rstd, weight, options.ndim, need_x, need_weight, False)[:2]


def add_layer_norm_forward(x: Tensor, residual: Tensor, weight: Tensor | None, bias: Tensor | None, options: NormOptions):
    return _forward(x, residual, weight, bias, options.ndim, options.eps, center=True)


def add_layer_norm_backward(
    grad_total, grad_y, total, mean, rstd, weight, options: NormOptions, need_x: bool, need_weight: bool, need_bias: bool
):
    return _backward(grad_total, grad_y, total, mean, rstd, weight, options.ndim, need_x, need_weight, need_bias)
