"""Gather, rung 1: a program owns a block of columns and takes row after row.

    y[i] = x[index[i]]        dx[r] = sum of dy[i] over the i with index[i] = r

Nobody else writes into its columns: the backward needs no atomics, and adds in the order of the rows. But a program waits for
every row, and there are few programs where the rows are short.

              bytes (N results of b bytes)
    forward   N (8 + 2 b)
    backward  N (8 + b + 2 * 4), read and written where the index points, and dx, which is zeroed
"""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.gather import check, cut, flag, follow
from scratchnet.kernels.launch import launch, statistics
from scratchnet.ops import DimOptions

BLOCK = 128  # columns a program, one a thread


@triton.jit
def gather_kernel(x, index, y, bad, n, m, inner, BLOCK: tl.constexpr):
    blocks = tl.cdiv(inner, BLOCK)
    outer = (tl.program_id(0) // blocks).to(tl.int64)
    column = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    for row in range(m):
        i = (outer * m + row) * inner
        at, valid = follow(index + i, bad, column, inner, n)
        value = tl.load(x + (outer * n + at) * inner + column, mask=valid)
        tl.store(y + i + column, value, mask=column < inner)


def gather_forward(x: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    y = x.new_empty(index.shape)
    if x.dim() == 0:
        x, index = x.reshape(1), index.reshape(-1)
    x, index, bad = cut(x, options.dim, index).contiguous(), index.contiguous(), flag(x)
    grid, sizes = _columns(x.shape, index.shape, options.dim)
    launch(gather_kernel, grid, x, index, y, bad, *sizes, BLOCK=BLOCK)
    check(bad)
    return y


@triton.jit
def add_kernel(grad, index, dx, bad, n, m, inner, BLOCK: tl.constexpr):
    blocks = tl.cdiv(inner, BLOCK)
    outer = (tl.program_id(0) // blocks).to(tl.int64)
    column = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    for row in range(m):
        i = (outer * m + row) * inner
        at, valid = follow(index + i, bad, column, inner, n)
        place = dx + (outer * n + at) * inner + column
        total = tl.load(place, mask=valid) + tl.load(grad + i + column, mask=valid).to(dx.dtype.element_ty)
        tl.store(place, total, mask=valid)
        tl.debug_barrier()  # the next row may add to the same place


def gather_backward(grad: Tensor, shape: list[int], index: Tensor, options: DimOptions) -> Tensor:
    if not shape:
        return grad.sum()
    # The rest of x gets nothing.
    reached = [size if axis == options.dim else index.shape[axis] for axis, size in enumerate(shape)]
    grad, index, bad = grad.contiguous(), index.contiguous(), flag(grad)
    grid, sizes = _columns(reached, index.shape, options.dim)
    part = statistics(grad, *reached).zero_()
    launch(add_kernel, grid, grad, index, part, bad, *sizes, BLOCK=BLOCK)
    check(bad)
    dx = grad.new_zeros(shape)
    dx[tuple(map(slice, reached))] = part
    return dx


def _columns(shape: list[int], index_shape: list[int], dim: int) -> tuple[tuple[int], tuple[int, int, int]]:
    """Grid of x (outer, n, inner) and index (outer, m, inner), and n, m, inner."""
    outer, inner = math.prod(shape[:dim]), math.prod(shape[dim + 1 :])
    return (outer * triton.cdiv(inner, BLOCK),), (shape[dim], index_shape[dim], inner)
