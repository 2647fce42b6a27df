"""LayerNorm, rung 1: one row per program, and one loop over it for each sum of the formula.

mean(x), then mean((x - mean)^2), then y = (x - mean) rstd weight + bias
mean(a) and mean(a h), then dx = rstd (a - mean(a) - h mean(a h)),  a = dy weight
dweight = sum of dy h, dbias = sum of dy: one block of columns per program, and a loop over all rows

          passes over memory                                             bytes (N elements of b bytes)
forward   read x three times, write y                                    4 N b
backward  read x and dy twice, write dx; read both again for the sums    7 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import accumulator, launch
from scratchnet.kernels.shapes import row_statistic, rows_and_columns
from scratchnet.ops.layer_norm import NormOptions

BLOCK = 1024  # elements of a row per step of a loop


@triton.jit
def forward_kernel(
    x, weight, bias, y, mean, rstd,  # (rows, columns), (columns) or None twice, (rows, columns), (rows), (rows)
    columns, eps: tl.float64, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    x += row * columns
    sums = tl.zeros([BLOCK], ACC)
    for first in range(0, columns, BLOCK):
        sums += _read(x, first + tl.arange(0, BLOCK), columns, ACC)
    m = tl.sum(sums, 0) / columns
    squares = tl.zeros([BLOCK], ACC)
    for first in range(0, columns, BLOCK):
        column = first + tl.arange(0, BLOCK)
        centered = tl.where(column < columns, _read(x, column, columns, ACC) - m, 0)
        squares += centered * centered
    total = tl.sum(squares, 0)
    r = tl.rsqrt((total / columns + eps).to(ACC))
    r = tl.where(total == float("inf"), float("nan"), r)  # squares overflow: 1 / inf would turn the row into zeros
    for first in range(0, columns, BLOCK):
        column = first + tl.arange(0, BLOCK)
        result = (_read(x, column, columns, ACC) - m) * r
        if weight is not None:
            result *= _read(weight, column, columns, ACC)
        if bias is not None:
            result += _read(bias, column, columns, ACC)
        tl.store(y + row * columns + column, result.to(y.dtype.element_ty), mask=column < columns)
    tl.store(mean + row, m)
    tl.store(rstd + row, r)


@triton.jit
def _read(x, column, columns, ACC: tl.constexpr):
    return tl.load(x + column, mask=column < columns, other=0).to(ACC)


def layer_norm_forward(x: Tensor, weight: Tensor | None, bias: Tensor | None, options: NormOptions):
    ndim, eps = options
    x, weight, bias = (None if t is None else t.contiguous() for t in (x, weight, bias))
    rows, columns = rows_and_columns(x, ndim)
    y, mean, rstd = torch.empty_like(x), row_statistic(x, ndim), row_statistic(x, ndim)
    launch(forward_kernel, (rows,), x, weight, bias, y, mean, rstd, columns, eps, ACC=accumulator(x), BLOCK=BLOCK)
    return y, mean, rstd


@triton.jit
def backward_kernel(
    grad, x, mean, rstd, weight, dx,  # (rows, columns) twice, (rows) twice, (columns) or None, (rows, columns)
    columns, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    grad, x, m, r = grad + row * columns, x + row * columns, tl.load(mean + row), tl.load(rstd + row)
    sum_a, sum_ah = tl.zeros([BLOCK], ACC), tl.zeros([BLOCK], ACC)
    for first in range(0, columns, BLOCK):
        a, h = _a_and_h(grad, x, weight, m, r, first + tl.arange(0, BLOCK), columns, ACC)
        sum_a += a
        sum_ah += a * h
    mean_a, mean_ah = tl.sum(sum_a, 0) / columns, tl.sum(sum_ah, 0) / columns
    for first in range(0, columns, BLOCK):
        column = first + tl.arange(0, BLOCK)
        a, h = _a_and_h(grad, x, weight, m, r, column, columns, ACC)
        d = r * (a - mean_a - h * mean_ah)
        tl.store(dx + row * columns + column, d.to(dx.dtype.element_ty), mask=column < columns)


@triton.jit
def _a_and_h(grad, x, weight, m, r, column, columns, ACC: tl.constexpr):
    a = _read(grad, column, columns, ACC)
    if weight is not None:
        a *= _read(weight, column, columns, ACC)
    return a, (_read(x, column, columns, ACC) - m) * r


@triton.jit
def parameters_kernel(
    grad, x, mean, rstd, dweight, dbias,  # (rows, columns) twice, (rows) twice, (columns) twice
    rows, columns, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    column = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    sum_weight, sum_bias = tl.zeros([BLOCK], ACC), tl.zeros([BLOCK], ACC)
    for row in range(rows):
        g = _read(grad, column, columns, ACC)
        sum_weight += g * (_read(x, column, columns, ACC) - tl.load(mean + row)) * tl.load(rstd + row)
        sum_bias += g
        grad += columns
        x += columns
    tl.store(dweight + column, sum_weight.to(dweight.dtype.element_ty), mask=column < columns)
    tl.store(dbias + column, sum_bias.to(dbias.dtype.element_ty), mask=column < columns)


def layer_norm_backward(grad, x, mean, rstd, weight, options: NormOptions, need_x: bool, need_weight: bool, need_bias: bool):
    grad, x, mean, rstd, weight = (None if t is None else t.contiguous() for t in (grad, x, mean, rstd, weight))
    rows, columns = rows_and_columns(x, options.ndim)
    dx = torch.empty_like(x) if need_x else None
    if need_x:
        launch(backward_kernel, (rows,), grad, x, mean, rstd, weight, dx, columns, ACC=accumulator(x), BLOCK=BLOCK)
    shape = x.shape[x.dim() - options.ndim :]
    dweight, dbias = x.new_empty(shape), x.new_empty(shape)
    if need_weight or need_bias:
        grid = (triton.cdiv(columns, BLOCK),)
        launch(parameters_kernel, grid, grad, x, mean, rstd, dweight, dbias, rows, columns, ACC=accumulator(x), BLOCK=BLOCK)
    return dx, dweight if need_weight else None, dbias if need_bias else None
