"""my_op in Triton: one program for each block of BLOCK elements. Without a GPU it runs in Triton's interpreter."""

import torch
from torch import Tensor

from scratchnet.kernels.launch import launch  # first: it decides whether Triton compiles or interprets

import triton  # isort: skip
import triton.language as tl  # isort: skip

BLOCK = 1024


@triton.jit
def forward_kernel(x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + i, mask=i < n)
    tl.store(y + i, v * tl.sigmoid(v), mask=i < n)


@triton.jit
def backward_kernel(grad, x, dx, n, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + i, mask=i < n)
    s = tl.sigmoid(v)
    tl.store(dx + i, tl.load(grad + i, mask=i < n) * (s + v * s * (1 - s)), mask=i < n)


def my_op_forward(x: Tensor) -> Tensor:
    return _run(forward_kernel, x)


def my_op_backward(grad: Tensor, x: Tensor) -> Tensor:
    return _run(backward_kernel, grad, x)


def _run(kernel, *inputs: Tensor) -> Tensor:
    inputs = [t.contiguous() for t in inputs]
    result = torch.empty_like(inputs[0])
    n = result.numel()
    launch(kernel, (triton.cdiv(n, BLOCK),), *inputs, result, n, BLOCK=BLOCK)
    return result
