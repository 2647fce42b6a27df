"""Soft clipping.

          passes over memory    bytes (N elements of b bytes)
forward   read x, write y       2 N b
backward  read x, grad, write   3 N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.launch import accumulator, launch
from scratchnet.ops.soft_clip import SoftClipOptions

BLOCK = 1024  # elements of a program


@triton.jit
def soft_clip_forward_kernel(x, y, n, limit: tl.float64, ACC: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + i, mask=i < n).to(ACC)
    tl.store(y + i, (v / (1 + tl.abs(v) / limit).to(ACC)).to(y.dtype.element_ty), mask=i < n)


def soft_clip_forward(x: Tensor, options: SoftClipOptions) -> Tensor:
    x, n = x.contiguous(), x.numel()
    y = torch.empty_like(x)
    launch(soft_clip_forward_kernel, (triton.cdiv(n, BLOCK),), x, y, n, options.limit, ACC=accumulator(x), BLOCK=BLOCK)
    return y


@triton.jit
def soft_clip_backward_kernel(grad, x, dx, n, limit: tl.float64, ACC: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    d = (1 + tl.abs(tl.load(x + i, mask=i < n).to(ACC)) / limit).to(ACC)
    tl.store(dx + i, (tl.load(grad + i, mask=i < n).to(ACC) / (d * d)).to(dx.dtype.element_ty), mask=i < n)


def soft_clip_backward(grad: Tensor, x: Tensor, options: SoftClipOptions) -> Tensor:
    grad, x, n = grad.contiguous(), x.contiguous(), x.numel()
    dx = torch.empty_like(x)
    launch(soft_clip_backward_kernel, (triton.cdiv(n, BLOCK),), grad, x, dx, n, options.limit, ACC=accumulator(x), BLOCK=BLOCK)
    return dx
