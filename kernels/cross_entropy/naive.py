"""Cross-entropy, rung 1: one row per program, one loop over it for the maximum and another for the sum.

    loss = -sum of a (x - lse)        dx = dloss (exp(x - lse) sum(a) - a)        lse = m + log(sum of exp(x - m))

a is defined in class_targets.py. The backward computes m and the sum again instead of using the saved lse.

              passes over memory                        bytes (N elements of b bytes)
    forward   read x twice                              2 N b;  class probabilities add N b
    backward  read x three times, write dx              4 N b;  class probabilities add 2 N b
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
from scratchnet.kernels.launch import launch
from scratchnet.kernels.online_softmax import block_of, defined, layout, rows_of_program, shift
from scratchnet.ops import REDUCTIONS
from scratchnet.ops.cross_entropy import LossOptions

BLOCK = 1024  # classes per step of a loop


@triton.jit
def _largest(x, start, inside, classes, class_stride, ACC: tl.constexpr, BLOCK: tl.constexpr):
    largest = tl.full([1], float("-inf"), ACC)
    for first in range(0, classes, BLOCK):
        _, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
        value = tl.load(x + at, mask=mask, other=float("-inf")).to(ACC)
        largest = tl.maximum(largest, tl.max(value, 1))
    return largest


@triton.jit
def _total(x, high, start, inside, classes, class_stride, ACC: tl.constexpr, BLOCK: tl.constexpr):
    total = tl.zeros([1], ACC)
    for first in range(0, classes, BLOCK):
        _, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
        value = tl.load(x + at, mask=mask, other=float("-inf")).to(ACC)
        total += tl.sum(tl.exp(value - high[:, None]), 1)
    return total


@triton.jit
def forward_kernel(
    x, target, weight, lse,  # (N, C, S), (N, S) or (N, C, S), (C) or None, (N, S)
    loss, loss_sums, weight_sums, bad,  # as in `loss_memory`
    rows, classes, row_stride, class_stride, ignore_index,
    rest: tl.float64, uniform: tl.float64, EVERY_CLASS: tl.constexpr, PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, 1)
    largest = _largest(x, start, inside, classes, class_stride, ACC, BLOCK)
    high = shift(largest)
    total = _total(x, high, start, inside, classes, class_stride, ACC, BLOCK)
    low = tl.where(classes > 0, tl.log(defined(largest, total)), 0)
    every = tl.zeros([1], ACC)  # -sum of a (x - lse) without the target's own part
    if EVERY_CLASS:
        for first in range(0, classes, BLOCK):
            c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
            a = share(target, weight, c, at, mask, classes, rest, uniform, PROBABILITIES, ACC)
            value = tl.load(x + at, mask=mask, other=0).to(ACC)
            every -= tl.sum(tl.where(mask, a * (value - high[:, None] - low[:, None]), 0), 1)
    tl.store(lse + row, high.to(tl.float64) + low.to(tl.float64), mask=inside)
    write_losses(
        x, start, class_stride, high, low, every, target, weight, loss, loss_sums, weight_sums, bad,
        row, inside, classes, ignore_index, rest, PROBABILITIES, ACC,
    )  # fmt: skip


def cross_entropy_forward(
    x: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions
) -> tuple[Tensor, Tensor, Tensor]:
    x, target, weight = (None if t is None else t.contiguous() for t in (x, target, weight))
    _, sizes, _ = layout(x.shape, 1)
    lse = x.new_empty(x.shape[0], x.shape[2], dtype=torch.float64)
    results = loss_memory(x, lse.shape, options.reduction, lse.numel())
    tensors, sizes = (x, target, weight, lse, *results), (*sizes, options.ignore_index)
    constants = {"EVERY_CLASS": every_class(target, options), **target_options(x, target, x.shape[1], options)}
    launch(forward_kernel, (lse.numel(),), *tensors, *sizes, **constants, BLOCK=BLOCK)
    loss, total_weight = loss_and_divisor(x, *results, options.reduction)
    return loss, lse, total_weight


@triton.jit
def backward_kernel(
    grad, x, target, weight,  # (N, S) or (), (N, C, S), (N, S) or (N, C, S), (C) or None
    total_weight, sums, dx,  # (), `share_sums`, (N, C, S)
    rows, classes, row_stride, class_stride, ignore_index,
    rest: tl.float64, uniform: tl.float64, REDUCTION: tl.constexpr, PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, 1)
    g, every, t, own = gradient_of_rows(
        grad, total_weight, target, weight, sums, row, inside, classes, ignore_index, rest, REDUCTION, PROBABILITIES, ACC
    )
    largest = _largest(x, start, inside, classes, class_stride, ACC, BLOCK)
    high = shift(largest)
    low = tl.log(defined(largest, _total(x, high, start, inside, classes, class_stride, ACC, BLOCK)))
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
    grad, x, target, weight = (None if t is None else t.contiguous() for t in (grad, x, target, weight))
    dx = torch.empty_like(x)
    _, sizes, _ = layout(x.shape, 1)
    sums = share_sums(x, target, weight, sizes[1], options)
    tensors, sizes = (grad, x, target, weight, total_weight, sums, dx), (*sizes, options.ignore_index)
    constants = {"REDUCTION": REDUCTIONS[options.reduction], **target_options(x, target, x.shape[1], options)}
    launch(backward_kernel, (lse.numel(),), *tensors, *sizes, **constants, BLOCK=BLOCK)
    return dx
