"""Gated units: one kernel and one pass over memory.

silu, quick_gelu, squared_relu    y = act(x)
glu, geglu                        y = act(b) a            x = [a, b] or [b, a], halves of an axis
gated                             y = act(gate) value

          passes over memory                             bytes (N results of b bytes)
forward   read x, write y                                2 N b;  with a gate and a value 3 N b
backward  read x and grad, write dx                      3 N b;  5 N b
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.activations import activate, activation_gradient
from scratchnet.kernels.launch import accumulator, launch
from scratchnet.ops import ACTIVATIONS
from scratchnet.ops.gated import GatedOptions, GegluOptions, GluOptions

BLOCK = 1024  # elements per program, in 4 warps: 8 per thread, two 128-bit loads of float32
TILE = {"BLOCK_ROWS": 8, "BLOCK_COLUMNS": 128}  # the elements of a thread are neighbours in a row

# ---- x itself is the gate ------------------------------------------------------------------------------------------------


@triton.jit
def self_gated_forward_kernel(
    x, y,  # (N), (N)
    n, ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n).to(ACC)
    tl.store(y + i, activate(value, ACTIVATION).to(y.dtype.element_ty), mask=i < n)


def _forward(x: Tensor, activation: str) -> Tensor:
    x = x.contiguous()
    y, n = torch.empty_like(x), x.numel()
    launch(self_gated_forward_kernel, (triton.cdiv(n, BLOCK),), x, y, n, ACTIVATION=activation, ACC=accumulator(x), BLOCK=BLOCK)
    return y


@triton.jit
def self_gated_backward_kernel(
    grad, x, dx,  # (N), (N), (N)
    n, ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value, g = tl.load(x + i, mask=i < n).to(ACC), tl.load(grad + i, mask=i < n).to(ACC)
    tl.store(dx + i, activation_gradient(g, value, ACTIVATION).to(dx.dtype.element_ty), mask=i < n)


def _backward(grad: Tensor, x: Tensor, activation: str) -> Tensor:
    grad, x = grad.contiguous(), x.contiguous()
    dx, n, grid = torch.empty_like(x), x.numel(), (triton.cdiv(x.numel(), BLOCK),)
    launch(self_gated_backward_kernel, grid, grad, x, dx, n, ACTIVATION=activation, ACC=accumulator(x), BLOCK=BLOCK)
    return dx


def silu_forward(x: Tensor) -> Tensor:
    return _forward(x, "silu")


def silu_backward(grad: Tensor, x: Tensor) -> Tensor:
    return _backward(grad, x, "silu")


def quick_gelu_forward(x: Tensor) -> Tensor:
    return _forward(x, "quick_gelu")


def quick_gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    return _backward(grad, x, "quick_gelu")


def squared_relu_forward(x: Tensor) -> Tensor:
    return _forward(x, "squared_relu")


def squared_relu_backward(grad: Tensor, x: Tensor) -> Tensor:
    return _backward(grad, x, "squared_relu")


# ---- a gate and a value --------------------------------------------------------------------------------------------------


@triton.jit
def gated_forward_kernel(
    gate, value, y,  # (rows, columns) twice, a row every `step` elements; (rows, columns)
    rows, columns, step, ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    across = tl.cdiv(columns, BLOCK_COLUMNS)
    row = (tl.program_id(0) // across).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = (tl.program_id(0) % across).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    mask = (row < rows)[:, None] & (column < columns)[None, :]
    i = row[:, None] * step + column[None, :]
    z, v = tl.load(gate + i, mask=mask).to(ACC), tl.load(value + i, mask=mask).to(ACC)
    result = activate(z, ACTIVATION) * v
    tl.store(y + row[:, None] * columns + column[None, :], result.to(y.dtype.element_ty), mask=mask)


@triton.jit
def gated_backward_kernel(
    grad, gate, value, dgate, dvalue,  # (rows, columns); four times (rows, columns), a row every `step` elements
    rows, columns, step, NEED_GATE: tl.constexpr, NEED_VALUE: tl.constexpr,
    ACTIVATION: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    across = tl.cdiv(columns, BLOCK_COLUMNS)
    row = (tl.program_id(0) // across).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = (tl.program_id(0) % across).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    mask = (row < rows)[:, None] & (column < columns)[None, :]
    i = row[:, None] * step + column[None, :]
    z, v = tl.load(gate + i, mask=mask).to(ACC), tl.load(value + i, mask=mask).to(ACC)
    g = tl.load(grad + row[:, None] * columns + column[None, :], mask=mask).to(ACC)
    if NEED_GATE:
        tl.store(dgate + i, activation_gradient(g * v, z, ACTIVATION).to(dgate.dtype.element_ty), mask=mask)
    if NEED_VALUE:
        tl.store(dvalue + i, (g * activate(z, ACTIVATION)).to(dvalue.dtype.element_ty), mask=mask)


def _grid(rows: int, columns: int) -> tuple[int]:
    """Both may be long, and only the first axis of a CUDA grid takes more than 65,535 programs, so it counts all tiles."""
    return (triton.cdiv(rows, TILE["BLOCK_ROWS"]) * triton.cdiv(columns, TILE["BLOCK_COLUMNS"]),)


def _halves(x: Tensor, dim: int, gate_first: bool) -> tuple[Tensor, Tensor]:
    """Gate and value of a contiguous x: views that begin where the halves begin, the kernels step from row to row."""
    first, second = x.chunk(2, dim)
    return (first, second) if gate_first else (second, first)


def glu_forward(x: Tensor, options: GluOptions) -> Tensor:
    dim, activation, gate_first = options
    x = x.contiguous()
    y = x.new_empty([size // 2 if axis == dim else size for axis, size in enumerate(x.shape)])
    rows, columns = math.prod(x.shape[:dim]), math.prod(y.shape[dim:])
    constants = {"ACTIVATION": ACTIVATIONS[activation], "ACC": accumulator(x), **TILE}
    tensors = (*_halves(x, dim, gate_first), y)
    launch(gated_forward_kernel, _grid(rows, columns), *tensors, rows, columns, 2 * columns, **constants)
    return y


def glu_backward(grad: Tensor, x: Tensor, options: GluOptions) -> Tensor:
    dim, activation, gate_first = options
    grad, x = grad.contiguous(), x.contiguous()
    dx = torch.empty_like(x)
    rows, columns = math.prod(x.shape[:dim]), math.prod(grad.shape[dim:])
    needs = {"NEED_GATE": True, "NEED_VALUE": True}
    constants = {"ACTIVATION": ACTIVATIONS[activation], "ACC": accumulator(x), **TILE}
    tensors = (grad, *_halves(x, dim, gate_first), *_halves(dx, dim, gate_first))
    launch(gated_backward_kernel, _grid(rows, columns), *tensors, rows, columns, 2 * columns, **needs, **constants)
    return dx


def geglu_forward(x: Tensor, options: GegluOptions) -> Tensor:
    return glu_forward(x, options.as_glu)


def geglu_backward(grad: Tensor, x: Tensor, options: GegluOptions) -> Tensor:
    return glu_backward(grad, x, options.as_glu)


def gated_forward(gate: Tensor, value: Tensor, options: GatedOptions) -> Tensor:
    gate, value = gate.contiguous(), value.contiguous()
    y, n = torch.empty_like(gate), gate.numel()
    constants = {
        "ACTIVATION": ACTIVATIONS[options.activation],
        "ACC": accumulator(gate),
        "BLOCK_ROWS": 1,
        "BLOCK_COLUMNS": BLOCK,
    }
    launch(gated_forward_kernel, (triton.cdiv(n, BLOCK),), gate, value, y, 1, n, n, **constants)
    return y


def gated_backward(grad: Tensor, gate: Tensor, value: Tensor, options: GatedOptions, need_gate: bool, need_value: bool):
    grad, gate, value = grad.contiguous(), gate.contiguous(), value.contiguous()
    dgate = torch.empty_like(gate) if need_gate else None
    dvalue = torch.empty_like(value) if need_value else None
    tensors, n = (grad, gate, value, dgate, dvalue), gate.numel()
    needs = {"NEED_GATE": need_gate, "NEED_VALUE": need_value}
    constants = {
        "ACTIVATION": ACTIVATIONS[options.activation],
        "ACC": accumulator(gate),
        "BLOCK_ROWS": 1,
        "BLOCK_COLUMNS": BLOCK,
    }
    launch(gated_backward_kernel, (triton.cdiv(n, BLOCK),), *tensors, 1, n, n, **needs, **constants)
    return dgate, dvalue
