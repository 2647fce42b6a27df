"""Exercise 10: four formulas that hold on paper, written so that they hold in a computer.

Work with max, exp, log, sum, where and their like, not with the finished ones:
softmax, logsumexp, logaddexp, cross_entropy, softplus, logsigmoid.
Each `...` is a blank for you to fill in. Then: scratchnet check 10
"""

import torch


def softmax(x: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probabilities along the last axis of x / temperature, for any finite x (..., C): the shape of x."""
    return ...


def logsumexp(x: torch.Tensor) -> torch.Tensor:
    """log(sum(exp(x))) along the last axis of x (B, C): (B,). It is right for large x too, and -inf for a row of -inf only."""
    return ...


def surprise(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """-log p of the right class y (B,) for logits (B, C), p being their softmax: (B,). You may call your logsumexp."""
    return ...


def softplus(x: torch.Tensor) -> torch.Tensor:
    """log(1 + exp(x)) of every entry, right for x = 1000 and to the last digits for x = -30: the shape of x.

    On paper it is max(x, 0) + log(1 + exp(-|x|)).
    """
    return ...
