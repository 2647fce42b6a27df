"""Dropout: random zeros while training."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import check_float, check_tensor, fail


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p and divide the rest by 1 - p; the input itself when not training.

    One draw an element from torch's generator: on a CPU the mask is torch's for the same seed. ValueError unless 0 <= p <= 1.
    """
    check_probability("dropout", p)
    check_tensor("dropout", "input", input)
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        scale = input.new_zeros(())  # 0 * x, not zeros: NaN and infinity stay visible, as in torch
    else:
        check_float("dropout", "input", input)
        scale = torch.empty_like(input).bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scale) if inplace else input * scale


def check_probability(name: str, p: float) -> None:
    """ValueError unless p is a probability."""
    if not 0 <= p <= 1:
        fail(ValueError, name, "p", f"dropout probability has to be between 0 and 1, but got {p}")
