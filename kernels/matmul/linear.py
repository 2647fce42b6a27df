"""Linear layers: products with the weight as it lies, (N, K), with bias and activation while a tile is in registers.

Y = act(X W^T + bias)        dZ = dY act'(Z)    dX = dZ W    dW = dZ^T X    dbias = sum of dZ over the rows

                FLOPs      bytes (b per element), before the two products of backward
dZ and dbias    10 M N     3 M N b
"""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.activations import activation_gradient
from scratchnet.kernels.column_sums import column_sums, split_rows
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.kernels.matmul.split import product
from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.matmul import LinearOptions

TILE = {"BLOCK_ROWS": 8, "BLOCK_COLUMNS": 128}  # the elements of a thread are neighbours in a row


def linear_forward(x: Tensor, weight: Tensor, bias: Tensor | None, options: LinearOptions) -> tuple[Tensor, Tensor | None]:
    act = ACTIVATIONS[options.activation]
    y, z = product(_rows(x), weight.T, bias, act, with_z="gelu" in act)
    shape = (*x.shape[:-1], weight.shape[0])
    return y.view(shape), None if z is None else z.view(shape)


@triton.jit(do_not_specialize=["rows", "rows_per_program"])
def dz_kernel(
    grad, saved, dz, partial,  # (rows, columns) three times, the last two contiguous; (programs, columns)
    rows, columns, grad_row, grad_column, rows_per_program,
    ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    acc = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    for first in range(0, rows_per_program, BLOCK_ROWS):
        row = program * rows_per_program + first + tl.arange(0, BLOCK_ROWS)
        mask = (row < rows)[:, None] & (column < columns)[None, :]
        d = tl.load(grad + row[:, None] * grad_row + column[None, :] * grad_column, mask=mask, other=0).to(ACC)
        if ACTIVATION != "none":
            i = row[:, None] * columns + column[None, :]
            s = tl.load(saved + i, mask=mask, other=0).to(ACC)
            d = activation_gradient(d, s, ACTIVATION)
            tl.store(dz + i, d.to(dz.dtype.element_ty), mask=mask)
        acc += d
    if partial is not None:
        tl.store(partial + program * columns + column, tl.sum(acc, 0), mask=column < columns)


def linear_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    saved: Tensor,
    options: LinearOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    act = ACTIVATIONS[options.activation]
    dz, dbias = _rows(grad), None
    if act != "none" or need_bias:
        dz, dbias = _dz(dz, saved, act, need_bias)
    dx = product(dz, weight)[0].view(x.shape) if need_x else None
    return dx, product(dz.T, _rows(x))[0] if need_weight else None, dbias


def _dz(grad: Tensor, saved: Tensor, act: str, need_bias: bool) -> tuple[Tensor, Tensor | None]:
    """The gradient of the pre-activation (rows, columns), which without an activation is grad itself, and its column sums."""
    rows, columns = grad.shape
    programs, rows_per_program = split_rows(rows, TILE["BLOCK_ROWS"])
    dz = None if act == "none" else grad.new_empty(rows, columns)
    partial = statistics(grad, programs, columns) if need_bias else None
    grid = (programs, triton.cdiv(columns, TILE["BLOCK_COLUMNS"]))
    tensors, sizes = (grad, saved.contiguous(), dz, partial), (rows, columns, *grad.stride(), rows_per_program)
    launch(dz_kernel, grid, *tensors, *sizes, ACTIVATION=act, ACC=accumulator(grad), **TILE)
    return grad if dz is None else dz, column_sums(partial, grad.dtype) if need_bias else None


def _rows(x: Tensor) -> Tensor:
    """(..., C) as (rows, C): a view where strides allow it."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
