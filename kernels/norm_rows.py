"""Tiles of rows of LayerNorm and RMSNorm: how they are read, normalised and written, forward and backward."""

from __future__ import annotations

import triton
import triton.language as tl

from scratchnet.kernels import launch  # noqa: F401  decides whether Triton compiles or interprets


@triton.jit
def places(row, column, rows, columns):
    """Where the elements of a tile lie in (rows, columns), and which of them exist."""
    return row[:, None] * columns + column[None, :], (row < rows)[:, None] & (column < columns)[None, :]


@triton.jit
def read(x, residual, total, i, mask, ACC: tl.constexpr):
    """x, or x + residual, which is also written; what is normalised is the sum as rounded to its type."""
    value = tl.load(x + i, mask=mask, other=0).to(ACC)
    if residual is not None:
        value = (value + tl.load(residual + i, mask=mask, other=0).to(ACC)).to(total.dtype.element_ty)
        tl.store(total + i, value, mask=mask)
        value = value.to(ACC)
    return value


@triton.jit
def rstd_of(squares, columns, eps, CENTER: tl.constexpr, ACC: tl.constexpr):
    """1 / sqrt(mean square + eps).

    LayerNorm: NaN where the squares overflow, since 1 / inf would turn the row into zeros.
    """
    r = tl.rsqrt(squares / columns + tl.full([1], eps, ACC))
    return tl.where(squares == float("inf"), float("nan"), r) if CENTER else r


@triton.jit
def affine(h, weight, bias, column, columns, ACC: tl.constexpr):
    if weight is not None:
        h = h * tl.load(weight + column, mask=column < columns, other=0).to(ACC)[None, :]
    if bias is not None:
        h = h + tl.load(bias + column, mask=column < columns, other=0).to(ACC)[None, :]
    return h


@triton.jit
def load(grad, x, mean, rstd, row, i, rows, mask, ACC: tl.constexpr):
    """The gradient and the normalised value of elements i, both zero outside the mask, and rstd of their rows."""
    value, g = tl.load(x + i, mask=mask, other=0).to(ACC), tl.load(grad + i, mask=mask, other=0).to(ACC)
    r = tl.load(rstd + row, mask=row < rows, other=0)
    if mean is not None:
        value = value - tl.load(mean + row, mask=row < rows, other=0)[:, None]
    return g, tl.where(mask, value * r[:, None], 0), r


@triton.jit
def weight_of(weight, column, columns, ACC: tl.constexpr):
    if weight is None:
        return tl.full([1, 1], 1, ACC)
    return tl.load(weight + column, mask=column < columns, other=0).to(ACC)[None, :]


@triton.jit
def mean_of(a, mean, columns):
    if mean is None:
        return tl.sum(a, 1) * 0
    return tl.sum(a, 1) / columns


@triton.jit
def store(dx, grad_total, i, mask, a, h, r, mean_a, mean_ah, ACC: tl.constexpr):
    d = r[:, None] * (a - mean_a[:, None] - h * mean_ah[:, None])
    if grad_total is not None:
        d += tl.load(grad_total + i, mask=mask, other=0).to(ACC)
    tl.store(dx + i, d.to(dx.dtype.element_ty), mask=mask)


@triton.jit
def store_sums(partial, sums, program, column, columns):
    """The sums over a program's rows, as its row of partial (programs, columns); None: they are not needed."""
    if partial is not None:
        tl.store(partial + program * columns + column, tl.sum(sums, 0), mask=column < columns)
