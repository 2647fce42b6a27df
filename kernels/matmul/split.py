"""Matrix product, rung 3: K divided among programs where tiles are few; bias and activation while a tile is in registers.

    C = act(A B + bias), for linear layers        dA = G B^T    dB = A^T G

Where there are fewer tiles than a GPU has processors, K is divided among programs too; a second kernel then adds their partial
products, always in the same order.

               FLOPs      bytes (b per element; each operand read once from memory, the rest from the L2 cache)
    product    2 M N K    (M K + K N + M N) b;  with GELU, Z adds M N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.activations import activate
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.kernels.matmul.tuned import LARGE, SMALL, batch_axes, constants, fitting, tuned_by
from scratchnet.kernels.tile import multiply_tile, tile_in_groups

ENOUGH_PROGRAMS = 128  # about one per processor of a large GPU; constant, so that sums do not depend on the GPU
SHORTEST_SPLIT, FEWEST_SPLITS = 256, 4  # of K; with less the second kernel costs more than the split saves
BLOCK = 1024  # elements per program of the kernel that adds the partial products
# A part of a split sum is a whole number of steps of every configuration. Steps are powers of two, longest for 16-bit elements.
LONGEST_BLOCK_K = max(config.kwargs["K_BYTES"] for config in LARGE + SMALL) // 2


def _fitting(configs: list[triton.Config], arguments: dict, **options) -> list[triton.Config]:
    """Those that leave registers: GELU needs some, as does a result that is wider than the factors; a float64 takes two."""
    a, c = arguments["a"], arguments["c"]
    full = "gelu" in options["ACTIVATION"] or c.element_size() > a.element_size()
    most_rows = 64 if full and a.element_size() == 8 else 128
    fits = lambda config: config.kwargs["BLOCK_M"] <= most_rows and (not full or config.kwargs["BLOCK_N"] <= 128)
    return [config for config in fitting(configs, arguments) if fits(config)]


@triton.autotune(
    LARGE + SMALL,
    key=["few_rows", "width", "all_aligned", "ACTIVATION", "PRECISION"],
    prune_configs_by={"early_config_prune": _fitting},
    cache_results=True,
)
@triton.jit(do_not_specialize=["m", "k", "batches", "inner", "few_rows", "width", "all_aligned"])
def product_kernel(
    a, b, bias, c, z,  # (batches, M, K), (batches, K, N), (N) or None, (splits, batches, M, N), the same or None
    a_outer, a_inner, a_row, a_column, b_outer, b_inner, b_row, b_column,  # strides
    m, n, k, batches, inner, k_per_split,  # inner: size of the last batch axis
    few_rows, width, all_aligned,  # only for the tuner: shapes that agree in these share a configuration
    ACTIVATION: tl.constexpr, ALIGNED_M: tl.constexpr, ALIGNED_K: tl.constexpr,
    PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, K_BYTES: tl.constexpr, GROUP: tl.constexpr,
    maxnreg: tl.constexpr,
):  # fmt: skip
    BLOCK_K: tl.constexpr = K_BYTES * 8 // a.dtype.element_ty.primitive_bitwidth
    if ALIGNED_M:
        m = m // 16 * 16  # changes nothing, but tells the compiler
    if ALIGNED_K:
        k = k // 16 * 16
    tiles_m, tiles_n = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    product = tl.program_id(0) // (tiles_m * tiles_n)  # which matrix of c
    tile_m, tile_n = tile_in_groups(tl.program_id(0) % (tiles_m * tiles_n), tiles_m, tiles_n, GROUP)

    row = tile_m.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tile_n.to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    first = (product // batches).to(tl.int64) * k_per_split
    outer, within = (product % batches // inner).to(tl.int64), (product % batches % inner).to(tl.int64)
    a += outer * a_outer + within * a_inner
    b += outer * b_outer + within * b_inner
    in_rows, in_columns = (row < m)[:, None], (column < n)[None, :]
    acc = multiply_tile(
        a, b, row, column, in_rows, in_columns, first, tl.minimum(first + k_per_split, k), k,
        a_row, a_column, b_row, b_column, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip

    if bias is not None:
        acc += tl.load(bias + column, mask=column < n, other=0).to(ACC)[None, :]
    i = product.to(tl.int64) * m * n + row[:, None] * n + column[None, :]
    if z is not None:
        tl.store(z + i, acc.to(z.dtype.element_ty), mask=in_rows & in_columns)
    tl.store(c + i, activate(acc, ACTIVATION).to(c.dtype.element_ty), mask=in_rows & in_columns)


@triton.jit(do_not_specialize=["rows", "splits"])
def sum_splits_kernel(
    partial, bias, c, z,  # (splits, rows, columns), (columns) or None, (rows, columns), the same or None
    rows, columns, splits, ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    size = rows.to(tl.int64) * columns
    acc = tl.zeros([BLOCK], ACC)
    for split in range(splits):
        acc += tl.load(partial + split * size + i, mask=i < size, other=0)
    if bias is not None:
        acc += tl.load(bias + i % columns, mask=i < size, other=0).to(ACC)
    if z is not None:
        tl.store(z + i, acc.to(z.dtype.element_ty), mask=i < size)
    tl.store(c + i, activate(acc, ACTIVATION).to(c.dtype.element_ty), mask=i < size)


def product(a: Tensor, b: Tensor, bias: Tensor | None = None, act: str = "none", with_z: bool = False):
    """act(a b + bias), and a b + bias or None: a (..., M, K), b (..., K, N) of any strides, bias (N) -> (..., M, N)."""
    c = a.new_empty(*a.shape[:-1], b.shape[-1])
    z = torch.empty_like(c) if with_z else None
    multiply(a, b, c, None if bias is None else bias.contiguous(), act, z)
    return c, z


def multiply(a: Tensor, b: Tensor, c: Tensor, bias: Tensor | None = None, act: str = "none", z: Tensor | None = None) -> None:
    """The same into z and contiguous c, which may be of a wider type."""
    if not c.numel():
        return
    axes = batch_axes(a, b)
    if len(axes) > 2:  # rare: each has a stride of its own
        for i in range(len(a)):
            multiply(a[i], b[i], c[i], bias, act, z)
        return
    (outer, a_outer, b_outer), (inner, a_inner, b_inner) = [(1, 0, 0)] * (2 - len(axes)) + axes
    m, k, n, batches = *a.shape[-2:], b.shape[-1], outer * inner
    splits, k_per_split = _split(batches * triton.cdiv(m, 64) * triton.cdiv(n, 64), k)
    rows = batches * m
    partial = statistics(c, splits, rows, n) if splits > 1 else None

    grid = lambda tile: (splits * batches * triton.cdiv(m, tile["BLOCK_M"]) * triton.cdiv(n, tile["BLOCK_N"]),)
    tensors = (a, b, *((None, partial, None) if splits > 1 else (bias, c, z)))
    strides = (a_outer, a_inner, *a.stride()[-2:], b_outer, b_inner, *b.stride()[-2:])
    options = {"ACTIVATION": "none" if splits > 1 else act, **constants(a, b)}
    launch(product_kernel, grid, *tensors, *strides, m, n, k, batches, inner, k_per_split, *tuned_by(a, b), **options)
    if splits > 1:
        grid = (triton.cdiv(rows * n, BLOCK),)
        launch(sum_splits_kernel, grid, partial, bias, c, z, rows, n, splits, ACTIVATION=act, ACC=accumulator(a), BLOCK=BLOCK)


def _split(tiles: int, k: int) -> tuple[int, int]:
    """The number of parts into which K is divided, and the length of a part."""
    splits = min(ENOUGH_PROGRAMS // tiles, k // SHORTEST_SPLIT)
    splits = splits if splits >= FEWEST_SPLITS else 1
    length = triton.cdiv(max(k, 1), splits * LONGEST_BLOCK_K) * LONGEST_BLOCK_K
    return triton.cdiv(max(k, 1), length), length


def matmul_forward(a: Tensor, b: Tensor) -> Tensor:
    return product(a, b)[0]


def matmul_backward(grad: Tensor, a: Tensor, b: Tensor, need_a: bool, need_b: bool) -> tuple[Tensor | None, Tensor | None]:
    return product(grad, b.mT)[0] if need_a else None, product(a.mT, grad)[0] if need_b else None
