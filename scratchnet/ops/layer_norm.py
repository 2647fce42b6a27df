"""The description of layer_norm, rms_norm and the residual sum with its norm."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Example, Op, normal, one_row, rows_cost


class NormOptions(NamedTuple):
    """ndim: over how many of the last axes."""

    ndim: int
    eps: float


IDEAS = {
    "cpp": ("naive loop", "Welford, all sums of a row in one pass", "SIMD", "threads", "long rows in blocks"),
    "cuda": (
        "one thread per row",
        "one block per row, 128-bit loads, shuffles",
        "a warp's or a block's registers keep the row, weight gradients on the way",
    ),
    "triton": ("blocks: long rows block by block, in one pass for the statistics",),
}


def _norm_example(residual=False, weight=True, bias=True, dims=1) -> Example:
    def example(n: int, d: int, dtype: torch.dtype):
        shape = (d,) if dims == 1 else (3, d)
        args = [normal(n, *shape, dtype=dtype) for _ in range(1 + residual)]
        affine = [normal(*shape, dtype=dtype)] * weight + [normal(*shape, dtype=dtype)] * (weight and bias)
        # With a large eps, a misplaced one shows. Over one or two numbers the gradient is the difference of nearly equal terms,
        # which differ by eps: with a small one, only rounding would be left to compare.
        return (*args, shape, *affine), {"eps": 0.5}

    return example


def _layer_norm_variant(input, normalized_shape, weight=None, *args, **kwargs) -> str:
    return "one row" if one_row(input) else "plain" if weight is None else "affine"


LAYER_NORM = Op(
    name="layer_norm",
    primitive="layer_norm",
    idea="(x - mean) * rstd * weight + bias, the row read once from memory; dweight and dbias by per-chunk partial sums",
    inputs=("x", "weight?", "bias?"),
    options=NormOptions,
    outputs=("y",),
    kept=("mean", "rstd"),  # (..., 1 * ndim), float32 or wider
    saved=("x", "mean", "rstd", "weight"),
    gradients=("x", "weight", "bias"),
    ideas=IDEAS
    | {
        "triton": (
            "naive: one row per program, one loop per sum",
            "registers: tiles of rows, read once and kept there",
            *IDEAS["triton"],
        )
    },
    torch=F.layer_norm,
    variant=_layer_norm_variant,
    forward_only={"one row": lambda n, d, dtype: _norm_example()(1, n * d, dtype)},
    cost=rows_cost(2, 3, 8),
    # x three times and y; backward x five times, for its mean twice, grad three times and dx; then by fewer loops
    passes={"cpp:1": rows_cost(4, 9, 8), "cpp:2": rows_cost(3, 5, 8), "cpp:3": rows_cost(4, 5, 8)},
    examples={
        "affine": _norm_example(),
        "plain": _norm_example(weight=False),
        "no bias": _norm_example(bias=False),
        "2-D shape": _norm_example(dims=2),
    },
    sizes=((16384, 768), (4096, 4096)),
)

RMS_NORM = Op(
    name="rms_norm",
    primitive="layer_norm",
    idea="x / sqrt(mean(x^2) + eps) * weight, the row read once",
    inputs=("x", "weight?"),
    options=NormOptions,
    outputs=("y",),
    kept=("rstd",),
    saved=("x", "rstd", "weight"),
    gradients=("x", "weight"),
    ideas=IDEAS,
    torch=F.rms_norm,
    cost=rows_cost(2, 3, 6),
    examples={
        "weight": _norm_example(bias=False),
        "plain": _norm_example(weight=False),
        "2-D shape": _norm_example(bias=False, dims=2),
    },
    sizes=((16384, 768), (4096, 4096)),
)


def _add_layer_norm(input: Tensor, residual: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
    total = input + residual
    return total, F.layer_norm(total, *args, **kwargs)


ADD_LAYER_NORM = Op(
    name="add_layer_norm",
    primitive="layer_norm",
    idea="x + residual and its LayerNorm in one pass: the sum is normalised while it is in cache",
    inputs=("x", "residual", "weight?", "bias?"),
    options=NormOptions,
    outputs=("total", "y"),
    kept=("mean", "rstd"),
    saved=("total", "mean", "rstd", "weight"),
    gradients=("x", "weight", "bias"),  # the first is that of x and of residual
    ideas=IDEAS,
    torch=_add_layer_norm,
    cost=rows_cost(4, 4, 9),
    examples={"affine": _norm_example(residual=True), "plain": _norm_example(residual=True, weight=False)},
    sizes=((16384, 768),),
)
