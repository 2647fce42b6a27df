"""Dropout: one kernel and one pass over memory, the mask made in registers.

          passes over memory                    bytes (N elements of b bytes)
forward   read x (and residual), write y        2 N b (3 N b)
backward  read grad, write dx                   2 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.dropout_mask import kept
from scratchnet.kernels.launch import accumulator, launch
from scratchnet.ops.dropout import DropoutOptions, threshold_and_factor

BLOCK = 1024  # elements per program, in 4 warps: 8 per thread, two 128-bit loads of float32


@triton.jit
def dropout_kernel(
    x, residual, y,  # (N), (N) or None, (N)
    seed, n, threshold, factor: tl.float64, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    first = tl.program_id(0).to(tl.int64) * BLOCK
    i = first + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n).to(ACC) * kept(seed, first >> 32, i, threshold, factor, ACC)  # a block is in one row
    if residual is not None:
        value += tl.load(residual + i, mask=i < n).to(ACC)
    tl.store(y + i, value.to(y.dtype.element_ty), mask=i < n)


def dropout_forward(x: Tensor, residual: Tensor | None, seed: Tensor, options: DropoutOptions) -> Tensor:
    x, n = x.contiguous(), x.numel()
    residual = None if residual is None else residual.contiguous()
    y, grid = torch.empty_like(x), (triton.cdiv(n, BLOCK),)
    launch(dropout_kernel, grid, x, residual, y, seed, n, *threshold_and_factor(options.p), ACC=accumulator(x), BLOCK=BLOCK)
    return y


def dropout_backward(grad: Tensor, seed: Tensor, options: DropoutOptions) -> Tensor:
    return dropout_forward(grad, None, seed, options)
