"""Gather along a dimension, and embedding, the gather of whole rows; rung 3: rows in tiles, and sums in a fixed order.

    y[i] = x[index[i]]        dx[r] = sum of dy[i] over the i with index[i] = r

The backward adds with atomics, in float32 for 16-bit types. Under torch.use_deterministic_algorithms it sorts the indices
instead, and one program adds up in order all that belongs to a row: the same bits every run.

              passes over memory                               bytes (N results of b bytes)
    forward   read index, and x where it points; write y       N (8 + 2 b);  embedding of D columns N (8 / D + 2 b)
    backward  read index and dy, add to dx, which is zeroed    N (8 + b) + 2 * 4 * elements of x touched
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.indices import check, error_flag, load_index, narrowed
from scratchnet.kernels.launch import launch, statistics
from scratchnet.kernels.row_sums import TILE, add_rows, added_up, row_grid, row_tile
from scratchnet.ops import DimOptions
from scratchnet.ops.gather import EmbeddingOptions

# ---- forward ------------------------------------------------------------------------------------------------------------


@triton.jit
def gather_kernel(
    x, index, y, bad,  # (outer, n, inner), (outer, m, inner) twice, (1)
    count, n, m, inner, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at, valid = load_index(index, bad, i, count, n)
    value = tl.load(x + (i // (m * inner) * n + at) * inner + i % inner, mask=valid)
    tl.store(y + i, value, mask=i < count)


def gather_forward(x: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    dim = options.dim
    y = x.new_empty(index.shape)
    if x.dim() == 0:
        x, index = x.reshape(1), index.reshape(-1)
    x = narrowed(x, dim, index)
    n, m, inner = x.shape[dim], index.shape[dim], math.prod(index.shape[dim + 1 :])
    x, index, bad = x.contiguous(), index.contiguous(), error_flag(x)
    launch(gather_kernel, (triton.cdiv(y.numel(), TILE),), x, index, y, bad, y.numel(), n, m, inner, BLOCK=TILE)
    check(bad)
    return y


@triton.jit
def embedding_kernel(
    weight, index, y, bad,  # (n, columns), (rows), (rows, columns), (1)
    rows, columns, n, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    at, valid = load_index(index, bad, row, rows, n)
    mask = (row < rows)[:, None] & (column < columns)[None, :]
    value = tl.load(weight + at[:, None] * columns + column[None, :], mask=mask & valid[:, None])
    tl.store(y + row[:, None] * columns + column[None, :], value, mask=mask)


def embedding_forward(weight: Tensor, index: Tensor, options: EmbeddingOptions) -> Tensor:
    weight, index, bad = weight.contiguous(), index.contiguous(), error_flag(weight)
    rows, (n, columns) = index.numel(), weight.shape
    y, tile = weight.new_empty(*index.shape, columns), row_tile(columns)
    launch(embedding_kernel, row_grid(rows, columns, tile), weight, index, y, bad, rows, columns, n, **tile)
    check(bad)
    return y


# ---- backward -----------------------------------------------------------------------------------------------------------


def gather_backward(grad: Tensor, shape: list[int], index: Tensor, options: DimOptions) -> Tensor:
    return added_up(grad, shape, index, options.dim)


def embedding_backward(grad: Tensor, index: Tensor, num_embeddings: int, options: EmbeddingOptions) -> Tensor:
    row, scale = index.reshape(-1), None
    if options.scale_grad_by_freq:
        one = statistics(grad).fill_(1)
        scale = 1 / torch.zeros_like(one).expand(num_embeddings).scatter_add(0, row, one.expand(row.shape))
    return add_rows(grad.reshape(row.shape[0], grad.shape[-1]), row, num_embeddings, options.padding_idx, scale)
