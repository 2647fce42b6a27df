"""Matrix product, rung 2: tiles in groups, of a size that the tuner picks, and operands where they lie.

C = A B        dA = G B^T    dB = A^T G

Each program owns one tile of C and moves along K. Programs that run together have a group of tiles and read the same columns of
B, which they find in the L2 cache. Transposed, sliced and expanded operands need no copy: they differ only in their strides.

          FLOPs      bytes (b per element; each operand read once from memory, the rest from the L2 cache)
product   2 M N K    (M K + K N + M N) b
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import MAX_REGISTERS, launch
from scratchnet.kernels.tile import GROUP, aligned, multiply_tile, tile_in_groups, types, uses_threads

FEW_ROWS = 16


def _config(rows: int, columns: int, k_bytes: int, num_warps: int, num_stages: int) -> triton.Config:
    blocks = {"BLOCK_M": rows, "BLOCK_N": columns, "K_BYTES": k_bytes, "maxnreg": MAX_REGISTERS}
    return triton.Config(blocks, num_warps=num_warps, num_stages=num_stages)


# Matrix units want large tiles. Without them (IEEE float32, float64) threads need registers for operands too, and for unaligned
# operands a register per address. The tuner skips configurations that need more shared memory than the GPU has.
LARGE = [
    _config(128, 128, 128, 8, 3),
    _config(128, 256, 128, 8, 3),
    _config(64, 64, 128, 4, 4),
    _config(16, 64, 128, 4, 4),
]
SMALL = [
    _config(128, 64, 32, 8, 3),
    _config(64, 64, 64, 8, 3),
    _config(16, 64, 64, 4, 3),
]


def fitting(configs: list[triton.Config], arguments: dict, **options) -> list[triton.Config]:
    """The configurations for an element type, precision and alignment."""
    size = SMALL if uses_threads(arguments["a"]) or not arguments["all_aligned"] else LARGE
    return [config for config in configs if config in size]


# The number of rows (the batch) and what depends on it is not compiled in. Whether it is a multiple of 16 is, but only where
# neighbours in memory lie along it.
@triton.autotune(
    LARGE + SMALL,
    key=["few_rows", "width", "all_aligned", "PRECISION"],
    prune_configs_by={"early_config_prune": fitting},
    cache_results=True,
)
@triton.jit(do_not_specialize=["m", "k", "inner", "few_rows", "width", "all_aligned"])
def product_kernel(
    a, b, c,  # (batches, M, K), (batches, K, N), (batches, M, N)
    a_outer, a_inner, a_row, a_column, b_outer, b_inner, b_row, b_column,  # strides
    m, n, k, inner,  # inner: size of the last batch axis
    few_rows, width, all_aligned,  # only for the tuner: shapes that agree in these share a configuration
    ALIGNED_M: tl.constexpr, ALIGNED_K: tl.constexpr,
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
    outer, within = (product // inner).to(tl.int64), (product % inner).to(tl.int64)
    a += outer * a_outer + within * a_inner
    b += outer * b_outer + within * b_inner
    in_rows, in_columns = (row < m)[:, None], (column < n)[None, :]
    acc = multiply_tile(
        a, b, row, column, in_rows, in_columns, 0, k, k,
        a_row, a_column, b_row, b_column, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip
    i = product.to(tl.int64) * m * n + row[:, None] * n + column[None, :]
    tl.store(c + i, acc.to(c.dtype.element_ty), mask=in_rows & in_columns)


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b: a (..., M, K), b (..., K, N) of any strides -> (..., M, N)."""
    c = a.new_empty(*a.shape[:-1], b.shape[-1])
    multiply(a, b, c)
    return c


def multiply(a: Tensor, b: Tensor, c: Tensor) -> None:
    """The same into contiguous c."""
    if not c.numel():
        return
    axes = batch_axes(a, b)
    if len(axes) > 2:  # rare: each has a stride of its own
        for i in range(len(a)):
            multiply(a[i], b[i], c[i])
        return
    (outer, a_outer, b_outer), (inner, a_inner, b_inner) = [(1, 0, 0)] * (2 - len(axes)) + axes
    m, k, n = *a.shape[-2:], b.shape[-1]
    grid = lambda tile: (outer * inner * triton.cdiv(m, tile["BLOCK_M"]) * triton.cdiv(n, tile["BLOCK_N"]),)
    strides = (a_outer, a_inner, *a.stride()[-2:], b_outer, b_inner, *b.stride()[-2:])
    launch(product_kernel, grid, a, b, c, *strides, m, n, k, inner, *tuned_by(a, b), **constants(a, b))


def batch_axes(a: Tensor, b: Tensor) -> list[tuple[int, int, int]]:
    """(size, stride of a, stride of b) of the batch axes; neighbours that one stride covers in both are joined."""
    axes: list[tuple[int, int, int]] = []
    for size, *strides in zip(a.shape[:-2], a.stride(), b.stride(), strict=False):
        if axes and axes[-1][1:] == tuple(size * stride for stride in strides):
            size *= axes.pop()[0]
        if size > 1:
            axes.append((size, *strides))
    return axes


def tuned_by(a: Tensor, b: Tensor) -> tuple[int, int, int]:
    """What products have in common that share a configuration: few rows or not, how wide, aligned or not."""
    m, n = a.shape[-2], b.shape[-1]
    return int(m <= FEW_ROWS), min(triton.next_power_of_2(n), 256), int(n % 16 == 0 and aligned(a) and aligned(b))


def constants(a: Tensor, b: Tensor) -> dict:
    """What is compiled in, beside the configuration."""
    m, k = a.shape[-2:]
    alignment = {
        "ALIGNED_M": m % 16 == 0 and a.stride(-2) == 1,
        "ALIGNED_K": k % 16 == 0 and 1 in (a.stride(-1), b.stride(-2)),
    }
    return {**alignment, "GROUP": GROUP, **types(a)}


def matmul_forward(a: Tensor, b: Tensor) -> Tensor:
    return product(a, b)


def matmul_backward(grad: Tensor, a: Tensor, b: Tensor, need_a: bool, need_b: bool) -> tuple[Tensor | None, Tensor | None]:
    return product(grad, b.mT) if need_a else None, product(a.mT, grad) if need_b else None
