"""Dropout: switch off random elements, or whole channels, while training."""

import torch.nn
from torch import Tensor
from torch.nn import Module

from scratchnet.nn import functional as F
from scratchnet.nn.called import Called
from scratchnet.nn.functional.dropouts import check_probability


class _Dropout(Called, Module):
    """p, the probability of being zeroed (not of being kept), and whether to overwrite the input."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        Module.__init__(self)
        check_probability(type(self).__name__, p)
        self.p = p
        self.inplace = inplace


class Dropout(_Dropout, torch.nn.Dropout):
    """While training, zero each element with probability p and divide the rest by 1 - p; in eval mode y = x. Any shape.

    ValueError unless 0 <= p <= 1. Hinton et al.: Improving neural networks by preventing co-adaptation of feature detectors,
    https://arxiv.org/abs/1207.0580.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout, torch.nn.Dropout2d):
    """While training, zero each channel of (N, C, H, W) with probability p and divide the rest by 1 - p.

    ValueError unless 0 <= p <= 1. Tompson et al.: Efficient Object Localization Using Convolutional Networks,
    https://arxiv.org/abs/1411.4280.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)
