"""Cross-entropy, rung 2: online softmax, block by block; still one row per program.

    loss = -sum of a (x - lse)        dx = dloss (exp(x - lse) sum(a) - a)        lse = m + log(sum of exp(x - m))

a is defined in class_targets.py. Maximum and sum come from one loop, and the backward takes the saved lse. Nothing of the size
of the logits is saved.

              passes over memory                        bytes (N elements of b bytes)
    forward   read x                                    N b;  class probabilities add N b
    backward  read x, write dx                          2 N b;  class probabilities add 2 N b
"""

from __future__ import annotations

from collections.abc import Callable

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
from scratchnet.ops import REDUCTIONS
from scratchnet.ops.cross_entropy import LossOptions

BLOCK = 1024  # classes per step of a loop
Placed = Callable[[torch.Size], tuple[tuple[int, ...], tuple[int, ...], dict[str, int]]]  # shape -> grid, sizes, blocks


def one_row(shape: torch.Size) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, int]]:
    """A row in each program."""
    _, sizes, _ = layout(shape, 1)
    return (shape[0] * shape[2],), sizes, {"BLOCK_ROWS": 1, "BLOCK": BLOCK}


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


def forward(
    placed: Placed, x: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions
) -> tuple[Tensor, Tensor, Tensor]:
    x, target, weight = (None if t is None else t.contiguous() for t in (x, target, weight))
    grid, sizes, tile = placed(x.shape)
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


def backward(
    placed: Placed,
    grad: Tensor,
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    lse: Tensor,
    total_weight: Tensor,
    options: LossOptions,
) -> Tensor:
    grad, x, target, weight, lse = (None if t is None else t.contiguous() for t in (grad, x, target, weight, lse))
    dx = torch.empty_like(x)
    grid, sizes, tile = placed(x.shape)
    sums = share_sums(x, target, weight, sizes[1], options)
    tensors, sizes = (grad, x, target, weight, lse, total_weight, sums, dx), (*sizes, options.ignore_index)
    constants = {"REDUCTION": REDUCTIONS[options.reduction], **target_options(x, target, x.shape[1], options)}
    launch(cross_entropy_backward_kernel, grid, *tensors, *sizes, **constants, **tile)
    return dx


def cross_entropy_forward(*args) -> tuple[Tensor, Tensor, Tensor]:
    return forward(one_row, *args)


def cross_entropy_backward(*args) -> Tensor:
    return backward(one_row, *args)
