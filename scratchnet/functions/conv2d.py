"""Convolutions: conv2d, and conv1d as a convolution of images one pixel high."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail, same_dtype
from scratchnet.functions.dispatch import Function, Operator, lined_up, needs, or_torch
from scratchnet.ops.conv2d import ConvolutionOptions

Numbers = int | Sequence[int]


class Conv2d(Function):
    """Y = W X + b with the windows of the image as columns of X;  dW = G X^T, dX = W^T G put back, db = sum of G."""

    @staticmethod
    def forward(ctx, kernel, x, weight, bias, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(x, weight)
        return kernel.forward(x, weight, bias, options)

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, *ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options, *needs(ctx)))


_conv2d = Operator("conv2d", Conv2d, autocast={"cpu": "low", "cuda": "low"})
_AXES = {1: ("length",), 2: ("height", "width")}


@or_torch(torch.nn.functional.conv2d)
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Tensor:
    """Windows times filters: input (N, C, H, W) or (C, H, W), weight (F, C / groups, kh, kw), bias (F), one dtype.

    -> (N, F, out_h, out_w) or (F, out_h, out_w), out = (n + 2 padding - dilation (k - 1) - 1) // stride + 1. Of stride, padding
    and dilation one number or one an axis; padding "valid" is 0, "same" keeps the image's size. RuntimeError if shapes, dtypes
    or options do not fit, TypeError for arguments of another type. torch.nn.functional.conv2d; LeCun et al., 1998.
    """
    input, *sizes = _checked("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)
    options = ConvolutionOptions(*sizes, groups)
    if input.dim() == 4:
        return _conv2d(input, weight, bias, options)
    return _conv2d(input.unsqueeze(0), weight, bias, options).squeeze(0)


@or_torch(torch.nn.functional.conv1d)
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Tensor:
    """conv2d of sequences: input (N, C, L) or (C, L), weight (F, C / groups, k), bias (F), one dtype.

    -> (N, F, out) or (F, out). Options and exceptions are those of conv2d. torch.nn.functional.conv1d.
    """
    input, stride, padding, dilation = _checked("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)
    x = input if input.dim() == 3 else input.unsqueeze(0)
    options = ConvolutionOptions([1, *stride], [0, *padding], [1, *dilation], groups)
    y = _conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, options).squeeze(2)
    return y if input.dim() == 3 else y.squeeze(0)


def _checked(
    function: str,
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Numbers,
    padding: Numbers | str,
    dilation: Numbers,
    groups: int,
) -> tuple[Tensor, list[int], list[int], list[int]]:
    """input, stride, padding and dilation of a call that torch would take; for "same", input may get zeros on one side."""
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
    if padding == "same":
        padding = [r // 2 for r in reach]
        if any(r % 2 for r in reach):  # one zero more below or to the right
            input = torch.nn.functional.pad(input, [side for r in reversed(reach) for side in (0, r % 2)])
    elif padding == "valid":
        padding = [0] * axes
    _check_sizes(function, axes, input, weight, padding, reach)
    return input, stride, padding, dilation


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
        fail(
            RuntimeError, function, "input",
            f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to {function}, but got input of size: "
            f"{list(input.shape)}; it needs ({layout})",
        )  # fmt: skip
    if weight.dim() != axes + 2:
        dim = weight.dim()
        fail(
            RuntimeError, function, "weight",
            f"Expected {dim}-dimensional input for {dim}-dimensional weight {list(weight.shape)}, but got "
            f"{input.dim()}-dimensional input of size {list(input.shape)} instead; it needs a weight of {axes + 2} axes",
        )  # fmt: skip


def _per_axis(function: str, argument: str, value: Numbers, axes: int) -> list[int]:
    """One number an axis."""
    numbers = [value] * axes if hasattr(value, "__index__") else value
    if not isinstance(numbers, (list, tuple)) or not all(hasattr(n, "__index__") for n in numbers):
        fail(TypeError, function, argument, f"must be int or tuple of ints, not {value!r}")
    if len(numbers) not in (1, axes):
        fail(
            RuntimeError, function, argument,
            f"expected {argument} to be a single integer value or a list of {axes} values to match the convolution dimensions, "
            f"but got {argument}={list(numbers)}",
        )  # fmt: skip
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
        mend = f"; channels come before {' and '.join(_AXES[axes])}"
        if input.shape[-1] == weight.shape[1] * groups:
            mend += ", yours seem to come last: input.movedim(-1, " + f"{-axes - 1})"
        fail(RuntimeError, function, "input", f"Given groups={groups}, {size}, {problem} instead{mend}")
    if bias is not None and bias.shape != (filters,):
        problem = f"expected bias to be 1-dimensional with {filters} elements, but got bias of size {list(bias.shape)} instead"
        fail(RuntimeError, function, "bias", f"Given {size}, {problem}")


def _check_sizes(function: str, axes: int, input: Tensor, weight: Tensor, padding: list[int], reach: list[int]) -> None:
    kernel, image = weight.shape[2:], input.shape[-axes:]
    if 0 in kernel:
        fail(RuntimeError, function, "weight", f"kernel size should be greater than zero, but got {tuple(kernel)}")
    padded = [n + 2 * p for n, p in zip(image, padding, strict=True)]
    span = [r + 1 for r in reach]  # of a dilated kernel
    if any(n < k for n, k in zip(padded, span, strict=True)):
        sizes, spans = (" x ".join(map(str, numbers)) for numbers in (padded, span))
        fail(
            RuntimeError, function, "input",
            f"Calculated padded input size per channel: ({sizes}). Kernel size: ({spans}). Kernel size can't be greater than "
            f"actual input size; got input {tuple(input.shape)}: pad more, or shrink the image less before",
        )  # fmt: skip
    if 0 in image and 0 not in input.shape[:-axes]:
        problem = f"Only zero batch or zero channel inputs are supported, but got input shape: {list(input.shape)}"
        fail(RuntimeError, function, "input", problem)
