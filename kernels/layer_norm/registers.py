"""LayerNorm, RMSNorm and residual + LayerNorm, rung 2: short rows stay in registers, several to a tile.

    h = (x - mean(x)) rstd,  rstd = 1 / sqrt(mean((x - mean)^2) + eps)      RMSNorm: mean(x) is taken as 0
    y = h weight + bias
    dx = rstd (a - mean(a) - h mean(a h)),  a = dy weight                  RMSNorm: without mean(a)
    dweight = sum of dy h over the rows,  dbias = sum of dy over the rows

A row of more than LONGEST elements is read block by block, once for its statistics and once for the result. The gradients of
the parameters are summed over blocks of rows, then over the blocks: no atomics, the same bits every run.

              passes over memory, short rows (long rows)    bytes (N elements of b bytes, short rows)
    forward   read x, write y              (read x twice)   2 N b
    backward  read x, dy, write dx  (read both three times) 3 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.column_sums import column_sums, split_rows
from scratchnet.kernels.launch import MAX_REGISTERS, accumulator, launch, statistics
from scratchnet.kernels.shapes import row_statistic, rows_and_columns
from scratchnet.ops.layer_norm import NormOptions

LONGEST = 8192  # elements of a row that one program holds in its registers
TILE = 2048  # elements of a tile of several short rows
LOOP_BLOCK = 2048  # of a long row: 8 elements per thread, each of which takes registers for its address in odd rows
SUM_ROWS, SUM_COLUMNS = 16, 128  # tile of the parameters' gradients of long rows; with 8 rows two registers spill on sm_100


def layout(columns: int) -> dict:
    """Tile and warps of a program: several short rows, one row, or a block of a long row."""
    fits = columns <= LONGEST
    block = max(16, triton.next_power_of_2(columns)) if fits else LOOP_BLOCK
    return {
        "FITS": fits,
        "BLOCK_ROWS": max(1, TILE // block),
        "BLOCK": block,
        "num_warps": max(4, min(16, block // 512)) if fits else 8,  # 16 elements per thread
        "maxnreg": None if fits else MAX_REGISTERS,
    }


# ---- forward ------------------------------------------------------------------------------------------------------------


@triton.jit
def forward_kernel(
    x, residual, weight, bias,  # (rows, columns), the same or None, (columns) or None twice
    total, y, mean, rstd,  # (rows, columns) or None, (rows, columns), (rows) or None, (rows)
    rows, columns, eps: tl.float64,
    CENTER: tl.constexpr, ACC: tl.constexpr, FITS: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
    maxnreg: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.arange(0, BLOCK)
    start = row[:, None] * columns
    if FITS:
        mask = (row < rows)[:, None] & (column < columns)[None, :]
        i = start + column[None, :]
        value = _read(x, residual, total, i, mask, ACC)
        m = tl.sum(value, 1) / columns if CENTER else tl.zeros([BLOCK_ROWS], ACC)
        centered = tl.where(mask, value - m[:, None], 0)
        r = _rstd(tl.sum(centered * centered, 1), columns, eps, CENTER, ACC)
        result = _affine(centered * r[:, None], weight, bias, column, columns, ACC)
        tl.store(y + i, result.to(y.dtype.element_ty), mask=mask)
    else:
        m, r = _statistics(x, residual, total, start, row < rows, columns, eps, CENTER, ACC, BLOCK_ROWS, BLOCK)
        source = x if total is None else total
        for first in range(0, columns, BLOCK):
            at = first + column
            mask = (row < rows)[:, None] & (at < columns)[None, :]
            value = tl.load(source + start + at[None, :], mask=mask, other=0).to(ACC)
            result = _affine((value - m[:, None]) * r[:, None], weight, bias, at, columns, ACC)
            tl.store(y + start + at[None, :], result.to(y.dtype.element_ty), mask=mask)
    if CENTER:
        tl.store(mean + row, m, mask=row < rows)
    tl.store(rstd + row, r, mask=row < rows)


@triton.jit
def _read(x, residual, total, i, mask, ACC: tl.constexpr):
    """x, or x + residual, which is also written; what is normalised is the sum as rounded to its type."""
    value = tl.load(x + i, mask=mask, other=0).to(ACC)
    if residual is not None:
        value = (value + tl.load(residual + i, mask=mask, other=0).to(ACC)).to(total.dtype.element_ty)
        tl.store(total + i, value, mask=mask)
        value = value.to(ACC)
    return value


@triton.jit
def _statistics(
    x, residual, total, start, valid, columns, eps,
    CENTER: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Mean and rstd of long rows in one pass: each block's mean and sum of squares about it, merged (Chan et al. 1979).

    They are those of x minus the row's first element: a sum of thousands of numbers near 1e4 would lose digits of the mean.
    """
    m, squares, origin = tl.zeros([BLOCK_ROWS], ACC), tl.zeros([BLOCK_ROWS], ACC), tl.zeros([BLOCK_ROWS, 1], ACC)
    if CENTER:
        origin = tl.load(x + start, mask=valid[:, None], other=0).to(ACC)
        if residual is not None:
            origin += tl.load(residual + start, mask=valid[:, None], other=0).to(ACC)
    for first in range(0, columns, BLOCK):
        at = first + tl.arange(0, BLOCK)
        mask = valid[:, None] & (at < columns)[None, :]
        value = tl.where(mask, _read(x, residual, total, start + at[None, :], mask, ACC) - origin, 0)
        count = tl.minimum(columns - first, BLOCK).to(ACC)
        share = count / (first + count)
        block_mean = tl.sum(value, 1) / count if CENTER else tl.zeros([BLOCK_ROWS], ACC)
        centered = tl.where(mask, value - block_mean[:, None], 0)
        delta = block_mean - m
        squares += tl.sum(centered * centered, 1) + delta * delta * (first * share)
        m += delta * share
    m += tl.sum(origin, 1)
    return m, _rstd(squares, columns, eps, CENTER, ACC)


@triton.jit
def _rstd(squares, columns, eps, CENTER: tl.constexpr, ACC: tl.constexpr):
    """1 / sqrt(mean square + eps).

    LayerNorm: NaN where the squares overflow, since 1 / inf would turn the row into zeros.
    """
    r = tl.rsqrt(squares / columns + tl.full([1], eps, ACC))
    return tl.where(squares == float("inf"), float("nan"), r) if CENTER else r


@triton.jit
def _affine(h, weight, bias, column, columns, ACC: tl.constexpr):
    if weight is not None:
        h = h * tl.load(weight + column, mask=column < columns, other=0).to(ACC)[None, :]
    if bias is not None:
        h = h + tl.load(bias + column, mask=column < columns, other=0).to(ACC)[None, :]
    return h


def _forward(x: Tensor, residual, weight, bias, ndim: int, eps: float, center: bool):
    """total (None without residual), y, mean (None for RMSNorm), rstd."""
    x, residual, weight, bias = (None if t is None else t.contiguous() for t in (x, residual, weight, bias))
    rows, columns = rows_and_columns(x, ndim)
    y, total = torch.empty_like(x), None if residual is None else torch.empty_like(x)
    mean, rstd = row_statistic(x, ndim) if center else None, row_statistic(x, ndim)
    tile = layout(columns)
    grid, tensors = (triton.cdiv(rows, tile["BLOCK_ROWS"]),), (x, residual, weight, bias, total, y, mean, rstd)
    launch(forward_kernel, grid, *tensors, rows, columns, eps, CENTER=center, ACC=accumulator(x), **tile)
    return total, y, mean, rstd


# ---- backward -----------------------------------------------------------------------------------------------------------


@triton.jit
def backward_kernel(
    grad_total, grad, x,  # (rows, columns) or None, (rows, columns) twice
    mean, rstd, weight,  # (rows) or None, (rows), (columns) or None
    dx, dweight, dbias,  # (rows, columns), (programs, columns) twice; None for what is not needed
    rows, columns, rows_per_program,
    ACC: tl.constexpr, FITS: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr, maxnreg: tl.constexpr,
):  # fmt: skip
    """dx of a program's rows and, if they are short, their part of dweight and dbias: one row of (programs, columns) each."""
    program = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    if FITS:
        w = _weight(weight, column, columns, ACC)
        sum_weight, sum_bias = tl.zeros([BLOCK_ROWS, BLOCK], ACC), tl.zeros([BLOCK_ROWS, BLOCK], ACC)
        for first in range(0, rows_per_program, BLOCK_ROWS):
            row = program * rows_per_program + first + tl.arange(0, BLOCK_ROWS)
            i = row[:, None] * columns + column[None, :]
            mask = (row < rows)[:, None] & (column < columns)[None, :]
            g, h, r = _load(grad, x, mean, rstd, row, i, rows, mask, ACC)
            if dx is not None:
                a = g * w
                _store(dx, grad_total, i, mask, a, h, r, _mean(a, mean, columns), tl.sum(a * h, 1) / columns, ACC)
            sum_weight += g * h
            sum_bias += g
        if dweight is not None:
            tl.store(dweight + program * columns + column, tl.sum(sum_weight, 0), mask=column < columns)
        if dbias is not None:
            tl.store(dbias + program * columns + column, tl.sum(sum_bias, 0), mask=column < columns)
    else:
        row = program * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
        sum_a, sum_ah = tl.zeros([BLOCK_ROWS], ACC), tl.zeros([BLOCK_ROWS], ACC)
        for first in range(0, columns, BLOCK):
            at = first + column
            i = row[:, None] * columns + at[None, :]
            mask = (row < rows)[:, None] & (at < columns)[None, :]
            g, h, r = _load(grad, x, mean, rstd, row, i, rows, mask, ACC)
            a = g * _weight(weight, at, columns, ACC)
            sum_a += _mean(a, mean, columns)
            sum_ah += tl.sum(a * h, 1) / columns
        for first in range(0, columns, BLOCK):
            at = first + column
            i = row[:, None] * columns + at[None, :]
            mask = (row < rows)[:, None] & (at < columns)[None, :]
            g, h, r = _load(grad, x, mean, rstd, row, i, rows, mask, ACC)
            _store(dx, grad_total, i, mask, g * _weight(weight, at, columns, ACC), h, r, sum_a, sum_ah, ACC)


@triton.jit
def _load(grad, x, mean, rstd, row, i, rows, mask, ACC: tl.constexpr):
    """The gradient and the normalised value of elements i, both zero outside the mask, and rstd of their rows."""
    value, g = tl.load(x + i, mask=mask, other=0).to(ACC), tl.load(grad + i, mask=mask, other=0).to(ACC)
    r = tl.load(rstd + row, mask=row < rows, other=0)
    if mean is not None:
        value = value - tl.load(mean + row, mask=row < rows, other=0)[:, None]
    return g, tl.where(mask, value * r[:, None], 0), r


@triton.jit
def _weight(weight, column, columns, ACC: tl.constexpr):
    if weight is None:
        return tl.full([1, 1], 1, ACC)
    return tl.load(weight + column, mask=column < columns, other=0).to(ACC)[None, :]


@triton.jit
def _mean(a, mean, columns):
    if mean is None:
        return tl.sum(a, 1) * 0
    return tl.sum(a, 1) / columns


@triton.jit
def _store(dx, grad_total, i, mask, a, h, r, mean_a, mean_ah, ACC: tl.constexpr):
    d = r[:, None] * (a - mean_a[:, None] - h * mean_ah[:, None])
    if grad_total is not None:
        d += tl.load(grad_total + i, mask=mask, other=0).to(ACC)
    tl.store(dx + i, d.to(dx.dtype.element_ty), mask=mask)


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
        mask = (row < rows)[:, None] & (column < columns)[None, :]
        g, h, _ = _load(grad, x, mean, rstd, row, row[:, None] * columns + column[None, :], rows, mask, ACC)
        sum_weight += g * h
        sum_bias += g
    if dweight is not None:
        tl.store(dweight + program * columns + column, tl.sum(sum_weight, 0), mask=column < columns)
    if dbias is not None:
        tl.store(dbias + program * columns + column, tl.sum(sum_bias, 0), mask=column < columns)


def _backward(grad_total, grad, x, mean, rstd, weight, ndim: int, need_x: bool, need_weight: bool, need_bias: bool):
    """dx, dweight, dbias; None for what is not needed."""
    grad_total, grad, x, mean, rstd, weight = (
        None if t is None else t.contiguous() for t in (grad_total, grad, x, mean, rstd, weight)
    )
    rows, columns = rows_and_columns(x, ndim)
    tile, acc = layout(columns), accumulator(x)
    programs, rows_per_program = split_rows(rows, tile["BLOCK_ROWS"] if tile["FITS"] else SUM_ROWS)
    dx = torch.empty_like(x) if need_x else None
    sums = [statistics(x, programs, columns).zero_() if need else None for need in (need_weight, need_bias)]
    inputs = grad_total, grad, x, mean, rstd, weight
    if tile["FITS"]:
        grid, sizes = (programs if rows else 0,), (rows, columns, rows_per_program)
        launch(backward_kernel, grid, *inputs, dx, *sums, *sizes, ACC=acc, **tile)
    else:
        if need_x:
            grid, sizes = (triton.cdiv(rows, tile["BLOCK_ROWS"]),), (rows, columns, tile["BLOCK_ROWS"])
            launch(backward_kernel, grid, *inputs, dx, None, None, *sizes, ACC=acc, **tile)
        if need_weight or need_bias:
            grid, sizes = (programs, triton.cdiv(columns, SUM_COLUMNS)), (rows, columns, rows_per_program)
            blocks = {"BLOCK_ROWS": SUM_ROWS, "BLOCK_COLUMNS": SUM_COLUMNS}
            launch(parameter_sums_kernel, grid, grad, x, mean, rstd, *sums, *sizes, ACC=acc, **blocks)
    shape = x.shape[x.dim() - ndim :]
    return dx, *(None if s is None else column_sums(s, x.dtype).view(shape) for s in sums)


# ---- the operators ------------------------------------------------------------------------------------------------------


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
