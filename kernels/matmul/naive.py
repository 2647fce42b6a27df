"""Matrix product, rung 1: one tile of C per program, in row order, with one tile size for every shape.

C = A B        dA = G B^T    dB = A^T G

          FLOPs      bytes (b per element)
product   2 M N K    M N b, and K (BLOCK_M + BLOCK_N) b for each tile, from memory or the L2 cache
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import launch
from scratchnet.kernels.tile import multiply_tile, types

TILE = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32}


@triton.jit
def product_kernel(
    a, b, c,  # (batches, M, K), (batches, K, N), (batches, M, N)
    a_batch, a_row, a_column, b_batch, b_row, b_column,  # strides
    m, n, k, PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    tiles_m, tiles_n = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    batch, tile = (tl.program_id(0) // (tiles_m * tiles_n)).to(tl.int64), tl.program_id(0) % (tiles_m * tiles_n)
    row = (tile // tiles_n).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = (tile % tiles_n).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    in_rows, in_columns = (row < m)[:, None], (column < n)[None, :]
    acc = multiply_tile(
        a + batch * a_batch, b + batch * b_batch, row, column, in_rows, in_columns, 0, k, k,
        a_row, a_column, b_row, b_column, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip
    i = batch * m * n + row[:, None] * n + column[None, :]
    tl.store(c + i, acc.to(c.dtype.element_ty), mask=in_rows & in_columns)


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b: a (..., M, K), b (..., K, N) of any strides -> (..., M, N)."""
    m, k, n = *a.shape[-2:], b.shape[-1]
    c = a.new_empty(*a.shape[:-1], n)
    if c.numel():
        a, b = a.reshape(-1, m, k) if k else a.new_empty(1, m, 0), b.reshape(-1, k, n) if k else b.new_empty(1, 0, n)
        grid = (c.numel() // (m * n) * triton.cdiv(m, TILE["BLOCK_M"]) * triton.cdiv(n, TILE["BLOCK_N"]),)
        launch(product_kernel, grid, a, b, c, *a.stride(), *b.stride(), m, n, k, **types(a), **TILE)
    return c


def matmul_forward(a: Tensor, b: Tensor) -> Tensor:
    return product(a, b)


def matmul_backward(grad: Tensor, a: Tensor, b: Tensor, need_a: bool, need_b: bool) -> tuple[Tensor | None, Tensor | None]:
    return product(grad, b.mT) if need_a else None, product(a.mT, grad) if need_b else None
