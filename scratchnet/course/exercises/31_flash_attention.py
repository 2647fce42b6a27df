"""Exercise 31: an online softmax, two parts that are joined, attention in blocks, and the gradient of the scores.

Each `...` is a blank for you to fill in. Then: scratchnet check 31
"""

import torch


def push(m: float, s: float, x: float) -> tuple[float, float]:
    """One number more: m is the largest so far, s the sum of exp(number - m) so far. At first m is -inf and s is 0."""
    new = ...
    return new, ...


def join(m: torch.Tensor, s: torch.Tensor, acc: torch.Tensor, m2: torch.Tensor, s2: torch.Tensor, acc2: torch.Tensor):
    """Two parts of the keys as one: m, s (T, 1) and acc (T, d) of both -> m, s and acc of all keys."""
    top = torch.maximum(m, m2)
    return top, ..., ...


def flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, block: int) -> torch.Tensor:
    """Attention of q (T, d) to k and v (S, d), without a mask, in blocks of keys: never more than T x block scores."""
    return ...  # as many lines as you like


def score_gradient(scores: torch.Tensor, lse: torch.Tensor, v: torch.Tensor, out: torch.Tensor, dout: torch.Tensor):
    """The gradient of the scores (T, block) of some of the keys, whose values are v (block, d).

    lse (T, 1) is the logsumexp of all scores of a query, out (T, d) its result, dout (T, d) the gradient of that.
    """
    return ...
