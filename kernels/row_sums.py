"""Sums of rows by index: of a gather's and of an embedding's backward, of scatter_add and index_add, of bags.

    y[r] = base[r] + sum of x[i] over the i with index[i] = r        for gather every element is a row of one column

They add with atomics, in float32 for 16-bit types. Under torch.use_deterministic_algorithms, and for bags, the index is sorted
instead, and one program adds up in order all that belongs to a row: the same bits every run.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.indices import check, error_flag, load_index
from scratchnet.kernels.launch import accumulator, launch, statistics

TILE = 1024  # elements per program
BLOCK_COLUMNS = 256  # of a row, at most


def row_tile(columns: int) -> dict:
    """Rows and columns of a program's tile: long rows are divided, short rows share a program."""
    block = min(BLOCK_COLUMNS, triton.next_power_of_2(max(columns, 1)))
    return {"BLOCK_ROWS": TILE // block, "BLOCK_COLUMNS": block}


def row_grid(rows: int, columns: int, tile: dict) -> tuple[int, int]:
    return triton.cdiv(rows, tile["BLOCK_ROWS"]), triton.cdiv(columns, tile["BLOCK_COLUMNS"])


@triton.jit
def add_rows_kernel(
    grad, index, scale, dx, bad,  # (rows, columns), (rows), (n) or None, (n, columns), (1)
    rows, columns, n, skipped, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    at, valid = load_index(index, bad, row, rows, n)
    mask = (valid & (at != skipped))[:, None] & (column < columns)[None, :]
    value = tl.load(grad + row[:, None] * columns + column[None, :], mask=mask, other=0).to(dx.dtype.element_ty)
    if scale is not None:
        value = value * tl.load(scale + at, mask=valid, other=0)[:, None]
    tl.atomic_add(dx + at[:, None] * columns + column[None, :], value, mask=mask, sem="relaxed")


@triton.jit
def sum_sorted_kernel(
    grad, index, order, factor, scale, dx, bad,  # (*, columns), (rows) twice, (rows) or None, (n) or None, (n, columns), (1)
    rows, columns, n, skipped,
    ADDS: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    """index is sorted, order names the row of grad: the lane with the first of equal indices adds up the rows of all of them.

    ADDS: to what is in dx.
    """
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    at, valid = load_index(index, bad, row, rows, n)
    before = tl.load(index + row - 1, mask=(row > 0) & (row < rows), other=-1)
    first = valid & (at != before) & (at != skipped)
    to = dx + at[:, None] * columns + column[None, :]
    inside = first[:, None] & (column < columns)[None, :]
    total = tl.load(to, mask=inside, other=0).to(ACC) if ADDS else tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    position, more = row, first
    while tl.max(more.to(tl.int32), 0) > 0:
        source = tl.load(order + position, mask=more, other=0)
        mask = more[:, None] & (column < columns)[None, :]
        value = tl.load(grad + source[:, None] * columns + column[None, :], mask=mask, other=0).to(ACC)
        if factor is not None:
            value = value * tl.load(factor + position, mask=more, other=0)[:, None]
        total += value
        position += 1
        more = more & (position < rows)
        more = more & (tl.load(index + position, mask=more, other=-1) == at)
    if scale is not None:
        total = total * tl.load(scale + at, mask=first, other=0)[:, None]
    tl.store(to, total.to(dx.dtype.element_ty), mask=inside)


def add_rows(
    grad: Tensor, index: Tensor, n: int, skipped: int = -1, scale: Tensor | None = None, base: Tensor | None = None
) -> Tensor:
    """dx (n, columns): each row of grad (rows, columns) added to the row that index (rows) names, unless it is `skipped`.

    scale (n) multiplies the rows of dx. base (n, columns): what dx begins with, in place of zeros.
    """
    rows, columns = grad.shape
    grad, index, bad, tile = grad.contiguous(), index.contiguous(), error_flag(grad), row_tile(columns)
    grid, sizes = row_grid(rows, columns, tile), (rows, columns, n, skipped)
    ordered = torch.are_deterministic_algorithms_enabled()
    dx = grad.new_empty(n, columns) if ordered else statistics(grad, n, columns)
    dx = dx.zero_() if base is None else dx.copy_(base)
    if ordered:
        how = {"ADDS": base is not None, "ACC": accumulator(grad)}
        launch(sum_sorted_kernel, grid, grad, *index.sort(stable=True), None, scale, dx, bad, *sizes, **how, **tile)
    else:
        launch(add_rows_kernel, grid, grad, index, scale, dx, bad, *sizes, **tile)
    check(bad)
    return dx.to(grad.dtype)


def added_up(grad: Tensor, shape: list[int], index: Tensor, dim: int, base: Tensor | None = None) -> Tensor:
    """grad added where index points along dim, in a tensor of this shape that begins with base or zeros."""
    n, inner = (shape[dim], math.prod(shape[dim + 1 :])) if shape else (1, 1)  # a scalar counts as one entry
    place = index * inner  # in the flattened tensor
    for axis, size in enumerate(index.shape):
        if axis != dim:
            steps = torch.arange(size, device=index.device) * math.prod(shape[axis + 1 :])
            place = place + steps.view(-1, *[1] * (index.dim() - axis - 1))
    place = torch.where((index >= 0) & (index < n), place, -1)  # outside, or it would be a place in another line
    base = base if base is None else base.reshape(-1, 1)
    return add_rows(grad.reshape(-1, 1), place.reshape(-1), math.prod(shape), base=base).view(shape)
