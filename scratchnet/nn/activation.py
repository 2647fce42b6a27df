"""GELU, ReLU and Softmax."""

from __future__ import annotations

from torch import Tensor
from torch.nn import Module

from scratchnet.nn import functional as F


class GELU(Module):
    """x * Phi(x) elementwise, Phi the normal distribution function; approximate="tanh" takes the tanh formula for Phi.

    Hendrycks, Gimpel: Gaussian Error Linear Units, https://arxiv.org/abs/1606.08415
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class ReLU(Module):
    """max(0, x) elementwise; inplace=True overwrites x."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Softmax(Module):
    """exp(x) / sum(exp(x)) along dim: non-negative and summing to 1."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
