"""Matrix products in tiles that stay in registers, with bias and activation applied before they are written.

    C = act(A B + bias)        dA = dZ B^T    dB = A^T dZ    dbias = sum of dZ over the rows        dZ = dC act'(Z)

A program owns one tile of C and walks along K. The same kernel multiplies transposed, sliced and repeated operands: they
differ in their strides alone. Tiles are visited in groups of rows, so that programs that run together read the same columns
of B and find them in the L2 cache. Where there are fewer tiles than a GPU has processors, K is divided among programs too;
a second kernel adds their partial products, always in the same order.

                    FLOPs      bytes (b an element; every operand read once from memory, the rest from the L2 cache)
    product         2 M N K    (M K + K N + M N) b;  with GELU, Z costs another M N b
    dZ and dbias    10 M N     3 M N b, before the two products of backward

float32 means float32: TF32 is used when torch.backends.cuda.matmul.fp32_precision (or allow_tf32) says so.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.column_sums import column_sums, partials
from scratchnet.kernels.gelu import BLOCK, BLOCK_ROWS, TILE, activation, derivative
from scratchnet.kernels.launch import INTERPRETED, MOST_REGISTERS, accumulator, launch, statistics
from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.matmul import LinearOptions

ENOUGH_PROGRAMS = 128  # about one for each processor of a large GPU; a constant, so that sums do not depend on the GPU
SHORTEST_SPLIT, FEWEST_SPLITS = 256, 4  # of K; less does not pay for the second kernel
FEW_ROWS = 16
GROUP = 8  # rows of tiles that are visited together


def _config(rows: int, columns: int, k_bytes: int, num_warps: int, num_stages: int) -> triton.Config:
    blocks = {"BLOCK_M": rows, "BLOCK_N": columns, "K_BYTES": k_bytes, "maxnreg": MOST_REGISTERS}
    return triton.Config(blocks, num_warps=num_warps, num_stages=num_stages)


# The matrix units want large tiles. Without them (IEEE float32, float64) a thread needs registers for its operands, and where
# operands are not aligned, for the address of every element. The tuner leaves out what a GPU has not the shared memory for.
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
# Each part of a split sum is a whole number of steps of every configuration: powers of two, the longest in 16-bit elements.
LONGEST_BLOCK_K = max(config.kwargs["K_BYTES"] for config in LARGE + SMALL) // 2


def _fitting(configs: list[triton.Config], arguments: dict, **options) -> list[triton.Config]:
    """The configurations for an element type, precision and alignment, as large as the registers allow: GELU takes some too, as
    does a result that is wider than the factors, and a number of float64 takes two."""
    a, c = arguments["a"], arguments["c"]
    full = "gelu" in options["ACTIVATION"] or c.element_size() > a.element_size()
    fitting = SMALL if uses_threads(a) or not arguments["all_aligned"] else LARGE
    most_rows = 64 if full and a.element_size() == 8 and fitting is SMALL else 128
    fits = lambda config: config.kwargs["BLOCK_M"] <= most_rows and (not full or config.kwargs["BLOCK_N"] <= 128)
    return [config for config in configs if config in fitting and fits(config)]


@triton.jit
def tile_in_groups(tile, tiles_m, tiles_n, GROUP: tl.constexpr):
    """Row and column of a tile: down GROUP rows, then to the next column."""
    group = tile // (GROUP * tiles_n)
    height = tl.minimum(tiles_m - group * GROUP, GROUP)
    return group * GROUP + tile % (GROUP * tiles_n) % height, tile % (GROUP * tiles_n) // height


@triton.jit
def multiply_tile(
    a, b, row, column, in_rows, in_columns, first, last, k, a_row, a_column, b_row, b_column,
    PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Some rows of a times some columns of b, summed from `first` to `last` of the k terms."""
    a += row[:, None] * a_row
    b += column[None, :] * b_column
    acc = tl.zeros([BLOCK_M, BLOCK_N], ACC)
    for start in range(first, last, BLOCK_K):
        # Made anew in every step: to keep the address of every element would take more registers than the sums.
        along = start + tl.arange(0, BLOCK_K).to(tl.int64)
        x = tl.load(a + along[None, :] * a_column, mask=in_rows & (along < k)[None, :], other=0).to(DOT)
        y = tl.load(b + along[:, None] * b_row, mask=(along < k)[:, None] & in_columns, other=0).to(DOT)
        acc = tl.dot(x, y, acc, input_precision=PRECISION, out_dtype=ACC)
    return acc


@triton.jit
def activated(z, ACTIVATION: tl.constexpr):
    if ACTIVATION == "none":
        return z
    elif ACTIVATION == "relu":
        return tl.where(z <= 0, 0, z)  # NaN stays
    else:
        return activation(z, ACTIVATION == "gelu_tanh")


# How many rows there are (the batch) and what depends on it is not compiled in; whether it is a multiple of 16 only where
# neighbouring elements lie along it.
@triton.autotune(
    LARGE + SMALL,
    key=["few_rows", "width", "all_aligned", "ACTIVATION", "PRECISION"],
    prune_configs_by={"early_config_prune": _fitting},
    cache_results=True,
)
@triton.jit(do_not_specialize=["m", "k", "batches", "inner", "few_rows", "width", "all_aligned"])
def product_kernel(
    a, b, bias, c, z,  # (batches, M, K), (batches, K, N), (N) or None, (splits, batches, M, N) and the same or None
    a_outer, a_inner, a_row, a_column, b_outer, b_inner, b_row, b_column,  # strides
    m, n, k, batches, inner, k_a_split,  # inner: size of the last batch axis
    few_rows, width, all_aligned,  # for the tuner alone: which shapes share a configuration
    ACTIVATION: tl.constexpr, ALIGNED_M: tl.constexpr, ALIGNED_K: tl.constexpr,
    PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, K_BYTES: tl.constexpr, GROUP: tl.constexpr,
    maxnreg: tl.constexpr,
):  # fmt: skip
    BLOCK_K: tl.constexpr = K_BYTES * 8 // a.dtype.element_ty.primitive_bitwidth
    if ALIGNED_M:
        m = m // 16 * 16  # no change: it tells the compiler
    if ALIGNED_K:
        k = k // 16 * 16
    tiles_m, tiles_n = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    product = tl.program_id(0) // (tiles_m * tiles_n)  # which matrix of c
    tile_m, tile_n = tile_in_groups(tl.program_id(0) % (tiles_m * tiles_n), tiles_m, tiles_n, GROUP)

    row = tile_m.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tile_n.to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    first = (product // batches).to(tl.int64) * k_a_split
    outer, within = (product % batches // inner).to(tl.int64), (product % batches % inner).to(tl.int64)
    a += outer * a_outer + within * a_inner
    b += outer * b_outer + within * b_inner
    in_rows, in_columns = (row < m)[:, None], (column < n)[None, :]
    acc = multiply_tile(
        a, b, row, column, in_rows, in_columns, first, tl.minimum(first + k_a_split, k), k,
        a_row, a_column, b_row, b_column, PRECISION, DOT, ACC, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip

    if bias is not None:
        acc += tl.load(bias + column, mask=column < n, other=0).to(ACC)[None, :]
    i = product.to(tl.int64) * m * n + row[:, None] * n + column[None, :]
    if z is not None:
        tl.store(z + i, acc.to(z.dtype.element_ty), mask=in_rows & in_columns)
    tl.store(c + i, activated(acc, ACTIVATION).to(c.dtype.element_ty), mask=in_rows & in_columns)


@triton.jit(do_not_specialize=["rows", "splits"])
def sum_splits_kernel(
    partial, bias, c, z, rows, columns, splits, ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr
):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    size = rows.to(tl.int64) * columns
    acc = tl.zeros([BLOCK], ACC)
    for split in range(splits):
        acc += tl.load(partial + split * size + i, mask=i < size, other=0)
    if bias is not None:
        acc += tl.load(bias + i % columns, mask=i < size, other=0).to(ACC)
    if z is not None:
        tl.store(z + i, acc.to(z.dtype.element_ty), mask=i < size)
    tl.store(c + i, activated(acc, ACTIVATION).to(c.dtype.element_ty), mask=i < size)


def product(a: Tensor, b: Tensor, bias: Tensor | None = None, act: str = "none", with_z: bool = False):
    """act(a b + bias), and a b + bias if asked for: a (..., M, K), b (..., K, N) of any strides, bias (N) -> (..., M, N)."""
    c = a.new_empty(*a.shape[:-1], b.shape[-1])
    z = torch.empty_like(c) if with_z else None
    multiply(a, b, c, None if bias is None else bias.contiguous(), act, z)
    return c, z


def multiply(
    a: Tensor, b: Tensor, c: Tensor, bias: Tensor | None = None, act: str = "none", z: Tensor | None = None
) -> None:  # fmt: skip
    """The same into contiguous c, which may be of a wider type, and z."""
    if not c.numel():
        return
    axes = _batch_axes(a, b)
    if len(axes) > 2:  # rare: every axis steps in a way of its own
        for i in range(len(a)):
            multiply(a[i], b[i], c[i], bias, act, z)
        return
    (outer, a_outer, b_outer), (inner, a_inner, b_inner) = [(1, 0, 0)] * (2 - len(axes)) + axes
    m, k, n, batches = *a.shape[-2:], b.shape[-1], outer * inner
    splits, k_a_split = _split(batches * triton.cdiv(m, 64) * triton.cdiv(n, 64), k)
    rows = batches * m
    partial = statistics(c, splits, rows, n) if splits > 1 else None
    strides = (a_outer, a_inner, *a.stride()[-2:], b_outer, b_inner, *b.stride()[-2:])
    launch(
        product_kernel,
        lambda sizes: (splits * batches * triton.cdiv(m, sizes["BLOCK_M"]) * triton.cdiv(n, sizes["BLOCK_N"]),),
        a, b, *((None, partial, None) if splits > 1 else (bias, c, z)), *strides, m, n, k, batches, inner, k_a_split,
        int(m <= FEW_ROWS), min(triton.next_power_of_2(n), 256), int(n % 16 == 0 and aligned(a) and aligned(b)),
        ACTIVATION="none" if splits > 1 else act,
        ALIGNED_M=m % 16 == 0 and a.stride(-2) == 1, ALIGNED_K=k % 16 == 0 and 1 in (a.stride(-1), b.stride(-2)),
        **types(a), GROUP=GROUP,
    )  # fmt: skip
    if splits > 1:
        grid = (triton.cdiv(rows * n, BLOCK),)
        launch(sum_splits_kernel, grid, partial, bias, c, z, rows, n, splits, ACTIVATION=act, ACC=accumulator(a), BLOCK=BLOCK)


_ELEMENT = {
    torch.float64: tl.float64, torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16
}  # fmt: skip


def types(a: Tensor) -> dict:
    """Precision, type of the factors and of the sum of a product with a."""
    dot = tl.float32 if INTERPRETED and a.dtype == torch.bfloat16 else _ELEMENT[a.dtype]  # the interpreter cannot multiply it
    return {"PRECISION": _precision(a), "DOT": dot, "ACC": accumulator(a)}


def _batch_axes(a: Tensor, b: Tensor) -> list[tuple[int, int, int]]:
    """(size, stride of a, stride of b) of the batch axes, neighbours joined where both step on evenly."""
    axes: list[tuple[int, int, int]] = []
    for size, *strides in zip(a.shape[:-2], a.stride(), b.stride(), strict=False):
        if axes and axes[-1][1:] == tuple(size * stride for stride in strides):
            size *= axes.pop()[0]
        if size > 1:
            axes.append((size, *strides))
    return axes


def _split(tiles: int, k: int) -> tuple[int, int]:
    """Into how many parts K is divided, and the length of one."""
    splits = min(ENOUGH_PROGRAMS // tiles, k // SHORTEST_SPLIT)
    splits = splits if splits >= FEWEST_SPLITS else 1
    length = triton.cdiv(max(k, 1), splits * LONGEST_BLOCK_K) * LONGEST_BLOCK_K
    return triton.cdiv(max(k, 1), length), length


def aligned(t: Tensor) -> bool:
    """Whether neighbours in memory can be read 16 at a time, everywhere in a matrix or batch of matrices."""
    along = -1 if t.stride(-1) == 1 else -2
    others = [stride for axis, stride in enumerate(t.stride(), -t.dim()) if axis != along]
    return t.stride(along) == 1 and not any(number % 16 for number in (t.data_ptr(), t.shape[along], *others))


def _precision(a: Tensor) -> str:
    tf32 = a.dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision == "tf32" and torch.version.hip is None
    return "tf32" if tf32 else "ieee"


def uses_threads(a: Tensor) -> bool:
    """Whether products with a run on threads: the matrix units have no IEEE float32, and take float64 in small tiles."""
    return a.element_size() >= 4 and _precision(a) == "ieee"


# ---- matmul -------------------------------------------------------------------------------------------------------------


def matmul_forward(a: Tensor, b: Tensor) -> Tensor:
    return product(a, b)[0]


def matmul_backward(grad: Tensor, a: Tensor, b: Tensor, need_a: bool, need_b: bool) -> tuple[Tensor | None, Tensor | None]:
    return product(grad, b.mT)[0] if need_a else None, product(a.mT, grad)[0] if need_b else None


# ---- linear: x (..., K), weight (N, K), bias (N) ------------------------------------------------------------------------


def linear_forward(x: Tensor, weight: Tensor, bias: Tensor | None, options: LinearOptions) -> tuple[Tensor, Tensor | None]:
    act = ACTIVATIONS[options.activation]
    y, z = product(_rows(x), weight.T, bias, act, with_z="gelu" in act)
    shape = (*x.shape[:-1], weight.shape[0])
    return y.view(shape), None if z is None else z.view(shape)


@triton.jit(do_not_specialize=["rows", "rows_a_program"])
def dz_kernel(
    grad, saved, dz, partial,  # (R, C) three times, the last two contiguous; (programs, C)
    rows, columns, grad_row, grad_column, rows_a_program,
    ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    acc = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    for first in range(0, rows_a_program, BLOCK_ROWS):
        row = program * rows_a_program + first + tl.arange(0, BLOCK_ROWS)
        mask = (row < rows)[:, None] & (column < columns)[None, :]
        d = tl.load(grad + row[:, None] * grad_row + column[None, :] * grad_column, mask=mask, other=0).to(ACC)
        if ACTIVATION != "none":
            i = row[:, None] * columns + column[None, :]
            s = tl.load(saved + i, mask=mask, other=0).to(ACC)
            if ACTIVATION == "relu":
                d = tl.where(s <= 0, 0, d)
            else:
                d *= derivative(s, ACTIVATION == "gelu_tanh")
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
    """The gradient of the pre-activation (R, C) and its column sums; without an activation it is grad itself."""
    rows, columns = grad.shape
    count = partials(rows)
    rows_a_program = triton.cdiv(triton.cdiv(rows, count), BLOCK_ROWS) * BLOCK_ROWS
    dz = None if act == "none" else grad.new_empty(rows, columns)
    partial = statistics(grad, count, columns) if need_bias else None
    launch(
        dz_kernel, (count, triton.cdiv(columns, TILE["BLOCK_COLUMNS"])),
        grad, saved.contiguous(), dz, partial, rows, columns, *grad.stride(), rows_a_program,
        ACTIVATION=act, ACC=accumulator(grad), **TILE,
    )  # fmt: skip
    return grad if dz is None else dz, column_sums(partial, grad.dtype) if need_bias else None


def _rows(x: Tensor) -> Tensor:
    """(..., C) as (R, C): a view wherever strides can say it."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
