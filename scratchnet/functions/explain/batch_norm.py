"""Why a call of batch_norm or instance_norm is wrong."""

from __future__ import annotations

import math
from typing import NoReturn

import torch
from torch import Tensor

from scratchnet.functions.checks import HALVES, check_device, check_float, check_tensor, fail


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> None:
    name = "batch_norm"
    check_tensor(name, "input", input)
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    given = {argument: value for argument, value in given.items() if value is not None}
    for argument, value in given.items():
        check_tensor(name, argument, value)
    for argument, value in (("momentum", momentum), ("eps", eps)):
        if not isinstance(value, (float, int, torch.SymFloat)):
            fail(TypeError, name, argument, f"must be float, not {type(value).__name__}")
    if training and input.dim() and math.prod((input.shape[0], *input.shape[2:])) == 1:
        got = f"Expected more than 1 value per channel when training, got input size {input.shape}"
        fail(ValueError, name, "input", f"{got}; one sample has no variance: call .eval(), or take a LayerNorm")
    if eps < 0 or training and eps == 0:
        needs = "eps must be positive during training" if training else "eps must be non-negative"
        fail(ValueError, name, "eps", f"batch_norm {needs}, but got {eps}")
    check_float(name, "input", input)
    if input.dim() < 2:
        if input.numel() == 0:
            return
        # torch looks for the channels last: what else is wrong decides the type of its exception
        wrong = any(value.numel() for value in given.values()) or not training and running_mean is None
        problem = f"Dimension out of range: needs the axes (N, C, ...), got {tuple(input.shape)}"
        fail(RuntimeError if wrong else IndexError, name, "input", problem)
    for argument in ("running_mean", "running_var"):
        if not training and argument not in given:
            fail(RuntimeError, name, argument, f"{argument} must be defined in evaluation mode; or pass training=True")
    _check_channels(name, input, given)
    if training and (running_mean is None) != (running_var is None):
        _fail_alone(name, running_mean)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    use_input_stats: bool,
) -> None:
    name = "instance_norm"
    check_tensor(name, "input", input)
    if use_input_stats and input.shape[2:].numel() == 1:
        got = f"Expected more than 1 spatial element when training, got input size {input.shape}"
        fail(ValueError, name, "input", f"{got}; it takes (N, C, ...), and normalises over all axes from the third on")
    check_float(name, "input", input)
    if input.dim() < 3:
        fail(RuntimeError, name, "input", f"needs the axes (N, C, ...), got {tuple(input.shape)}")
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for argument in ("running_mean", "running_var"):
        if given[argument] is None and not use_input_stats:
            problem = "Expected running_mean and running_var to be defined when use_input_stats is false"
            fail(RuntimeError, name, argument, problem)
    _check_channels(name, input, {argument: value for argument, value in given.items() if value is not None})
    if (running_mean is None) != (running_var is None):
        _fail_alone(name, running_mean)


def _check_channels(name: str, input: Tensor, given: dict[str, Tensor]) -> None:
    """TypeError for anything but a tensor, RuntimeError unless each has a number for every channel, on input's device."""
    for argument, value in given.items():
        check_tensor(name, argument, value)
        if value.shape != input.shape[1:2]:
            found = f"got shape {tuple(value.shape)} for input {tuple(input.shape)}"
            problem = f"{argument} should contain {input.shape[1]} elements not {value.numel()}: {found}"
            fail(RuntimeError, name, argument, problem)
        check_device(name, argument, value, "input", input)
        allowed = (input.dtype, torch.float32) if input.dtype in HALVES else (input.dtype,)
        if value.dtype not in allowed:
            problem = f"mixed dtype: {argument} is {value.dtype}, but input is {input.dtype}: convert one with .to(...)"
            fail(RuntimeError, name, argument, problem)


def _fail_alone(name: str, running_mean: Tensor | None) -> NoReturn:
    which = "running_mean" if running_mean is None else "running_var"
    fail(ValueError, name, which, "running_mean and running_var must either both be None or neither be None")
