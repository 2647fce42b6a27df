"""Cross-entropy of the logits x W^T + b, which are never in memory: a tile of them lives in registers.

    forward     each tile writes its part of the logsumexp; lse is the logsumexp of the parts
    backward    each tile is computed again and becomes its gradient d, CHUNK classes at a time:
                dx = sum over chunks of d W,   dW = d^T x,   db = sum of d over the rows

Logits are float32 (float64), and so are the sums: over rows in dW and db, over classes in dx. d has the type of x.

                FLOPs        bytes besides x, W and their gradients (N rows, C classes, K features, b per element)
    forward     2 N C K      N C / 8 to write and read the parts
    backward    6 N C K      3 N C b to write d and read it twice; d holds N CHUNK b
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
from scratchnet.kernels.column_sums import column_sums
from scratchnet.kernels.cross_entropy.softmax import logsumexp_forward
from scratchnet.kernels.launch import launch, statistics
from scratchnet.kernels.matmul.split import multiply
from scratchnet.kernels.online_softmax import shift, split
from scratchnet.kernels.tile import GROUP, aligned, multiply_tile, tile_in_groups, types, uses_threads
from scratchnet.ops import REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LossOptions

CHUNK = 4096  # classes whose gradient is in memory at a time
BLOCK_ROWS = 128  # of the kernel that computes the losses from the parts
MATRIX_UNITS = {"BLOCK_M": 128, "BLOCK_N": 128, "K_BYTES": 128, "num_warps": 8, "num_stages": 3}
WITH_SHARES = {**MATRIX_UNITS, "BLOCK_M": 64}  # shares of every class need registers too
SMALL = {"BLOCK_M": 64, "BLOCK_N": 64, "K_BYTES": 64, "num_warps": 8, "num_stages": 3}  # as matmul's
assert all(CHUNK % tile["BLOCK_N"] == 0 for tile in (MATRIX_UNITS, WITH_SHARES, SMALL))  # a row of d is a whole number of tiles


def _tile(x: Tensor, w: Tensor, shares: bool) -> dict:
    small = uses_threads(x) or not (aligned(x) and aligned(w))
    return {**(SMALL if small else WITH_SHARES if shares else MATRIX_UNITS), **types(x), "GROUP": GROUP}


@triton.jit
def logits_of_program(
    x, w, bias,  # (rows, k), (classes, k), (classes) or None
    rows, first_class, last_class, k,
    PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, K_BYTES: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """This program's tile of x w^T + bias for first_class to last_class: its place, rows, classes, mask and logits."""
    BLOCK_K: tl.constexpr = K_BYTES * 8 // x.dtype.element_ty.primitive_bitwidth
    tiles_m, tiles_n = tl.cdiv(rows, BLOCK_M), tl.cdiv(last_class - first_class, BLOCK_N)
    tile_m, tile_n = tile_in_groups(tl.program_id(0), tiles_m, tiles_n, GROUP)
    row = tile_m.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)
    c = first_class + column
    in_rows, in_classes = (row < rows)[:, None], (c < last_class)[None, :]
    logits = multiply_tile(
        x, w, row, c.to(tl.int64), in_rows, in_classes, 0, k, k, k, 1, 1, k, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K
    )
    if bias is not None:
        logits += tl.load(bias + c, mask=c < last_class, other=0).to(ACC)[None, :]
    return tile_m, tile_n, row, column, c, in_rows & in_classes, logits


# ---- forward ------------------------------------------------------------------------------------------------------------


@triton.jit(do_not_specialize=["rows"])
def parts_kernel(
    x, w, bias, target, weight,  # (rows, k), (classes, k), (classes) or None, (rows) or (rows, classes), (classes) or None
    lse, weighted, own_logit,  # (tiles of classes, padded), the same or None, (rows)
    rows, padded, classes, k, rest: tl.float64, uniform: tl.float64, PROBABILITIES: tl.constexpr,
    PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, K_BYTES: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    _, tile_n, row, _, c, mask, logits = logits_of_program(
        x, w, bias, rows, 0, classes, k, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, K_BYTES, GROUP
    )
    logits = tl.where(mask, logits, float("-inf"))
    s = shift(tl.max(logits, 1))
    total = tl.sum(tl.exp(logits - s[:, None]), 1)
    inside, part = row < rows, tile_n.to(tl.int64) * padded + row
    tl.store(lse + part, s.to(tl.float64) + tl.log(total).to(tl.float64))
    if not PROBABILITIES:
        t = tl.load(target + row, mask=inside, other=0)
        own = tl.sum(tl.where(c[None, :] == t.to(tl.int32)[:, None], logits, 0), 1)
        tl.store(own_logit + row, own, mask=inside & (t // BLOCK_N == tile_n))  # only one tile does
    if weighted is not None:
        at = row[:, None] * classes + c[None, :]
        a = share(target, weight, c, at, mask, classes, rest, uniform, PROBABILITIES, ACC)
        tl.store(weighted + part, tl.sum(tl.where(mask, a * logits, 0), 1).to(tl.float64))


@triton.jit(do_not_specialize=["rows", "ignore_index"])
def losses_kernel(
    own_logit, lse, weighted, sums,  # (rows) twice, (rows) or None, `share_sums`
    target, weight, loss, loss_sums, weight_sums, bad,  # (rows) or (rows, classes), (classes) or None, as in `loss_memory`
    rows, classes, ignore_index,
    rest: tl.float64, PROBABILITIES: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    inside = row < rows
    high = tl.load(lse + row, mask=inside, other=0)
    high = tl.where(tl.abs(high) == float("inf"), float("nan"), high)  # the maximum of the row is infinite
    high = tl.where(classes > 0, high, 0)
    tl.store(lse + row, high, mask=inside)
    low = tl.zeros([BLOCK_ROWS], tl.float64)
    every = low
    if weighted is not None:
        shares = tl.load(sums + (row if PROBABILITIES else row * 0), mask=inside, other=0)
        every = shares * high - tl.load(weighted + row, mask=inside, other=0)
    write_losses(
        own_logit, row, 0, high, low, every, target, weight, loss, loss_sums, weight_sums, bad,
        row, inside, classes, ignore_index, rest, PROBABILITIES, ACC,
    )  # fmt: skip


def linear_cross_entropy_forward(
    x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None, target: Tensor, weight: Tensor | None, options: LossOptions
) -> tuple[Tensor, Tensor, Tensor]:
    x, w, bias, target, weight = (
        None if t is None else t.contiguous() for t in (x, linear_weight, linear_bias, target, weight)
    )
    (rows, k), classes, shares = x.shape, w.shape[0], every_class(target, options)
    tile, target_constants = _tile(x, w, shares), target_options(x, target, classes, options)
    tiles_m, tiles_n = triton.cdiv(rows, tile["BLOCK_M"]), triton.cdiv(classes, tile["BLOCK_N"])
    padded = (
        tiles_m * tile["BLOCK_M"]
    )  # a multiple of the tile: kernels that read the parts are compiled once for all numbers of rows
    parts, own_logit = x.new_empty(tiles_n, padded, dtype=torch.float64), statistics(x, rows)
    weighted = torch.empty_like(parts) if shares else None
    tensors = (x, w, bias, target, weight, parts, weighted, own_logit)
    launch(parts_kernel, (tiles_m * tiles_n,), *tensors, rows, padded, classes, k, **target_constants | tile)
    lse = logsumexp_forward(parts, DimOptions(0))[0, :rows]
    weighted = None if weighted is None else column_sums(weighted, torch.float64)
    grid = (triton.cdiv(rows, BLOCK_ROWS),)
    results = loss_memory(x, (rows,), options.reduction, *grid)
    constants = {name: target_constants[name] for name in ("rest", "PROBABILITIES", "ACC")}
    tensors = (own_logit, lse, weighted, share_sums(x, target, weight, classes, options), target, weight, *results)
    launch(losses_kernel, grid, *tensors, rows, classes, options.ignore_index, **constants, BLOCK_ROWS=BLOCK_ROWS)
    loss, total_weight = loss_and_divisor(x, *results, options.reduction)
    return loss, lse, total_weight


# ---- backward -----------------------------------------------------------------------------------------------------------


@triton.jit(do_not_specialize=["rows", "first_class", "last_class", "ignore_index"])
def logits_gradient_kernel(
    grad, x, w, bias,  # (rows) or (), (rows, k), (classes, k), (classes) or None
    target, weight, lse, total_weight, sums,  # (rows) or (rows, classes), (classes) or None, (rows), (), `share_sums`
    d, column_sums,  # (rows, stride), (tiles, stride) or None
    rows, classes, k, first_class, last_class, stride, ignore_index, rest: tl.float64, uniform: tl.float64,
    REDUCTION: tl.constexpr, PROBABILITIES: tl.constexpr, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, K_BYTES: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    tile_m, _, row, column, c, mask, logits = logits_of_program(
        x, w, bias, rows, first_class, last_class, k, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, K_BYTES, GROUP
    )
    inside = row < rows
    g, every, t, own = gradient_of_rows(
        grad, total_weight, target, weight, sums, row, inside, classes, ignore_index, rest, REDUCTION, PROBABILITIES, ACC
    )
    high, low = split(tl.load(lse + row, mask=inside, other=0), ACC)
    p = tl.exp(logits - high[:, None] - low[:, None])
    at = row[:, None] * classes + c[None, :]
    value = gradient_of_logits(
        p, g, every, t, own, target, weight, sums, c, at, mask, classes, rest, uniform, PROBABILITIES, ACC
    )
    # A row of d is a whole number of tiles: stores need no mask along it and are wide.
    tl.store(d + row[:, None] * stride + column[None, :], value.to(d.dtype.element_ty), mask=inside[:, None])
    if column_sums is not None:
        tl.store(column_sums + tile_m.to(tl.int64) * stride + column, tl.sum(tl.where(mask, value, 0), 0))


def linear_cross_entropy_backward(
    grad: Tensor,
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    lse: Tensor,
    total_weight: Tensor,
    options: LossOptions,
    need_x: bool,
    need_linear_weight: bool,
    need_linear_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    grad, x, w, bias, target, weight, lse = (
        None if t is None else t.contiguous() for t in (grad, x, linear_weight, linear_bias, target, weight, lse)
    )
    (rows, k), classes, tile = x.shape, w.shape[0], _tile(x, w, every_class(target, options))
    tiles = triton.cdiv(rows, tile["BLOCK_M"])
    stride = min(CHUNK, triton.cdiv(classes, tile["BLOCK_N"]) * tile["BLOCK_N"])
    d = x.new_empty(rows, stride)
    partial = statistics(x, tiles, stride) if need_linear_bias else None
    dx = statistics(x, rows, k).zero_() if need_x else None
    dw = torch.empty_like(w) if need_linear_weight else None
    db = w.new_empty(classes) if need_linear_bias else None
    sums = share_sums(x, target, weight, classes, options)
    tensors = (grad, x, w, bias, target, weight, lse, total_weight, sums, d, partial)
    constants = {"REDUCTION": REDUCTIONS[options.reduction], **target_options(x, target, classes, options), **tile}
    for first in range(0, classes, CHUNK):
        last = min(first + CHUNK, classes)
        grid, sizes = (tiles * triton.cdiv(last - first, tile["BLOCK_N"]),), (rows, classes, k, first, last, stride)
        launch(logits_gradient_kernel, grid, *tensors, *sizes, options.ignore_index, **constants)
        chunk = d[:, : last - first]
        if need_x:
            multiply(chunk, w[first:last], part := torch.empty_like(dx))
            dx += part
        if need_linear_weight:
            multiply(chunk.T, x, dw[first:last])
        if need_linear_bias:
            db[first:last] = column_sums(partial, db.dtype)[: last - first]
    return None if dx is None else dx.to(x.dtype), dw, db
