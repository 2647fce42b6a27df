"""Why a call of gelu or bias_gelu is wrong."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import check_device, check_float, check_shape, fail


def gelu(input: Tensor, approximate: str = "none") -> None:
    check_float("gelu", "input", input)
    check_approximate("gelu", approximate)


def bias_gelu(input: Tensor, bias: Tensor, approximate: str = "none") -> None:
    check_float("bias_gelu", "input", input)
    check_float("bias_gelu", "bias", bias)
    if input.dim() == 0:
        fail(RuntimeError, "bias_gelu", "input", "needs at least one axis, (..., D), got a scalar; call unsqueeze(0) on it")
    check_device("bias_gelu", "bias", bias, "input", input)
    check_shape("bias_gelu", "bias", bias, (input.shape[-1],), "one bias for each entry of input's last axis")
    check_approximate("bias_gelu", approximate)


def check_approximate(name: str, approximate: str) -> None:
    if approximate not in ("none", "tanh"):
        fail(RuntimeError, name, "approximate", f"approximate argument must be either none or tanh, got {approximate!r}")
