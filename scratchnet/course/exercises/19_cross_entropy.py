"""Exercise 19: cross-entropy, forward and backward, and a classifier from it.

Each `...` is a blank for you to fill in. Then: scratchnet check 19
"""

import math

import torch

import scratchnet.nn.functional as F


def predictions() -> dict:
    """Numbers, found by thinking: cross-entropy of one row of logits, in nats."""
    return {
        "the loss when the right class has the probability 1/2": math.log(2),  # this one is a gift
        "the loss of four equal logits": ...,
        "the loss when the right class has the probability 1/8": ...,
        "the loss was 0.3; what is it after 100 is added to every logit": ...,
        "the slope of the right class's logit when its probability is 0.9": ...,
        "the slope of a wrong class's logit when its probability is 0.2": ...,
    }


def forward(x: torch.Tensor, y: torch.Tensor) -> tuple:
    """The loss of each row (N,) and the logsumexp of each row (N,), of logits x (N, C) and classes y (N,).

    It works for any finite x: subtract the largest logit first. Use exp, log and sum, not a function that does it all.
    """
    ...


def backward(g: torch.Tensor, x: torch.Tensor, y: torch.Tensor, lse: torch.Tensor) -> torch.Tensor:
    """The gradient of the logits (N, C), from g (N,), the gradient of each row's loss, and the lse (N,) of `forward`.

    The probabilities are recomputed from x and lse; x stays as it is.
    """
    ...


def language_loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy () of logits (B, S, C) and words y (B, S), using F.cross_entropy on logits (N, C), words (N,)."""
    return F.cross_entropy(...)


def train_step(W: torch.Tensor, b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, lr: float) -> None:
    """One step of softmax regression, in place: logits x @ W.T + b, mean loss, W (C, D) and b (C,) move by -lr * gradient.

    Do it without autograd: you know the gradient of the logits, and lesson 15 has the rest.
    """
    ...
