"""Why a call of a gated unit is wrong."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import check_device, check_float, check_shape, check_tensor, fail
from scratchnet.functions.explain.gelu import check_approximate
from scratchnet.ops.gated import GATES_BY


def silu(input: Tensor, inplace: bool = False) -> None:
    check_tensor("silu", "input", input)
    if not input.is_complex():
        check_float("silu", "input", input)


def quick_gelu(input: Tensor) -> None:
    check_float("quick_gelu", "input", input)


def squared_relu(input: Tensor) -> None:
    check_float("squared_relu", "input", input)


def glu(input: Tensor, dim: int = -1, activation: str = "sigmoid", gate_first: bool = False) -> None:
    check_float("glu", "input", input)
    if input.dim() == 0:
        problem = "glu does not support 0-dimensional tensors: there is nothing to halve; call unsqueeze(0) on two numbers"
        fail(RuntimeError, "glu", "input", problem)
    _check_halves("glu", input, dim)
    _check_activation("glu", activation)
    if not isinstance(gate_first, bool):
        fail(TypeError, "glu", "gate_first", f"must be bool, not {type(gate_first).__name__}")


def geglu(input: Tensor, dim: int = -1, approximate: str = "none") -> None:
    check_float("geglu", "input", input)
    _check_halves("geglu", input, dim)
    check_approximate("geglu", approximate)


def reglu(input: Tensor, dim: int = -1) -> None:
    check_float("reglu", "input", input)
    _check_halves("reglu", input, dim)


def swiglu(input: Tensor, dim: int = -1) -> None:
    check_float("swiglu", "input", input)
    _check_halves("swiglu", input, dim)


def gated(gate: Tensor, value: Tensor, activation: str = "silu") -> None:
    check_float("gated", "gate", gate)
    check_float("gated", "value", value)
    check_device("gated", "value", value, "gate", gate)
    check_shape("gated", "value", value, tuple(gate.shape), "one value for each gate")
    _check_activation("gated", activation)


def _check_halves(name: str, input: Tensor, dim: int) -> None:
    if not isinstance(dim, int):
        fail(TypeError, name, "dim", f"must be int, not {type(dim).__name__}")
    if not -input.dim() <= dim < input.dim():
        fail(IndexError, name, "dim", f"Dimension out of range: got {dim} for a tensor with {input.dim()} axes")
    if input.shape[dim] % 2:
        fail(RuntimeError, name, "input", f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")


def _check_activation(name: str, activation: str) -> None:
    if activation not in GATES_BY:
        fail(RuntimeError, name, "activation", f"must be one of {', '.join(map(repr, GATES_BY))}, got {activation!r}")
