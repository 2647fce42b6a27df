"""Exercise 24: dropout, its backward, a module that knows its mode, and an evaluation that leaves no trace.

Each `...` is a blank for you to fill in. Then: scratchnet check 24
"""

import torch

import scratchnet.nn.functional as F
from scratchnet import nn


def dropout(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
    """Inverted dropout, p < 1: while training, 0 with probability p, else x / (1 - p); otherwise x. Do not use F.dropout."""
    if ...:
        return x
    kept = torch.rand_like(x) >= ...  # True where x stays
    return kept * ...


def dropout_backward(g: torch.Tensor, kept: torch.Tensor, p: float) -> torch.Tensor:
    """The gradient of x: g is that of the result, `kept` the bool mask of the forward pass; all of one shape."""
    return ...


class Block(nn.Module):
    """A linear layer, ReLU, and then dropout that is on in training mode only: (N, features) -> (N, units)."""

    def __init__(self, features: int, units: int, p: float):
        super().__init__()
        self.linear = nn.Linear(features, units)
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.linear(x))
        return F.dropout(h, ...)


def answer(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """model(x) in evaluation mode, without recording for autograd; afterwards the model is back in the mode it came in."""
    ...
