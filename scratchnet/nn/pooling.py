"""MaxPool2d, AvgPool2d and AdaptiveAvgPool2d: one number for each window of an image."""

from __future__ import annotations

from typing import Sequence

from torch import Tensor
from torch.nn import Module

from scratchnet.nn import functional as F
from scratchnet.nn.called import Called

Pair = int | Sequence[int]  # one number for both axes, or (rows, columns)


class MaxPool2d(Called, Module):
    """The largest entry of each window of x (N, C, H, W) or (C, H, W); with return_indices also where it lies in its plane.

    stride is kernel_size unless given; the padding, at most half a window, counts as -infinity; ceil_mode admits a last window
    that reaches beyond the image. Dtypes and errors as in nn.functional.max_pool2d. Concept 83: convolution and pooling.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        return f"{sizes}, ceil_mode={self.ceil_mode}"


class AvgPool2d(Called, Module):
    """The mean of each window of x (N, C, H, W) or (C, H, W).

    stride is kernel_size unless given; the padding is zeros, which count unless count_include_pad is False; divisor_override
    takes the place of the number of entries.
    Dtypes and errors as in nn.functional.avg_pool2d. Concept 83: convolution and pooling.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Called, Module):
    """The means of windows that divide x (N, C, H, W) or (C, H, W) into output_size rows and columns, whatever its size.

    output_size is one number for both, or a pair; None keeps an axis as it is.
    Dtypes and errors as in nn.functional.adaptive_avg_pool2d. Concept 83: convolution and pooling.
    """

    def __init__(self, output_size: int | None | Sequence[int | None]) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
