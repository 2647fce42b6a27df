"""Gather, rung 2: every element at once, a tile of them for each program.

    y[i] = x[index[i]]        dx[r] = sum of dy[i] over the i with index[i] = r

All programs of a GPU have work, however short the rows are. But two of them may add to the same entry of dx now: they add with
atomics, in float32 for 16-bit types, in an order that varies.

              passes over memory                               bytes (N results of b bytes)
    forward   read index, and x where it points; write y       N (8 + 2 b)
    backward  read index and dy, add to dx, which is zeroed    N (8 + b) + 2 * 4 * elements of x touched
"""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.indices import check, error_flag, load_index, narrowed
from scratchnet.kernels.launch import launch, statistics
from scratchnet.ops import DimOptions

TILE = 1024  # elements per program


@triton.jit
def gather_kernel(
    x, index, y, bad,  # (outer, n, inner), (outer, m, inner) twice, (1)
    count, n, m, inner, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at, valid = load_index(index, bad, i, count, n)
    value = tl.load(x + (i // (m * inner) * n + at) * inner + i % inner, mask=valid)
    tl.store(y + i, value, mask=i < count)


def gather_forward(x: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    dim = options.dim
    y = x.new_empty(index.shape)
    if x.dim() == 0:
        x, index = x.reshape(1), index.reshape(-1)
    x = narrowed(x, dim, index)
    n, m, inner = x.shape[dim], index.shape[dim], math.prod(index.shape[dim + 1 :])
    x, index, bad = x.contiguous(), index.contiguous(), error_flag(x)
    launch(gather_kernel, (triton.cdiv(y.numel(), TILE),), x, index, y, bad, y.numel(), n, m, inner, BLOCK=TILE)
    check(bad)
    return y


@triton.jit
def add_kernel(
    grad, index, dx, bad,  # (outer, m, inner) twice, (outer, n, inner), (1)
    count, n, m, inner, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at, valid = load_index(index, bad, i, count, n)
    value = tl.load(grad + i, mask=valid, other=0).to(dx.dtype.element_ty)
    tl.atomic_add(dx + (i // (m * inner) * n + at) * inner + i % inner, value, mask=valid, sem="relaxed")


def gather_backward(grad: Tensor, shape: list[int], index: Tensor, options: DimOptions) -> Tensor:
    if not shape:
        return grad.sum()
    # Where x is larger than index in another dimension, its gradient is zero.
    reached = [size if axis == options.dim else index.shape[axis] for axis, size in enumerate(shape)]
    grad, index, bad = grad.contiguous(), index.contiguous(), error_flag(grad)
    n, m, inner = shape[options.dim], index.shape[options.dim], math.prod(index.shape[options.dim + 1 :])
    part = statistics(grad, *reached).zero_()
    launch(add_kernel, (triton.cdiv(grad.numel(), TILE),), grad, index, part, bad, grad.numel(), n, m, inner, BLOCK=TILE)
    check(bad)
    dx = grad.new_zeros(shape)
    dx[tuple(map(slice, reached))] = part
    return dx
