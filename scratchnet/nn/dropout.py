"""Dropout: switch random elements off while training."""

from torch import Tensor
from torch.nn import Module

from scratchnet.nn import functional as F
from scratchnet.nn.functional.dropouts import check_probability


class Dropout(Module):
    """While training, zero each element with probability p and divide the rest by 1 - p; the identity in eval mode.

    Hinton et al.: Improving neural networks by preventing co-adaptation of feature detectors, https://arxiv.org/abs/1207.0580
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_probability("Dropout", p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
