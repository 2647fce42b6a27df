"""Soft clipping, rung 1: one operation per kernel, as code that works on arrays would have it.

d = 1 + |x| / limit    then  y = x / d  or  dx = grad / d^2

          passes over memory                                             bytes (N elements of b bytes, float32 divisors)
forward   read x, write d; read x and d, write y                          N (3 b + 8)
backward  read x, write d; read grad and d, write dx                      N (3 b + 8)
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import launch, statistics
from scratchnet.ops.soft_clip import SoftClipOptions

BLOCK = 1024


@triton.jit
def divisor_kernel(x, d, n, limit: tl.float64, SQUARE: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = (1 + tl.abs(tl.load(x + i, mask=i < n).to(d.dtype.element_ty)) / limit).to(d.dtype.element_ty)
    tl.store(d + i, v * v if SQUARE else v, mask=i < n)


@triton.jit
def divide_kernel(x, d, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + i, mask=i < n).to(d.dtype.element_ty) / tl.load(d + i, mask=i < n, other=1)
    tl.store(y + i, v.to(y.dtype.element_ty), mask=i < n)


def _divide(over: Tensor, x: Tensor, limit: float, square: bool) -> Tensor:
    over, x, n = over.contiguous(), x.contiguous(), x.numel()
    d, y, grid = statistics(x, *x.shape), torch.empty_like(x), (triton.cdiv(n, BLOCK),)
    launch(divisor_kernel, grid, x, d, n, limit, SQUARE=square, BLOCK=BLOCK)
    launch(divide_kernel, grid, over, d, y, n, BLOCK=BLOCK)
    return y


def soft_clip_forward(x: Tensor, options: SoftClipOptions) -> Tensor:
    return _divide(x, x, options.limit, square=False)


def soft_clip_backward(grad: Tensor, x: Tensor, options: SoftClipOptions) -> Tensor:
    return _divide(grad, x, options.limit, square=True)
