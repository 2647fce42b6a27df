"""Exercise 28: heads, causal attention, a test for leaks from the future, and the baseline to beat.

Each `...` is a blank for you to fill in. Then: scratchnet check 28
"""

import torch
from torch import nn


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """x (B, T, C) -> (B, heads, T, C / heads): the first head has the first C / heads numbers of every token."""
    return ...


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention: q, k, v (..., T, d) -> (..., T, d). Place t sees the places 0 to t, itself included.

    Write it yourself, without F.scaled_dot_product_attention.
    """
    return ...  # scores, hide what comes later, weights, values: as many lines as you like


def sees_the_future(model: nn.Module, tokens: torch.Tensor) -> bool:
    """Whether the logits (B, T, V) of the model for tokens (B, T) at places before the last change with the last token.

    All tokens are 0 or 1.
    """
    other = tokens.clone()
    other[:, -1] = ...
    with torch.no_grad():
        return ...


def bigram_loss(seen: torch.Tensor, new: torch.Tensor, size: int) -> float:
    """The mean loss in nats, on the pairs `new`, of the bigram model counted on the pairs `seen`.

    Pairs are (N, 2) int64, below `size`: a token and the one after it. Every count starts at 1, so that none is 0.
    """
    return ...
