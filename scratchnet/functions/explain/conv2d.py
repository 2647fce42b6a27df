"""Why a call of conv2d or conv1d is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail, same_dtype

Numbers = int | Sequence[int]  # one for all axes, or one per axis
_AXES = {1: ("length",), 2: ("height", "width")}


def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None, **options: Numbers | str) -> None:
    _check("conv2d", 2, input, weight, bias, **options)


def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None, **options: Numbers | str) -> None:
    _check("conv1d", 1, input, weight, bias, **options)


def _check(
    function: str,
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Numbers,
    padding: Numbers | str,
    dilation: Numbers,
    groups: int,
) -> None:
    check_tensor(function, "input", input)
    check_tensor(function, "weight", weight)
    _check_same(function, input, "weight", weight)
    if bias is not None:
        check_tensor(function, "bias", bias)
        _check_same(function, input, "bias", bias)
    _check_ranks(function, axes, input, weight)
    stride = _per_axis(function, "stride", stride, axes)
    dilation = _per_axis(function, "dilation", dilation, axes)
    if min(stride) <= 0:
        fail(RuntimeError, function, "stride", f"non-positive stride is not supported, got {stride}")
    if min(dilation) <= 0:
        fail(RuntimeError, function, "dilation", f"dilation should be greater than zero, but got {dilation}")
    if not isinstance(groups, int):
        fail(TypeError, function, "groups", f"must be int, not {type(groups).__name__}")
    if not isinstance(padding, str):
        padding = _per_axis(function, "padding", padding, axes)
        if min(padding) < 0:
            fail(RuntimeError, function, "padding", f"negative padding is not supported, got {padding}")
    elif padding not in ("same", "valid"):
        fail(RuntimeError, function, "padding", f"Invalid padding string: {padding!r}; it must be 'same', 'valid' or numbers")
    elif padding == "same" and max(stride) > 1:
        problem = f"padding='same' is not supported for strided convolutions, got stride {stride}"
        fail(RuntimeError, function, "padding", problem + "; use padding=kernel_size // 2")
    _check_channels(function, axes, input, weight, bias, groups)
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    around = reach if padding == "same" else [0] * axes if padding == "valid" else [2 * p for p in padding]
    _check_sizes(function, axes, input, weight, around, reach)


def _check_same(function: str, input: Tensor, argument: str, value: Tensor) -> None:
    if not same_dtype(input, value):
        problem = f"Input type ({input.dtype}) and {argument} type ({value.dtype}) should be the same"
        fail(RuntimeError, function, argument, f"{problem}; call {argument}.to(input.dtype) or input.to({argument}.dtype)")
    if value.device != input.device:
        check_device(function, argument, value, "input", input)
    if input.dtype is torch.bool:
        fail(NotImplementedError, function, "input", f"\"{function}\" not implemented for 'Bool': call .float() on it")


def _check_ranks(function: str, axes: int, input: Tensor, weight: Tensor) -> None:
    layout = ", ".join(("N", "C", *_AXES[axes]))
    if weight.dim() < 3:
        problem = f"weight should have at least three dimensions, (filters, channels, kernel...), got {tuple(weight.shape)}"
        fail(RuntimeError, function, "weight", problem)
    if input.dim() not in (axes + 1, axes + 2):
        problem = f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to {function}, but got input of size:"
        fail(RuntimeError, function, "input", f"{problem} {list(input.shape)}; it needs ({layout})")
    if weight.dim() != axes + 2:
        dim = weight.dim()
        got = f"but got {input.dim()}-dimensional input of size {list(input.shape)} instead"
        problem = f"Expected {dim}-dimensional input for {dim}-dimensional weight {list(weight.shape)}, {got}"
        fail(RuntimeError, function, "weight", f"{problem}; it needs a weight of {axes + 2} axes")


def _per_axis(function: str, argument: str, value: Numbers, axes: int) -> list[int]:
    """One number per axis."""
    numbers = [value] * axes if hasattr(value, "__index__") else value
    if not isinstance(numbers, (list, tuple)) or not all(hasattr(n, "__index__") for n in numbers):
        fail(TypeError, function, argument, f"must be int or tuple of ints, not {value!r}")
    if len(numbers) not in (1, axes):
        needs = f"a single integer value or a list of {axes} values to match the convolution dimensions"
        fail(RuntimeError, function, argument, f"expected {argument} to be {needs}, but got {argument}={list(numbers)}")
    return list(numbers) * (axes // len(numbers))


def _check_channels(function: str, axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    if groups <= 0:
        fail(RuntimeError, function, "groups", f"non-positive groups is not supported, got {groups}")
    filters, channels = weight.shape[0], input.shape[-axes - 1]
    size = f"weight of size {list(weight.shape)}"
    if filters < groups:
        problem = f"expected weight to be at least {groups} at dimension 0, but got {size} instead"
        fail(RuntimeError, function, "weight", f"Given groups={groups}, {problem}")
    if filters % groups:
        problem = f"expected weight to be divisible by {groups} at dimension 0, but got {size} instead"
        fail(RuntimeError, function, "weight", f"Given groups={groups}, {problem}")
    if channels != weight.shape[1] * groups:
        problem = f"expected input{list(input.shape)} to have {weight.shape[1] * groups} channels, but got {channels} channels"
        fix = f"; channels come before {' and '.join(_AXES[axes])}"
        if input.shape[-1] == weight.shape[1] * groups:
            fix += f", yours seem to come last: input.movedim(-1, {-axes - 1})"
        fail(RuntimeError, function, "input", f"Given groups={groups}, {size}, {problem} instead{fix}")
    if bias is not None and bias.shape != (filters,):
        problem = f"expected bias to be 1-dimensional with {filters} elements, but got bias of size {list(bias.shape)} instead"
        fail(RuntimeError, function, "bias", f"Given {size}, {problem}")


def _check_sizes(function: str, axes: int, input: Tensor, weight: Tensor, around: list[int], reach: list[int]) -> None:
    """The kernel, which reaches `reach` entries beyond its first, fits into the image and the `around` zeros on its sides."""
    kernel, image = weight.shape[2:], input.shape[-axes:]
    if 0 in kernel:
        fail(RuntimeError, function, "weight", f"kernel size should be greater than zero, but got {tuple(kernel)}")
    padded = [n + p for n, p in zip(image, around, strict=True)]
    span = [r + 1 for r in reach]
    if any(n < k for n, k in zip(padded, span, strict=True)):
        sizes, spans = (" x ".join(map(str, numbers)) for numbers in (padded, span))
        problem = f"Calculated padded input size per channel: ({sizes}). Kernel size: ({spans})"
        fix = f"got input {tuple(input.shape)}: pad more, or shrink the image less before"
        fail(RuntimeError, function, "input", f"{problem}. Kernel size can't be greater than actual input size; {fix}")
    if 0 in image and 0 not in input.shape[:-axes]:
        problem = f"Only zero batch or zero channel inputs are supported, but got input shape: {list(input.shape)}"
        fail(RuntimeError, function, "input", problem)
