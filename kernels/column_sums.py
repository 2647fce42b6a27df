"""Sums over the rows of a matrix, for bias and weight gradients: partial sums of blocks of rows, then their sum.

Blocks depend on the shape alone and nothing is added atomically: every run gives the same bits.

          passes over memory                                      bytes (R rows, C columns, b bytes per partial sum)
          the caller writes P <= MAX_PARTIALS rows; read them      2 P C b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import launch

BLOCK_COLUMNS = 128  # neighbouring threads read neighbouring columns
BLOCK_ROWS = 32
MAX_PARTIALS = 256  # enough programs to fill a GPU


def split_rows(rows: int, block_rows: int) -> tuple[int, int]:
    """How many programs make partial sums of a matrix, and the rows per program: a whole number of blocks."""
    programs = max(1, min(MAX_PARTIALS, triton.cdiv(rows, BLOCK_ROWS)))
    return programs, triton.cdiv(triton.cdiv(rows, programs), block_rows) * block_rows


@triton.jit(do_not_specialize=["rows"])
def column_sums_kernel(
    x, total,  # (rows, columns), (columns)
    rows, columns, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    column = tl.program_id(0).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    inside = column < columns
    acc = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], x.dtype.element_ty)
    for first in range(0, rows, BLOCK_ROWS):
        row = first + tl.arange(0, BLOCK_ROWS).to(tl.int64)
        mask = (row < rows)[:, None] & inside[None, :]
        acc += tl.load(x + row[:, None] * columns + column[None, :], mask=mask, other=0)
    tl.store(total + column, tl.sum(acc, 0).to(total.dtype.element_ty), mask=inside)


def column_sums(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x (P, C) float32 or float64, partial sums -> (C) in `dtype`."""
    rows, columns = x.shape
    total = x.new_empty(columns, dtype=dtype)
    grid = (triton.cdiv(columns, BLOCK_COLUMNS),)
    launch(column_sums_kernel, grid, x, total, rows, columns, BLOCK_ROWS=BLOCK_ROWS, BLOCK_COLUMNS=BLOCK_COLUMNS)
    return total
