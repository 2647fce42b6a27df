"""LayerNorm, rung 2: rows stay in registers, several short ones to a tile.

    h = (x - mean(x)) rstd,  rstd = 1 / sqrt(mean((x - mean)^2) + eps)      RMSNorm: mean(x) is taken as 0
    y = h weight + bias
    dx = rstd (a - mean(a) - h mean(a h)),  a = dy weight                  RMSNorm: without mean(a)
    dweight = sum of dy h over the rows,  dbias = sum of dy over the rows

The gradients of the parameters are summed over blocks of rows on the way, then over the blocks: no atomics, the same bits every
run. A row of more than LONGEST elements is left to rung 1.

              passes over memory       bytes (N elements of b bytes)
    forward   read x, write y          2 N b
    backward  read x, dy, write dx     3 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.column_sums import column_sums, split_rows
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.kernels.layer_norm import naive
from scratchnet.kernels.norm_rows import affine, load, mean_of, places, read, rstd_of, store, store_sums, weight_of
from scratchnet.kernels.shapes import row_statistic, rows_and_columns
from scratchnet.ops.layer_norm import NormOptions

LONGEST = 8192  # elements of a row that one program holds in its registers
TILE = 2048  # elements of a tile of several short rows


def tile_of(columns: int) -> dict:
    """Tile and warps of a program: several short rows, or one."""
    block = max(16, triton.next_power_of_2(columns))
    warps = max(4, min(16, block // 512))  # 16 elements per thread
    return {"BLOCK_ROWS": max(1, TILE // block), "BLOCK": block, "num_warps": warps}


@triton.jit
def forward_kernel(
    x, residual, weight, bias,  # (rows, columns), the same or None, (columns) or None twice
    total, y, mean, rstd,  # (rows, columns) or None, (rows, columns), (rows) or None, (rows)
    rows, columns, eps: tl.float64,
    CENTER: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.arange(0, BLOCK)
    i, mask = places(row, column, rows, columns)
    value = read(x, residual, total, i, mask, ACC)
    m = tl.sum(value, 1) / columns if CENTER else tl.zeros([BLOCK_ROWS], ACC)
    centered = tl.where(mask, value - m[:, None], 0)
    r = rstd_of(tl.sum(centered * centered, 1), columns, eps, CENTER, ACC)
    result = affine(centered * r[:, None], weight, bias, column, columns, ACC)
    tl.store(y + i, result.to(y.dtype.element_ty), mask=mask)
    if CENTER:
        tl.store(mean + row, m, mask=row < rows)
    tl.store(rstd + row, r, mask=row < rows)


def forward(x: Tensor, residual, weight, bias, ndim: int, eps: float, center: bool):
    """total (None without residual), y, mean (None for RMSNorm), rstd; of tensors in order."""
    rows, columns = rows_and_columns(x, ndim)
    y, total = torch.empty_like(x), None if residual is None else torch.empty_like(x)
    mean, rstd = row_statistic(x, ndim) if center else None, row_statistic(x, ndim)
    tile = tile_of(columns)
    grid, tensors = (triton.cdiv(rows, tile["BLOCK_ROWS"]),), (x, residual, weight, bias, total, y, mean, rstd)
    launch(forward_kernel, grid, *tensors, rows, columns, eps, CENTER=center, ACC=accumulator(x), **tile)
    return total, y, mean, rstd


@triton.jit
def backward_kernel(
    grad_total, grad, x,  # (rows, columns) or None, (rows, columns) twice
    mean, rstd, weight,  # (rows) or None, (rows), (columns) or None
    dx, dweight, dbias,  # (rows, columns), (programs, columns) twice; None for what is not needed
    rows, columns, rows_per_program,
    ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """dx of a program's rows and their part of dweight and dbias: one row of (programs, columns) each."""
    program = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    w = weight_of(weight, column, columns, ACC)
    sum_weight, sum_bias = tl.zeros([BLOCK_ROWS, BLOCK], ACC), tl.zeros([BLOCK_ROWS, BLOCK], ACC)
    for first in range(0, rows_per_program, BLOCK_ROWS):
        row = program * rows_per_program + first + tl.arange(0, BLOCK_ROWS)
        i, mask = places(row, column, rows, columns)
        g, h, r = load(grad, x, mean, rstd, row, i, rows, mask, ACC)
        if dx is not None:
            a = g * w
            store(dx, grad_total, i, mask, a, h, r, mean_of(a, mean, columns), tl.sum(a * h, 1) / columns, ACC)
        sum_weight += g * h
        sum_bias += g
    store_sums(dweight, sum_weight, program, column, columns)
    store_sums(dbias, sum_bias, program, column, columns)


def backward(grad_total, grad, x, mean, rstd, weight, ndim: int, need_x: bool, need_weight: bool, need_bias: bool):
    """dx, dweight, dbias, of tensors in order; None for what is not needed."""
    rows, columns = rows_and_columns(x, ndim)
    tile = tile_of(columns)
    programs, rows_per_program = split_rows(rows, tile["BLOCK_ROWS"])
    dx = torch.empty_like(x) if need_x else None
    sums = [statistics(x, programs, columns).zero_() if need else None for need in (need_weight, need_bias)]
    inputs, grid = (grad_total, grad, x, mean, rstd, weight), (programs if rows else 0,)
    launch(backward_kernel, grid, *inputs, dx, *sums, rows, columns, rows_per_program, ACC=accumulator(x), **tile)
    return dx, *(sums_of(partial, x, ndim) for partial in sums)


def in_order(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else t.contiguous() for t in tensors]


def sums_of(partial: Tensor | None, x: Tensor, ndim: int) -> Tensor | None:
    """A parameter's gradient from its partial sums."""
    return None if partial is None else column_sums(partial, x.dtype).view(x.shape[x.dim() - ndim :])


def layer_norm_forward(x: Tensor, weight: Tensor | None, bias: Tensor | None, options: NormOptions):
    if rows_and_columns(x, options.ndim)[1] > LONGEST:
        return naive.layer_norm_forward(x, weight, bias, options)
    x, weight, bias = in_order(x, weight, bias)
    return forward(x, None, weight, bias, options.ndim, options.eps, center=True)[1:]


def layer_norm_backward(grad, x, mean, rstd, weight, options: NormOptions, need_x: bool, need_weight: bool, need_bias: bool):
    if rows_and_columns(x, options.ndim)[1] > LONGEST:
        return naive.layer_norm_backward(grad, x, mean, rstd, weight, options, need_x, need_weight, need_bias)
    tensors = in_order(grad, x, mean, rstd, weight)
    return backward(None, *tensors, options.ndim, need_x, need_weight, need_bias)
