"""Softmax, log-softmax and logsumexp: online softmax over tiles of rows, block by block.

    softmax          y = exp(x - m) / s              dx = y (dy - sum of dy y)            m the maximum of the row
    log_softmax      y = x - m - log(s)              dx = dy - exp(y) sum of dy           s the sum of exp(x - m)
    logsumexp        y = m + log(s)                  dx = dy exp(x - y)

A row of at most LONGEST elements stays in registers; a longer one is read again.

                     passes over memory, short rows (long rows)       bytes (N elements of b bytes, short rows)
    softmax          read x, write y              (read x twice)      2 N b;  the same for log_softmax and logsumexp's backward
        backward     read y and dy, write dx  (read both twice)       3 N b
    logsumexp        read x                                           N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import accumulator, launch
from scratchnet.kernels.online_softmax import block_of, defined, largest_and_total, layout, rows_of_program, shift
from scratchnet.ops import DimOptions


@triton.jit(do_not_specialize=["rows"])
def normalize_kernel(
    x, grad, y,  # (N, C, S), (N, S) or None, (N, C, S): softmax or log_softmax or, if grad is given, logsumexp's gradient
    rows, classes, row_stride, class_stride,
    LOG: tl.constexpr, ACC: tl.constexpr, FITS: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, BLOCK_ROWS)
    if FITS:
        c, at, mask = block_of(start, inside, 0, classes, class_stride, BLOCK)
        value = tl.load(x + at, mask=mask, other=float("-inf")).to(ACC)
        largest = tl.max(value, 1)
        total = tl.sum(tl.exp(value - shift(largest)[:, None]), 1)
        result = _normalized(value, largest, total, grad, row, inside, LOG)
        tl.store(y + at, result.to(y.dtype.element_ty), mask=mask)
    else:
        largest, total = largest_and_total(x, start, inside, classes, class_stride, ACC, BLOCK_ROWS, BLOCK)
        for first in range(0, classes, BLOCK):
            c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
            value = tl.load(x + at, mask=mask, other=0).to(ACC)
            result = _normalized(value, largest, total, grad, row, inside, LOG)
            tl.store(y + at, result.to(y.dtype.element_ty), mask=mask)


@triton.jit
def _normalized(value, largest, total, grad, row, inside, LOG: tl.constexpr):
    value = value - shift(largest)[:, None]
    if grad is not None:  # even a row with an infinite sum has a logsumexp, and a gradient except where it is inf - inf
        g = tl.load(grad + row, mask=inside, other=0).to(total.dtype)
        return g[:, None] * tl.exp(value - tl.log(total)[:, None])
    elif LOG:
        return value - tl.log(defined(largest, total))[:, None]
    else:
        return tl.exp(value) / defined(largest, total)[:, None]


def _normalize(x: Tensor, dim: int, grad: Tensor | None = None, log: bool = False) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    grid, sizes, tile = layout(x.shape, dim)
    fits = tile["BLOCK"] >= sizes[1]
    launch(normalize_kernel, grid, x, grad, y, *sizes, LOG=log, ACC=accumulator(x), FITS=fits, **tile)
    return y


@triton.jit(do_not_specialize=["rows"])
def normalize_backward_kernel(
    grad, y, dx,  # (N, C, S) three times
    rows, classes, row_stride, class_stride,
    LOG: tl.constexpr, ACC: tl.constexpr, FITS: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, BLOCK_ROWS)
    if FITS:
        c, at, mask = block_of(start, inside, 0, classes, class_stride, BLOCK)
        g, value = tl.load(grad + at, mask=mask, other=0).to(ACC), tl.load(y + at, mask=mask, other=0).to(ACC)
        total = tl.sum(g if LOG else g * value, 1)
        tl.store(dx + at, _projected(g, value, total, LOG).to(dx.dtype.element_ty), mask=mask)
    else:
        total = tl.zeros([BLOCK_ROWS], ACC)
        for first in range(0, classes, BLOCK):
            c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
            g = tl.load(grad + at, mask=mask, other=0).to(ACC)
            total += tl.sum(g if LOG else g * tl.load(y + at, mask=mask, other=0).to(ACC), 1)
        for first in range(0, classes, BLOCK):
            c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
            g, value = tl.load(grad + at, mask=mask, other=0).to(ACC), tl.load(y + at, mask=mask, other=0).to(ACC)
            tl.store(dx + at, _projected(g, value, total, LOG).to(dx.dtype.element_ty), mask=mask)


@triton.jit
def _projected(g, y, total, LOG: tl.constexpr):
    if LOG:
        return g - tl.exp(y) * total[:, None]
    return y * (g - total[:, None])


def _normalize_backward(grad: Tensor, y: Tensor, dim: int, log: bool) -> Tensor:
    grad, y = grad.contiguous(), y.contiguous()
    dx = torch.empty_like(y)
    grid, sizes, tile = layout(y.shape, dim)
    fits = tile["BLOCK"] >= sizes[1]
    launch(normalize_backward_kernel, grid, grad, y, dx, *sizes, LOG=log, ACC=accumulator(y), FITS=fits, **tile)
    return dx


def softmax_forward(x: Tensor, options: DimOptions) -> Tensor:
    return _normalize(x, options.dim)


def softmax_backward(grad: Tensor, y: Tensor, options: DimOptions) -> Tensor:
    return _normalize_backward(grad, y, options.dim, log=False)


def log_softmax_forward(x: Tensor, options: DimOptions) -> Tensor:
    return _normalize(x, options.dim, log=True)


def log_softmax_backward(grad: Tensor, y: Tensor, options: DimOptions) -> Tensor:
    return _normalize_backward(grad, y, options.dim, log=True)


@triton.jit(do_not_specialize=["rows"])
def logsumexp_kernel(
    x, y,  # (N, C, S), (N, S)
    rows, classes, row_stride, class_stride, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, BLOCK_ROWS)
    largest, total = largest_and_total(x, start, inside, classes, class_stride, ACC, BLOCK_ROWS, BLOCK)
    tl.store(y + row, (shift(largest) + tl.log(total)).to(y.dtype.element_ty), mask=inside)


def logsumexp_forward(x: Tensor, options: DimOptions) -> Tensor:
    x = x.contiguous()
    y = x.new_empty([1 if axis == options.dim else size for axis, size in enumerate(x.shape)])
    grid, sizes, tile = layout(x.shape, options.dim)
    launch(logsumexp_kernel, grid, x, y, *sizes, ACC=accumulator(x), **tile)
    return y


def logsumexp_backward(grad: Tensor, x: Tensor, y: Tensor, options: DimOptions) -> Tensor:
    """y is computed again: a 16-bit y lacks the digits that exp(x - y) needs."""
    return _normalize(x, options.dim, grad.contiguous())
