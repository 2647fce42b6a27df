"""Convolutions: conv2d, and conv1d as a convolution of images one pixel high."""

from __future__ import annotations

import torch
import torch.nn.functional
from torch import Tensor

from scratchnet.functions.checks import alike
from scratchnet.functions.dispatch import Function, Operator, fastest_first, gradients, or_torch
from scratchnet.functions.explain import conv2d as explain
from scratchnet.functions.explain.conv2d import Numbers
from scratchnet.functions.layout import channels_last_like
from scratchnet.ops.conv2d import ConvolutionOptions


class Conv2d(Function):
    """Y = W X + b with the windows of the image as columns of X;  dW = G X^T, dX = W^T G put back, db = sum of G."""

    @staticmethod
    def forward(ctx, kernel, x, weight, bias, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(x, weight)
        return kernel.forward(x, weight, bias, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


_conv2d = Operator("conv2d", Conv2d, autocast={"cpu": "low", "cuda": "low"})


@fastest_first("conv2d")
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

    -> (N, F, out_h, out_w) or (F, out_h, out_w), out = (n + 2 padding - dilation (k - 1) - 1) // stride + 1. stride, padding
    and dilation: one number, or one per axis; padding "valid" is 0, "same" keeps the image's size. RuntimeError if shapes,
    dtypes or options do not fit, TypeError for arguments of another type. torch.nn.functional.conv2d; LeCun et al., 1998.
    """
    plan = _plan(2, input, weight, bias, stride, padding, dilation, groups)
    if plan is None:
        explain.conv2d(input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    input, *sizes = plan
    options = ConvolutionOptions(*sizes, groups)
    if input.dim() == 4:
        return channels_last_like(_conv2d(input, weight, bias, options), input, weight)
    return _conv2d(input.unsqueeze(0), weight, bias, options).squeeze(0)


@or_torch(torch.nn.functional.conv1d, _conv2d.op)
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
    plan = _plan(1, input, weight, bias, stride, padding, dilation, groups)
    if plan is None:
        explain.conv1d(input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    input, stride, padding, dilation = plan
    x = input if input.dim() == 3 else input.unsqueeze(0)
    options = ConvolutionOptions([1, *stride], [0, *padding], [1, *dilation], groups)
    y = _conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, options).squeeze(2)
    return y if input.dim() == 3 else y.squeeze(0)


def _plan(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Numbers,
    padding: Numbers | str,
    dilation: Numbers,
    groups: int,
) -> tuple[Tensor, list[int], list[int], list[int]] | None:
    """input, stride, padding and dilation of a call that fits; for "same", input may get zeros on one side."""
    stride, dilation = _per_axis(stride, axes), _per_axis(dilation, axes)
    if not (stride and dilation and min(*stride, *dilation) > 0 and _fits(axes, input, weight, bias, groups)):
        return None
    kernel = weight.shape[2:]
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if padding == "same" and max(stride) == 1:
        padding = [r // 2 for r in reach]
        if any(r % 2 for r in reach):  # one zero more below or to the right
            input = torch.nn.functional.pad(input, [side for r in reversed(reach) for side in (0, r % 2)])
    else:
        padding = _per_axis(0 if padding == "valid" else padding, axes)
    image = input.shape[-axes:]
    fits = (
        padding
        and min(padding) >= 0
        and 0 not in kernel
        and all(n + 2 * p > r for n, p, r in zip(image, padding, reach, strict=True))
        and (0 not in image or 0 in input.shape[:-axes])
    )
    return (input, stride, padding, dilation) if fits else None


def _per_axis(value: Numbers, axes: int) -> list[int] | None:
    """One number per axis."""
    if type(value) is tuple and len(value) == axes:  # as layers have it; what follows takes as long as a small image
        for n in value:
            if type(n) is not int:
                break
        else:
            return list(value)
    numbers = [value] * axes if hasattr(value, "__index__") else value
    if isinstance(numbers, (list, tuple)) and len(numbers) in (1, axes) and all(hasattr(n, "__index__") for n in numbers):
        return list(numbers) * (axes // len(numbers))
    return None


def _fits(axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> bool:
    """Whether weight has filters for the channels of input, and bias a number for each filter."""
    return (
        alike(input, weight)
        and input.dim() in (axes + 1, axes + 2)
        and weight.dim() == axes + 2
        and isinstance(groups, int)
        and 0 < groups <= weight.shape[0]
        and weight.shape[0] % groups == 0
        and input.shape[-axes - 1] == weight.shape[1] * groups
        and (bias is None or alike(input, bias) and bias.shape == weight.shape[:1])
    )
