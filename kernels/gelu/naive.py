"""GELU, rung 1: one kernel per operation, as array code runs. Each factor of a product is written to memory and read back.

y = x f          f = Phi(x), or s(2u) in the tanh form
dx = grad f      f = the derivative of y

          passes over memory                          bytes (N elements of b bytes, f in float32)
forward   read x, write f; read x and f, write y      N (3 b + 8)
backward  read x, write f; read grad and f, write dx  N (3 b + 8)
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.activations import gelu_derivative
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.ops.gelu import GeluOptions

BLOCK = 1024  # elements per program


@triton.jit
def factor_kernel(
    x, f,  # (N), (N)
    n, DERIVATIVE: tl.constexpr, TANH: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n).to(ACC)
    if DERIVATIVE:
        result = gelu_derivative(value, TANH)
    elif TANH:
        result = tl.sigmoid(1.5957691216057308 * (value + 0.044715 * value * value * value))
    else:
        result = 0.5 * (1 + tl.math.erf(value * 0.7071067811865476))
    tl.store(f + i, result, mask=i < n)


@triton.jit
def multiply_kernel(
    x, f, y,  # (N), (N), (N)
    n, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n).to(f.dtype.element_ty) * tl.load(f + i, mask=i < n)
    tl.store(y + i, value.to(y.dtype.element_ty), mask=i < n)


def _multiply(x: Tensor, by: Tensor, derivative: bool, tanh: bool) -> Tensor:
    """by * f(x)."""
    x, by = x.contiguous(), by.contiguous()
    f, y, grid = statistics(x, *x.shape), torch.empty_like(x), (triton.cdiv(x.numel(), BLOCK),)
    launch(factor_kernel, grid, x, f, x.numel(), DERIVATIVE=derivative, TANH=tanh, ACC=accumulator(x), BLOCK=BLOCK)
    launch(multiply_kernel, grid, by, f, y, x.numel(), BLOCK=BLOCK)
    return y


def gelu_forward(x: Tensor, options: GeluOptions) -> Tensor:
    return _multiply(x, x, derivative=False, tanh=options.tanh)


def gelu_backward(grad: Tensor, x: Tensor, options: GeluOptions) -> Tensor:
    return _multiply(x, grad, derivative=True, tanh=options.tanh)
