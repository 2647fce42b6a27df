"""MaxPool2d, AvgPool2d and AdaptiveAvgPool2d: one number for each window of an image."""

from __future__ import annotations

import torch.nn
from torch import Tensor

from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class MaxPool2d(Called, torch.nn.MaxPool2d):
    """The largest entry of each window of x (N, C, H, W) or (C, H, W); with return_indices also its index in its plane.

    stride is kernel_size unless given; the padding, at most half a window, counts as -infinity; ceil_mode admits a last window
    that reaches beyond the image. Dtypes and errors as in nn.functional.max_pool2d.
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class AvgPool2d(Called, torch.nn.AvgPool2d):
    """The mean of each window of x (N, C, H, W) or (C, H, W).

    stride is kernel_size unless given; the padding is zeros, which count unless count_include_pad is False; divisor_override
    takes the place of the number of entries.
    Dtypes and errors as in nn.functional.avg_pool2d.
    """

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


class AdaptiveAvgPool2d(Called, torch.nn.AdaptiveAvgPool2d):
    """The means of windows that divide x (N, C, H, W) or (C, H, W) into output_size rows and columns, whatever its size.

    output_size is one number for both, or a pair; None keeps an axis as it is.
    Dtypes and errors as in nn.functional.adaptive_avg_pool2d.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)
