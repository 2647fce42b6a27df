"""How the cross-entropy losses use their targets. The loss of a row is linear in its log-probabilities l:

    loss = -sum of a_c l_c        dx_c = dloss (exp(l_c) sum(a) - a_c)

    class index t             a_c = w_c ((1 - e) [c = t] + e / C), and 0 in an ignored row
    class probabilities q     a_c = w_c ((1 - e) q_c + e / C)                   class weights w, label smoothing e

The code calls a_c the share of a class. The mean divides by the sum of w_t over the rows that are not ignored or, for class
probabilities, by the number of rows. Programs write the sums of their rows and one program adds those up: no atomics, the same
bits every run.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.indices import check, error_flag
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.kernels.online_softmax import block_of, layout, rows_of_program
from scratchnet.ops import REDUCTIONS
from scratchnet.ops.cross_entropy import LossOptions

BLOCK_SUMS = 1024  # sums per step of the kernel that adds them up


def target_options(x: Tensor, target: Tensor, classes: int, options: LossOptions) -> dict:
    """What every kernel needs to compute shares."""
    return {
        "rest": 1 - options.label_smoothing,
        "uniform": options.label_smoothing / max(classes, 1),
        "PROBABILITIES": target.is_floating_point(),
        "ACC": accumulator(x),
    }


def every_class(target: Tensor, options: LossOptions) -> bool:
    """Whether every class has a share, not only the target."""
    return target.is_floating_point() or options.label_smoothing > 0


@triton.jit
def share(
    target, weight,  # (N, C, S) or unused, (C) or None
    c, at, mask, classes, rest, uniform, PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """a of a tile, zero outside the mask; for class indices, without the target's own part."""
    a = tl.full([1, 1], uniform, ACC)
    if PROBABILITIES:
        a = a + tl.full([1, 1], rest, ACC) * tl.load(target + at, mask=mask, other=0).to(ACC)
    if weight is not None:
        a = a * tl.load(weight + c, mask=c < classes, other=0).to(ACC)[None, :]
    return tl.where(mask, a, 0)


@triton.jit
def own_share(target, weight, bad, row, inside, classes, ignore_index, rest, ACC: tl.constexpr):
    """The class of each row, whether the row counts, the class's weight, and the target's own part of a.

    A class that does not exist is never read: `bad` is set.
    """
    t = tl.load(target + row, mask=inside, other=0)
    exists = (t >= 0) & (t < classes)
    counts = inside & (t != ignore_index)
    if bad is not None:
        tl.store(bad + row * 0, 1, mask=counts & ~exists)
    counts = counts & exists
    w = counts.to(ACC) if weight is None else tl.load(weight + t, mask=counts, other=0).to(ACC)
    return t, counts, w, tl.full([1], rest, ACC) * w


# ---- forward ------------------------------------------------------------------------------------------------------------


@triton.jit
def write_losses(
    x, start, class_stride, high, low, every,
    target, weight, loss, loss_sums, weight_sums, bad,  # (N, S), (C) or None, (N, S) or None, (programs) twice, (1)
    row, inside, classes, ignore_index, rest, PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Losses of rows with lse = high + low. `every`: their part from all classes, without the target's own."""
    if PROBABILITIES:
        value, w = tl.where(inside, every, 0), (inside & (classes > 0)).to(ACC)
    else:
        t, counts, w, own = own_share(target, weight, bad, row, inside, classes, ignore_index, rest, ACC)
        logit = tl.load(x + start + t * class_stride, mask=counts, other=0)
        value = tl.where(counts, every - own * (logit.to(high.dtype) - high - low), 0)
    value = value.to(ACC)
    if loss is not None:
        tl.store(loss + row, value.to(loss.dtype.element_ty), mask=inside)
    tl.store(loss_sums + tl.program_id(0), tl.sum(value, 0))
    tl.store(weight_sums + tl.program_id(0), tl.sum(w, 0))


def loss_memory(x: Tensor, shape: tuple[int, ...], reduction: int, programs: int) -> tuple[Tensor | None, ...]:
    """Where `write_losses` writes: the losses or None, each program's sums of losses and of weights, and the error flag."""
    loss = x.new_empty(shape) if REDUCTIONS[reduction] == "none" else None
    sums = statistics(x, 2, triton.cdiv(programs, BLOCK_SUMS) * BLOCK_SUMS).zero_()
    return loss, *sums, error_flag(x)


@triton.jit(do_not_specialize=["blocks"])
def sums_kernel(
    loss_sums, weight_sums, loss, total_weight,  # (blocks, BLOCK) twice, () or None, ()
    blocks, MEAN: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.arange(0, BLOCK)
    losses, weights = tl.zeros([BLOCK], ACC), tl.zeros([BLOCK], ACC)
    for block in range(blocks):
        losses += tl.load(loss_sums + block * BLOCK + i)
        weights += tl.load(weight_sums + block * BLOCK + i)
    total, divisor = tl.sum(losses, 0), tl.sum(weights, 0)
    tl.store(total_weight, divisor)
    if loss is not None:
        if MEAN:  # without any weight this is 0 / 0, even where label smoothing leaves a loss
            total = tl.where(divisor == 0, float("nan"), total / divisor)
        tl.store(loss, total.to(loss.dtype.element_ty))


def loss_and_divisor(
    x: Tensor, rows: Tensor | None, loss_sums: Tensor, weight_sums: Tensor, bad: Tensor, reduction: int
) -> tuple[Tensor, Tensor]:
    """The loss and total_weight from what `write_losses` wrote."""
    check(bad)
    loss, total_weight = x.new_empty(()) if rows is None else None, statistics(x)
    blocks, constants = loss_sums.numel() // BLOCK_SUMS, {"ACC": accumulator(x), "BLOCK": BLOCK_SUMS}
    mean = REDUCTIONS[reduction] == "mean"
    launch(sums_kernel, (1,), loss_sums, weight_sums, loss, total_weight, blocks, MEAN=mean, **constants)
    return loss if rows is None else rows, total_weight


# ---- backward -----------------------------------------------------------------------------------------------------------


@triton.jit(do_not_specialize=["rows"])
def share_sums_kernel(
    target, weight, sums,  # (N, C, S), or unused where every row is alike; (C) or None; (N, S) or (1)
    rows, classes, row_stride, class_stride, rest: tl.float64, uniform: tl.float64,
    PROBABILITIES: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, start, inside = rows_of_program(rows, classes, row_stride, class_stride, BLOCK_ROWS)
    total = tl.zeros([BLOCK_ROWS], ACC)
    for first in range(0, classes, BLOCK):
        c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
        total += tl.sum(share(target, weight, c, at, mask, classes, rest, uniform, PROBABILITIES, ACC), 1)
    tl.store(sums + row, total, mask=inside)


def share_sums(x: Tensor, target: Tensor, weight: Tensor | None, classes: int, options: LossOptions) -> Tensor | None:
    """sum(a) without the target's own part: a number for each row of probabilities (N, C, ...), or one for all class indices.

    None where only the target has a share.
    """
    if not every_class(target, options):
        return None
    shape = target.shape if target.is_floating_point() else (1, classes)
    grid, sizes, tile = layout(shape, 1)
    sums = statistics(x, shape[0] * math.prod(shape[2:]))
    launch(share_sums_kernel, grid, target, weight, sums, *sizes, **target_options(x, target, classes, options), **tile)
    return sums


@triton.jit
def gradient_of_rows(
    grad, total_weight, target, weight, sums,  # (N, S) or (), (), (N, S), (C) or None, `share_sums`
    row, inside, classes, ignore_index, rest,
    REDUCTION: tl.constexpr, PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """For each row: dloss, sum(a), the class, and the target's own part of a."""
    g = tl.load(grad + (row if REDUCTION == "none" else row * 0), mask=inside, other=0).to(ACC)
    if REDUCTION == "mean":
        g = g / tl.load(total_weight)
    every = tl.zeros([1], ACC)
    if sums is not None:
        every = tl.load(sums + (row if PROBABILITIES else row * 0), mask=inside, other=0)
    if PROBABILITIES:
        return g, every, None, None
    else:
        t, counts, _, own = own_share(target, weight, None, row, inside, classes, ignore_index, rest, ACC)
        return tl.where(counts, g, 0), every + own, t.to(tl.int32), own


@triton.jit
def gradient_of_logits(
    p, g, every, t, own, target, weight, sums, c, at, mask, classes, rest, uniform,
    PROBABILITIES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """dx of a tile from its probabilities p and the results of `gradient_of_rows`."""
    d = every[:, None] * p
    if sums is not None:
        d -= share(target, weight, c, at, mask, classes, rest, uniform, PROBABILITIES, ACC)
    if not PROBABILITIES:
        d -= tl.where(c[None, :] == t[:, None], own[:, None], 0)
    return g[:, None] * d
