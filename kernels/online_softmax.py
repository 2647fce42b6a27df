"""Online softmax (Milakov & Gimelshein 2018): the maximum of a row and its sum of exponentials in one pass.

    m' = max(m, block),  s' = s exp(m - m') + sum of exp(block - m')

A tensor (outer, classes, inner) holds outer * inner rows. With inner = 1 the classes of a row are neighbours in memory,
otherwise the rows are. A program takes a tile of rows whose elements are neighbours either way.
"""

from __future__ import annotations

import math
from typing import Sequence

import triton
import triton.language as tl

from scratchnet.kernels import launch  # noqa: F401  decides whether Triton compiles or interprets

LONGEST = 8192  # elements that a program holds in its registers
TILE = 2048  # elements of a tile of several short rows
LOOP_BLOCK = 4096  # elements of a tile that moves along its rows
NEIGHBOURS = 64  # rows that a tile takes, if that many lie side by side


def layout(shape: Sequence[int], dim: int) -> tuple[tuple[int], tuple[int, int, int, int], dict]:
    """Grid, (rows, classes, row_stride, class_stride) and tile of a kernel that reduces over `dim`."""
    outer, classes, inner = (math.prod(shape[axes]) for axes in (slice(dim), slice(dim, dim + 1), slice(dim + 1, None)))
    beside = min(NEIGHBOURS, triton.next_power_of_2(max(inner, 1)))
    fits = classes <= LONGEST // beside
    block = triton.next_power_of_2(max(classes, 1)) if fits else LOOP_BLOCK // beside
    block_rows = beside if 1 < inner < NEIGHBOURS else max(beside, TILE // block)
    if inner == 1:
        outer, sizes = 1, (outer, classes, classes, 1)
    else:
        sizes = (inner, classes, 1, inner)
    tile = {"BLOCK_ROWS": block_rows, "BLOCK": block, "num_warps": max(4, min(16, block_rows * block // 512))}
    return (outer * triton.cdiv(sizes[0], block_rows),), sizes, tile


@triton.jit
def rows_of_program(rows, classes, row_stride, class_stride, BLOCK_ROWS: tl.constexpr):
    """The numbers of this program's rows, where their first classes lie, and which of the rows exist."""
    blocks = tl.cdiv(rows, BLOCK_ROWS)
    outer = (tl.program_id(0) // blocks).to(tl.int64)
    row = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    return outer * rows + row, outer * classes * class_stride + row * row_stride, row < rows


@triton.jit
def block_of(start, inside, first, classes, class_stride, BLOCK: tl.constexpr):
    """A block of classes from `first` on: their numbers, where they lie in each row, and which of them exist."""
    c = first + tl.arange(0, BLOCK)
    return c, start[:, None] + c.to(tl.int64)[None, :] * class_stride, inside[:, None] & (c < classes)[None, :]


@triton.jit
def shift(largest):
    """What to subtract before exp: the maximum, or 0 where it is infinite and inf - inf would be NaN."""
    return tl.where(tl.abs(largest) == float("inf"), 0, largest)


@triton.jit
def online(value, largest, total):
    """The maxima and the sums of exp(x - shift) of rows after one more block. max skips NaN; the sum keeps it."""
    new = tl.maximum(largest, tl.max(value, 1))
    s = shift(new)
    return new, total * tl.exp(largest - s) + tl.sum(tl.exp(value - s[:, None]), 1)


@triton.jit
def largest_and_total(
    x, start, inside, classes, class_stride, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """The maxima and the sums of exp(x - shift) of whole rows in memory."""
    largest, total = tl.full([BLOCK_ROWS], float("-inf"), ACC), tl.zeros([BLOCK_ROWS], ACC)
    for first in range(0, classes, BLOCK):
        c, at, mask = block_of(start, inside, first, classes, class_stride, BLOCK)
        largest, total = online(tl.load(x + at, mask=mask, other=float("-inf")).to(ACC), largest, total)
    return largest, total


@triton.jit
def defined(largest, total):
    """The sum, or NaN for a row whose maximum is infinite: it has no softmax."""
    return tl.where(tl.abs(largest) == float("inf"), float("nan"), total)


@triton.jit
def split(lse, ACC: tl.constexpr):
    """A float64 as two numbers, so that x - high - low has all digits of x - lse."""
    high = lse.to(ACC)
    return high, (lse - high).to(ACC)
