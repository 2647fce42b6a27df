"""One tile of a matrix product in registers: for matmul, and for linear + cross-entropy, whose logits are such tiles.

    C = A B, a tile of BLOCK_M x BLOCK_N numbers, BLOCK_K terms of each sum per step

float32 means float32: TF32 is used only where torch.backends.cuda.matmul.fp32_precision (or allow_tf32) says so.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import INTERPRETED, accumulator

GROUP = 8  # rows of tiles that are visited together
_ELEMENT = {torch.float64: tl.float64, torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}


@triton.jit
def tile_in_groups(tile, tiles_m, tiles_n, GROUP: tl.constexpr):
    """Row and column of a tile: down GROUP rows, then to the next column.

    Programs that run at the same time then read the same columns of B and find them in the L2 cache.
    """
    group = tile // (GROUP * tiles_n)
    height = tl.minimum(tiles_m - group * GROUP, GROUP)
    return group * GROUP + tile % (GROUP * tiles_n) % height, tile % (GROUP * tiles_n) // height


@triton.jit
def multiply_tile(
    a, b,  # (M, K), (K, N)
    row, column, in_rows, in_columns, first, last, k, a_row, a_column, b_row, b_column,
    PRECISION: tl.constexpr, DOT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Rows of a times columns of b: the sum of terms `first` to `last` of the k terms."""
    a += row[:, None] * a_row
    b += column[None, :] * b_column
    acc = tl.zeros([BLOCK_M, BLOCK_N], ACC)
    for start in range(first, last, BLOCK_K):
        # Addresses are computed again in every step: kept, they would take more registers than the sums.
        along = start + tl.arange(0, BLOCK_K).to(tl.int64)
        x = tl.load(a + along[None, :] * a_column, mask=in_rows & (along < k)[None, :], other=0).to(DOT)
        y = tl.load(b + along[:, None] * b_row, mask=(along < k)[:, None] & in_columns, other=0).to(DOT)
        acc = tl.dot(x, y, acc, input_precision=PRECISION, out_dtype=ACC)
    return acc


def types(a: Tensor) -> dict:
    """How `multiply_tile` multiplies elements of a: PRECISION, the type of the factors, and that of the sums."""
    dot = tl.float32 if INTERPRETED and a.dtype == torch.bfloat16 else _ELEMENT[a.dtype]  # the interpreter has no bfloat16 dot
    return {"PRECISION": precision(a), "DOT": dot, "ACC": accumulator(a)}


def precision(a: Tensor) -> str:
    tf32 = a.dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision == "tf32" and torch.version.hip is None
    return "tf32" if tf32 else "ieee"


def uses_threads(a: Tensor) -> bool:
    """Whether a's products need small tiles: matrix units have no IEEE float32, and multiply float64 in small tiles only."""
    return a.element_size() >= 4 and precision(a) == "ieee"


def aligned(t: Tensor) -> bool:
    """Whether neighbours in memory can be read 16 at a time, everywhere in a matrix or a batch of matrices."""
    along = -1 if t.stride(-1) == 1 else -2
    others = [stride for axis, stride in enumerate(t.stride(), -t.dim()) if axis != along]
    return t.stride(along) == 1 and not any(number % 16 for number in (t.data_ptr(), t.shape[along], *others))
