"""Convolution layers: filters that slide over sequences and images."""

import math

import torch
import torch.nn.functional
from torch import Tensor
from torch.nn import Module, Parameter, init

from scratchnet.functions.checks import fail
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Called, Module):
    """What both layers share; a subclass sets the number of spatial axes and calls its function."""

    AXES: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        name = type(self).__name__
        if groups <= 0:
            fail(ValueError, name, "groups", f"groups must be a positive integer, got {groups}")
        for argument, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                fail(ValueError, name, argument, f"{argument} must be divisible by groups, got {channels} and {groups}")
        if isinstance(padding, str) and padding not in ("valid", "same"):
            problem = f"Invalid padding string {padding!r}, should be one of 'valid', 'same'; or give numbers"
            fail(ValueError, name, "padding", problem)
        if padding_mode not in PADDING_MODES:
            problem = f"padding_mode must be one of {PADDING_MODES}, but got padding_mode={padding_mode!r}"
            fail(ValueError, name, "padding_mode", problem)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = self._per_axis(kernel_size)
        self.stride = self._per_axis(stride)
        self.padding = padding if isinstance(padding, str) else self._per_axis(padding)
        self.dilation = self._per_axis(dilation)
        self.transposed = False
        self.output_padding = (0,) * self.AXES
        self.groups = groups
        self.padding_mode = padding_mode
        if padding == "same" and any(s != 1 for s in self.stride):
            fail(ValueError, name, "padding", f"padding='same' is not supported for strided convolutions, got stride {stride}")
        self._reversed_padding_repeated_twice = self._sides()
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def _per_axis(self, value) -> tuple[int, ...]:
        return tuple(value) if hasattr(value, "__iter__") else (value,) * self.AXES

    def _sides(self) -> list[int] | tuple[int, ...]:
        """The padding as F.pad takes it: before and after each axis, the last axis first."""
        if self.padding == "valid":
            return [0] * 2 * self.AXES
        if self.padding == "same":
            reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=False)]
            return [side for r in reversed(reach) for side in (r // 2, r - r // 2)]
        return tuple(p for p in reversed(self.padding) for _ in range(2))

    def reset_parameters(self) -> None:
        """Draw weight, then bias, from U(-b, b) with b = 1 / sqrt(in_channels / groups * size of the kernel)."""
        # a = sqrt(5) turns He's bound sqrt(6 / ((1 + a^2) fan_in)) into 1 / sqrt(fan_in)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = self.weight.shape[1:].numel()
        if self.bias is not None:
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)  # subclasses call it with weights of their own

    def _padded(self, input: Tensor) -> tuple[Tensor, tuple[int, ...] | str]:
        """The input with the border of its padding mode, and the zero padding that is left to do."""
        if self.padding_mode == "zeros":
            return input, self.padding
        border = torch.nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return border, (0,) * self.AXES


class Conv1d(_Convolution, torch.nn.Conv1d):
    """Filters over sequences: x (N, in_channels, L) or (in_channels, L) -> (N, out_channels, out) or (out_channels, out).

    weight (out_channels, in_channels / groups, kernel_size), bias (out_channels). padding: a number, "same" or "valid";
    padding_mode: "zeros", "reflect", "replicate" or "circular". ValueError for options that do not fit.
    Dtypes and errors as in nn.functional.conv1d.
    """

    AXES = 1

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = self._padded(input)
        return F.conv1d(x, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Convolution, torch.nn.Conv2d):
    """Filters over images: x (N, in_channels, H, W) or (in_channels, H, W) -> (N, out_channels, out_h, out_w) or without N.

    out = (n + 2 padding - dilation (kernel - 1) - 1) // stride + 1 on each axis. weight (out_channels, in_channels / groups,
    kernel height, kernel width), bias (out_channels). padding: numbers, "same" or "valid"; padding_mode: "zeros", "reflect",
    "replicate" or "circular". ValueError for options that do not fit. LeCun et al., 1998.
    Dtypes and errors as in nn.functional.conv2d.
    """

    AXES = 2

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = self._padded(input)
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)
