"""Gather along a dimension, and embedding, the gather of whole rows.

    y[i] = x[index[i]]        dx[r] = sum of dy[i] over the i with index[i] = r

An index out of range is not followed: the kernel notes it, and an assertion on the device reports it without a wait.

The backward adds with atomics, in float32 for 16-bit types; under torch.use_deterministic_algorithms it sorts the indices
instead, and one program adds up all that belongs to a row, in order: the same bits every run.

              passes over memory                                  bytes (N results of b bytes)
    forward   read index and x where it points, write y           N (8 + 2 b), an embedding of D columns: N (8 / D + 2 b)
    backward  read index and dy, add to dx, which is zeroed       N (8 + b) + 2 * 4 * elements of x touched
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import launch
from scratchnet.ops import DimOptions
from scratchnet.ops.gather import EmbeddingOptions

TILE = 1024  # elements a program
BLOCK_COLUMNS = 256  # of a row, at most


def _tile(columns: int) -> dict:
    """Rows and columns of a program's tile: long rows are cut, short ones share a program."""
    block = min(BLOCK_COLUMNS, triton.next_power_of_2(max(columns, 1)))
    return {"BLOCK_ROWS": TILE // block, "BLOCK_COLUMNS": block}


def _grid(rows: int, columns: int, tile: dict) -> tuple[int, int]:
    return triton.cdiv(rows, tile["BLOCK_ROWS"]), triton.cdiv(columns, tile["BLOCK_COLUMNS"])


def flag(x: Tensor) -> Tensor:
    """Where a kernel notes that an index was out of range."""
    return torch.zeros(1, dtype=torch.int32, device=x.device)


def check(bad: Tensor) -> None:
    """IndexError if a kernel has noted an index out of range; on a GPU an assertion of the device, for which nobody waits."""
    if not bad.is_cpu:
        torch._assert_async(bad == 0)
    elif bad.any():
        raise IndexError("index out of range: it must be from 0 to size - 1")


@triton.jit
def follow(index, bad, i, count, n):
    """The indices at places i, and which of them may be followed: those inside 0 to n - 1; of others a note is left."""
    at = tl.load(index + i, mask=i < count, other=0)
    valid = (i < count) & (at >= 0) & (at < n)
    tl.store(bad + i * 0, 1, mask=(i < count) & ~valid)
    return at, valid


# ---- forward: y (outer, m, inner) from x (outer, n, inner) at index (outer, m, inner) ------------------------------------


@triton.jit
def gather_kernel(x, index, y, bad, count, n, m, inner, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    at, valid = follow(index, bad, i, count, n)
    value = tl.load(x + (i // (m * inner) * n + at) * inner + i % inner, mask=valid)
    tl.store(y + i, value, mask=i < count)


def gather_forward(x: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    dim = options.dim
    y = x.new_empty(index.shape)
    if x.dim() == 0:
        x, index = x.reshape(1), index.reshape(-1)
    x = cut(x, dim, index)
    n, m, inner = x.shape[dim], index.shape[dim], math.prod(index.shape[dim + 1 :])
    x, index, bad = x.contiguous(), index.contiguous(), flag(x)
    launch(gather_kernel, (triton.cdiv(y.numel(), TILE),), x, index, y, bad, y.numel(), n, m, inner, BLOCK=TILE)
    check(bad)
    return y


def cut(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """x without what an index smaller than it leaves out in the other dimensions."""
    return x[tuple(slice(None) if axis == dim else slice(size) for axis, size in enumerate(index.shape))]


@triton.jit
def embedding_kernel(weight, index, y, bad, rows, columns, n, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    at, valid = follow(index, bad, row, rows, n)
    mask = (row < rows)[:, None] & (column < columns)[None, :]
    value = tl.load(weight + at[:, None] * columns + column[None, :], mask=mask & valid[:, None])
    tl.store(y + row[:, None] * columns + column[None, :], value, mask=mask)


def embedding_forward(weight: Tensor, index: Tensor, options: EmbeddingOptions) -> Tensor:
    weight, index, bad = weight.contiguous(), index.contiguous(), flag(weight)
    n, columns = weight.shape
    y, tile = weight.new_empty(*index.shape, columns), _tile(columns)
    launch(
        embedding_kernel, _grid(index.numel(), columns, tile), weight, index, y, bad, index.numel(), columns, n, **tile
    )  # fmt: skip
    check(bad)
    return y


# ---- backward: rows dy (N, D) added to dx (V, D) at row (N); for gather D = 1 and every element is a row -----------------


@triton.jit
def add_rows_kernel(
    grad, index, scale, dx, bad, rows, columns, n, skipped, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    at, valid = follow(index, bad, row, rows, n)
    mask = (valid & (at != skipped))[:, None] & (column < columns)[None, :]
    value = tl.load(grad + row[:, None] * columns + column[None, :], mask=mask, other=0).to(dx.dtype.element_ty)
    if scale is not None:
        value = value * tl.load(scale + at, mask=valid, other=0)[:, None]
    tl.atomic_add(dx + at[:, None] * columns + column[None, :], value, mask=mask, sem="relaxed")


@triton.jit
def sum_sorted_kernel(
    grad, index, order, scale, dx, bad, rows, columns, n, skipped, ACC: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    """index is sorted: whoever holds the first of equal indices adds up all of them."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    at, valid = follow(index, bad, row, rows, n)
    before = tl.load(index + row - 1, mask=(row > 0) & (row < rows), other=-1)
    first = valid & (at != before) & (at != skipped)
    total = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    position, more = row, first
    while tl.max(more.to(tl.int32), 0) > 0:
        source = tl.load(order + position, mask=more, other=0)
        mask = more[:, None] & (column < columns)[None, :]
        total += tl.load(grad + source[:, None] * columns + column[None, :], mask=mask, other=0).to(ACC)
        position += 1
        more = more & (position < rows)
        more = more & (tl.load(index + position, mask=more, other=-1) == at)
    if scale is not None:
        total = total * tl.load(scale + at, mask=first, other=0)[:, None]
    mask = first[:, None] & (column < columns)[None, :]
    tl.store(dx + at[:, None] * columns + column[None, :], total.to(dx.dtype.element_ty), mask=mask)


def add_rows(grad: Tensor, index: Tensor, n: int, skipped: int = -1, scale: Tensor | None = None) -> Tensor:
    """dx (n, D), the rows of grad (N, D) added up where index (N) says, but for index `skipped`; times scale (n)."""
    rows, columns = grad.shape
    grad, index, bad, tile = grad.contiguous(), index.contiguous(), flag(grad), _tile(columns)
    wide = torch.float64 if grad.dtype == torch.float64 else torch.float32
    grid = _grid(rows, columns, tile)
    if torch.are_deterministic_algorithms_enabled():
        index, order = index.sort(stable=True)
        dx = grad.new_zeros(n, columns)
        acc = tl.float64 if wide == torch.float64 else tl.float32
        launch(
            sum_sorted_kernel, grid, grad, index, order, scale, dx, bad, rows, columns, n, skipped, ACC=acc, **tile
        )  # fmt: skip
    else:
        dx = grad.new_zeros(n, columns, dtype=wide)
        launch(add_rows_kernel, grid, grad, index, scale, dx, bad, rows, columns, n, skipped, **tile)
    check(bad)
    return dx.to(grad.dtype)


def gather_backward(grad: Tensor, shape: list[int], index: Tensor, options: DimOptions) -> Tensor:
    if not shape:
        return grad.sum()
    place = index * math.prod(shape[options.dim + 1 :])  # in x, flattened
    for axis, size in enumerate(index.shape):
        if axis != options.dim:
            steps = torch.arange(size, device=index.device) * math.prod(shape[axis + 1 :])
            place = place + steps.view(-1, *[1] * (index.dim() - axis - 1))
    return add_rows(grad.reshape(-1, 1), place.reshape(-1), math.prod(shape)).view(shape)


def embedding_backward(grad: Tensor, index: Tensor, num_embeddings: int, options: EmbeddingOptions) -> Tensor:
    row, scale = index.reshape(-1), None
    if options.scale_grad_by_freq:
        one = torch.ones((), dtype=torch.float64 if grad.dtype == torch.float64 else torch.float32, device=grad.device)
        scale = 1 / torch.zeros_like(one).expand(num_embeddings).scatter_add(0, row, one.expand(row.shape))
    return add_rows(grad.reshape(row.shape[0], grad.shape[-1]), row, num_embeddings, options.padding_idx, scale)
