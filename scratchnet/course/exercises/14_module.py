"""Exercise 14: modules that own, start, freeze and share their numbers.

Each `...` is a blank for you to fill in. Then: scratchnet check 14
"""

import torch

from scratchnet import nn


class Stretch(nn.Module):
    """x (..., features) -> x * gain + shift; both are learned, (features,), and start as ones and zeros."""

    def __init__(self, features: int): ...

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ...


def count(model: nn.Module) -> int:
    """How many of the model's numbers training may change: frozen ones do not count, shared ones count once."""
    return ...


def xavier_(weight: nn.Parameter) -> nn.Parameter:
    """Fill weight (out, in) in place with random numbers around 0 of Xavier's standard deviation; return it.

    By hand, with weight.normal_(mean, std), not with nn.init.
    """
    ...
    return weight


def freeze(model: nn.Module, name: str) -> None:
    """Freeze all parameters of the model whose name begins with `name`, and no others."""
    ...


def tie(model: nn.Module) -> None:
    """Let model.head use the weight of model.embed, for good: both are (words, features)."""
    ...
