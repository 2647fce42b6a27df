"""Dropout: switch off random elements, or whole channels, while training."""

import torch.nn
from torch import Tensor
from torch.nn import Module

from scratchnet.functions.dropout import draw_seed
from scratchnet.functions.explain.dropout import check_probability
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class _Dropout(Called, Module):
    """p, the probability of being zeroed (not of being kept), and whether to overwrite the input."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        Module.__init__(self)
        check_probability(type(self).__name__, p)
        self.p = p
        self.inplace = inplace


class Dropout(_Dropout, torch.nn.Dropout):
    """While training, zero each element with probability p and divide the rest by 1 - p; in eval mode y = x. Any shape.

    torch's mask for the same torch.manual_seed, saved for backward. After `layer.redraw = True` another one, from a seed that
    torch's generator draws: backward draws the mask again, nothing is saved, and both take a fraction of the time.
    ValueError unless 0 <= p <= 1. Hinton et al.: Improving neural networks by preventing co-adaptation of feature detectors,
    https://arxiv.org/abs/1207.0580.
    """

    redraw = False

    def forward(self, input: Tensor) -> Tensor:
        seed = draw_seed(input) if self.redraw and self.training and self.p > 0 else None
        return F.dropout(input, self.p, self.training, self.inplace, seed=seed)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, redraw=True" if self.redraw else super().extra_repr()


class Dropout2d(_Dropout, torch.nn.Dropout2d):
    """While training, zero each channel of (N, C, H, W) with probability p and divide the rest by 1 - p.

    ValueError unless 0 <= p <= 1. Tompson et al.: Efficient Object Localization Using Convolutional Networks,
    https://arxiv.org/abs/1411.4280.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)
