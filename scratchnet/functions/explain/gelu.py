"""Why a call of gelu, bias_gelu or geglu is wrong."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import check_device, check_float, check_shape, fail


def gelu(input: Tensor, approximate: str = "none") -> None:
    check_float("gelu", "input", input)
    _check_approximate("gelu", approximate)


def bias_gelu(input: Tensor, bias: Tensor, approximate: str = "none") -> None:
    check_float("bias_gelu", "input", input)
    check_float("bias_gelu", "bias", bias)
    if input.dim() == 0:
        fail(RuntimeError, "bias_gelu", "input", "needs at least one axis, (..., D), got a scalar; call unsqueeze(0) on it")
    check_device("bias_gelu", "bias", bias, "input", input)
    check_shape("bias_gelu", "bias", bias, (input.shape[-1],), "one bias for each entry of input's last axis")
    _check_approximate("bias_gelu", approximate)


def geglu(input: Tensor, dim: int = -1, approximate: str = "none") -> None:
    check_float("geglu", "input", input)
    if not isinstance(dim, int):
        fail(TypeError, "geglu", "dim", f"must be int, not {type(dim).__name__}")
    if not -input.dim() <= dim < input.dim():
        fail(IndexError, "geglu", "dim", f"Dimension out of range: got {dim} for a tensor with {input.dim()} axes")
    if input.shape[dim] % 2:
        fail(RuntimeError, "geglu", "input", f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")
    _check_approximate("geglu", approximate)


def _check_approximate(name: str, approximate: str) -> None:
    if approximate not in ("none", "tanh"):
        fail(RuntimeError, name, "approximate", f"approximate argument must be either none or tanh, got {approximate!r}")
