"""Softmax, log-softmax, logsumexp and cross-entropy, rung 2: online softmax over tiles of rows, block by block.

    softmax          y = exp(x - m) / s              dx = y (dy - sum of dy y)            m the maximum of the row
    log_softmax      y = x - m - log(s)              dx = dy - exp(y) sum of dy           s the sum of exp(x - m)
    logsumexp        y = m + log(s)                  dx = dy exp(x - y)
    cross_entropy    loss = -sum of a (x - lse)      dx = dloss (exp(x - lse) sum(a) - a)

a is defined in class_targets.py. Nothing of the size of the logits is saved. A row of at most LONGEST elements that is needed
twice stays in registers; a longer one is read again.

                     passes over memory, short rows (long rows)       bytes (N elements of b bytes, short rows)
    softmax          read x, write y              (read x twice)      2 N b;  the same for log_softmax and logsumexp's backward
        backward     read y and dy, write dx  (read both twice)       3 N b
    logsumexp        read x                                           N b
    cross_entropy    read x                                           N b;  class probabilities add N b
        backward     read x, write dx                                 2 N b;  class probabilities add 2 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.class_targets import (
    every_class,
    gradient_of_logits,
    gradient_of_rows,
    loss_and_divisor,
    loss_memory,
    share,
    share_sums,
    target_options,
    write_losses,
)
from scratchnet.kernels.launch import accumulator, launch
from scratchnet.kernels.online_softmax import (
    block_of,
    defined,
    largest_and_total,
    layout,
    online,
    rows_of_program,
    shift,
    split,
)
from scratchnet.ops import REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LossOptions

# ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


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


# ---- cross_entropy ------------------------------------------------------------------------------------------------------


@triton.jit(do_not_specialize=["rows", "ignore_index"])
def cross_entropy_forward_kernel(
    x, target, weight, lse,  # (N, C, S), (N, S) or (N, C, S), (C) or None, (N, S)
    loss, loss_sums, weight_sums, bad,  # as in `loss_memory`
    rows, classes, row_stride, class_stride, ignore_index,
    rest: tl.float64, uniform: tl.float64, EVERY_CLASS: tl.constexpr, PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, BLOCK_ROWS)
    largest, total = tl.full([BLOCK_ROWS], float("-inf"), ACC), tl.zeros([BLOCK_ROWS], ACC)
    shares, weighted = tl.zeros([BLOCK_ROWS], ACC), tl.zeros([BLOCK_ROWS], ACC)  # sum of a, sum of a (x - shift)
    for first in range(0, classes, BLOCK):
        c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
        value = tl.load(x + at, mask=mask, other=float("-inf")).to(ACC)
        before = shift(largest)
        largest, total = online(value, largest, total)
        if EVERY_CLASS:
            a = share(target, weight, c, at, mask, classes, rest, uniform, PROBABILITIES, ACC)
            s = shift(largest)
            weighted += shares * (before - s) + tl.sum(tl.where(mask, a * (value - s[:, None]), 0), 1)
            shares += tl.sum(a, 1)
    high = shift(largest)
    low = tl.where(classes > 0, tl.log(defined(largest, total)), 0)
    tl.store(lse + row, high.to(tl.float64) + low.to(tl.float64), mask=inside)
    write_losses(
        x, start, class_stride, high, low, shares * low - weighted, target, weight, loss, loss_sums, weight_sums, bad,
        row, inside, classes, ignore_index, rest, PROBABILITIES, ACC,
    )  # fmt: skip


def cross_entropy_forward(
    x: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions
) -> tuple[Tensor, Tensor, Tensor]:
    x, target, weight = (None if t is None else t.contiguous() for t in (x, target, weight))
    grid, sizes, tile = layout(x.shape, 1)
    lse = x.new_empty(x.shape[0], x.shape[2], dtype=torch.float64)  # exp(x - lse) needs the digits that follow a large m
    results = loss_memory(x, lse.shape, options.reduction, *grid)
    tensors, sizes = (x, target, weight, lse, *results), (*sizes, options.ignore_index)
    constants = {"EVERY_CLASS": every_class(target, options), **target_options(x, target, x.shape[1], options)}
    launch(cross_entropy_forward_kernel, grid, *tensors, *sizes, **constants, **tile)
    loss, total_weight = loss_and_divisor(x, *results, options.reduction)
    return loss, lse, total_weight


@triton.jit(do_not_specialize=["rows", "ignore_index"])
def cross_entropy_backward_kernel(
    grad, x, target, weight,  # (N, S) or (), (N, C, S), (N, S) or (N, C, S), (C) or None
    lse, total_weight, sums, dx,  # (N, S), (), `share_sums`, (N, C, S)
    rows, classes, row_stride, class_stride, ignore_index,
    rest: tl.float64, uniform: tl.float64, REDUCTION: tl.constexpr, PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, BLOCK_ROWS)
    g, every, t, own = gradient_of_rows(
        grad, total_weight, target, weight, sums, row, inside, classes, ignore_index, rest, REDUCTION, PROBABILITIES, ACC
    )
    both = tl.load(lse + row, mask=inside, other=0)
    high, low = split(both, ACC)
    if ACC == tl.float32:
        lost = tl.abs(both) > 268435456.0  # 2^28: beyond it a float64 lacks digits for log(total)
        if tl.max(lost.to(tl.int32), 0) > 0:
            largest, total = largest_and_total(x, start, inside, classes, class_stride, ACC, BLOCK_ROWS, BLOCK)
            high, low = tl.where(lost, shift(largest), high), tl.where(lost, tl.log(total), low)
    for first in range(0, classes, BLOCK):
        c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
        p = tl.exp(tl.load(x + at, mask=mask, other=0).to(ACC) - high[:, None] - low[:, None])
        d = gradient_of_logits(
            p, g, every, t, own, target, weight, sums, c, at, mask, classes, rest, uniform, PROBABILITIES, ACC
        )
        tl.store(dx + at, d.to(dx.dtype.element_ty), mask=mask)


def cross_entropy_backward(
    grad: Tensor, x: Tensor, target: Tensor, weight: Tensor | None, lse: Tensor, total_weight: Tensor, options: LossOptions
) -> Tensor:
    grad, x, target, weight, lse = (None if t is None else t.contiguous() for t in (grad, x, target, weight, lse))
    dx = torch.empty_like(x)
    grid, sizes, tile = layout(x.shape, 1)
    sums = share_sums(x, target, weight, sizes[1], options)
    tensors, sizes = (grad, x, target, weight, lse, total_weight, sums, dx), (*sizes, options.ignore_index)
    constants = {"REDUCTION": REDUCTIONS[options.reduction], **target_options(x, target, x.shape[1], options)}
    launch(cross_entropy_backward_kernel, grid, *tensors, *sizes, **constants, **tile)
    return dx
