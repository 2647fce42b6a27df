"""Why a call of layer_norm, rms_norm or add_layer_norm is wrong."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import HALVES, check_device, check_float, check_tensor, fail


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> None:
    _check("layer_norm", input, normalized_shape, {"weight": weight, "bias": bias}, eps)
    _check_dtypes("layer_norm", input, weight, bias)


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> None:
    _check("rms_norm", input, normalized_shape, {"weight": weight}, 0.0 if eps is None else eps)
    if not input.is_complex():
        check_float("rms_norm", "input", input)


def add_layer_norm(
    input: Tensor,
    residual: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> None:
    _check("add_layer_norm", input, normalized_shape, {"weight": weight, "bias": bias}, eps)
    check_tensor("add_layer_norm", "residual", residual)
    if residual.shape != input.shape:
        shapes = f"got {tuple(residual.shape)} and {tuple(input.shape)}"
        fail(RuntimeError, "add_layer_norm", "residual", f"must have input's shape, {shapes}; expand it with .expand_as(input)")
    if residual.dtype != input.dtype or residual.device != input.device:
        kinds = f"got {residual.dtype} on {residual.device} and {input.dtype} on {input.device}"
        fail(RuntimeError, "add_layer_norm", "residual", f"mixed dtype: must have input's dtype and device, {kinds}")
    _check_dtypes("add_layer_norm", input, weight, bias)


def _check(name: str, input: Tensor, normalized_shape: Sequence[int], parameters: dict[str, Tensor | None], eps: float) -> None:
    """The last axes of input are normalized_shape, and the parameters have it."""
    check_tensor(name, "input", input)
    if not isinstance(normalized_shape, (tuple, list)):
        kind = type(normalized_shape).__name__
        fix = f"; write ({normalized_shape},)" if isinstance(normalized_shape, int) else ""
        fail(TypeError, name, "normalized_shape", f"must be tuple of ints, not {kind}{fix}")
    shape = tuple(normalized_shape)
    if not shape:
        problem = "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element"
        fail(RuntimeError, name, "normalized_shape", f"{problem}, but got normalized_shape = []")
    if float in map(type, shape):
        position = [type(size) for size in shape].index(float)
        problem = f"must be tuple of ints, but found element of type float at pos {position}"
        fail(TypeError, name, "normalized_shape", problem)
    for argument, value in parameters.items():
        if value is None:
            continue
        check_tensor(name, argument, value)
        if value.shape != shape:
            problem = f"Expected {argument} to be of same shape as normalized_shape, but got {argument} of shape"
            fail(RuntimeError, name, argument, f"{problem} {list(value.shape)} and normalized_shape = {list(shape)}")
        check_device(name, argument, value, "input", input)
    if input.shape[-len(shape) :] != shape:
        error = ValueError if name == "rms_norm" and input.dim() < len(shape) else RuntimeError  # torch's own inconsistency
        needs = f"expected input with shape [*, {', '.join(map(str, shape))}], but got input of size{list(input.shape)}"
        problem = f"Given normalized_shape={list(shape)}, {needs}; normalized_shape names the last axes of input"
        fail(error, name, "input", problem)
    if not isinstance(eps, (float, int, torch.SymFloat)):
        fail(TypeError, name, "eps", f"must be float, not {type(eps).__name__}")


def _check_dtypes(name: str, input: Tensor, weight: Tensor | None, bias: Tensor | None) -> None:
    """torch's rule: one floating dtype for all, except that 16-bit inputs may have float32 weight and bias."""
    check_float(name, "input", input)
    for argument, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.dtype != input.dtype and not (input.dtype in HALVES and value.dtype == torch.float32):
            problem = f"mixed dtype: {argument} is {value.dtype}, but input is {input.dtype}: convert one with .to(...)"
            fail(RuntimeError, name, argument, problem)
    if weight is not None and bias is not None and weight.dtype != bias.dtype:
        kinds = f"bias is {bias.dtype}, but weight is {weight.dtype}"
        fail(RuntimeError, name, "bias", f"mixed dtype: {kinds}: convert one with .to(...)")
