"""Gather, rung 1: one program per block of columns, row after row.

    y[i] = x[index[i]]        dx[r] = sum of dy[i] over the i with index[i] = r

No other program writes to its columns: the backward needs no atomics, and adds in the order of the rows. But each program waits
for every row, and where rows are short there are few programs.

              passes over memory                               bytes (N results of b bytes)
    forward   read index, and x where it points; write y       N (8 + 2 b)
    backward  read index and dy, add to dx, which is zeroed    N (8 + b + 2 * 4) + 4 * elements of dx
"""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.indices import check, error_flag, load_index, narrowed
from scratchnet.kernels.launch import launch, statistics
from scratchnet.ops import DimOptions

BLOCK = 128  # columns per program, one per thread


@triton.jit
def gather_kernel(
    x, index, y, bad,  # (outer, n, inner), (outer, m, inner) twice, (1)
    n, m, inner, BLOCK: tl.constexpr,
):  # fmt: skip
    blocks = tl.cdiv(inner, BLOCK)
    outer = (tl.program_id(0) // blocks).to(tl.int64)
    column = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    for row in range(m):
        i = (outer * m + row) * inner
        at, valid = load_index(index + i, bad, column, inner, n)
        value = tl.load(x + (outer * n + at) * inner + column, mask=valid)
        tl.store(y + i + column, value, mask=column < inner)


def gather_forward(x: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    y = x.new_empty(index.shape)
    if x.dim() == 0:
        x, index = x.reshape(1), index.reshape(-1)
    x, index, bad = narrowed(x, options.dim, index).contiguous(), index.contiguous(), error_flag(x)
    grid, sizes = _columns(x.shape, index.shape, options.dim)
    launch(gather_kernel, grid, x, index, y, bad, *sizes, BLOCK=BLOCK)
    check(bad)
    return y


@triton.jit
def add_kernel(
    grad, index, dx, bad,  # (outer, m, inner) twice, (outer, n, inner), (1)
    n, m, inner, BLOCK: tl.constexpr,
):  # fmt: skip
    blocks = tl.cdiv(inner, BLOCK)
    outer = (tl.program_id(0) // blocks).to(tl.int64)
    column = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    for row in range(m):
        i = (outer * m + row) * inner
        at, valid = load_index(index + i, bad, column, inner, n)
        place = dx + (outer * n + at) * inner + column
        total = tl.load(place, mask=valid) + tl.load(grad + i + column, mask=valid).to(dx.dtype.element_ty)
        tl.store(place, total, mask=valid)
        tl.debug_barrier()  # the next row may add to the same place


def gather_backward(grad: Tensor, shape: list[int], index: Tensor, options: DimOptions) -> Tensor:
    if not shape:
        return grad.sum()
    # Where x is larger than index in another dimension, its gradient is zero.
    reached = [size if axis == options.dim else index.shape[axis] for axis, size in enumerate(shape)]
    grad, index, bad = grad.contiguous(), index.contiguous(), error_flag(grad)
    grid, sizes = _columns(reached, index.shape, options.dim)
    part = statistics(grad, *reached).zero_()
    launch(add_kernel, grid, grad, index, part, bad, *sizes, BLOCK=BLOCK)
    check(bad)
    dx = grad.new_zeros(shape)
    dx[tuple(map(slice, reached))] = part
    return dx


def _columns(shape: list[int], index_shape: list[int], dim: int) -> tuple[tuple[int], tuple[int, int, int]]:
    """The grid, and n, m and inner of x (outer, n, inner) and index (outer, m, inner)."""
    outer, inner = math.prod(shape[:dim]), math.prod(shape[dim + 1 :])
    return (outer * triton.cdiv(inner, BLOCK),), (shape[dim], index_shape[dim], inner)
