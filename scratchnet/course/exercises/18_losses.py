"""Exercise 18: losses that count the right thing.

Each `...` is a blank for you to fill in. Then: scratchnet check 18
"""

import torch

from scratchnet import nn


def weighted_mse(guess: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The weighted mean () of the squared errors; all (B,). An error of weight 2 counts as two errors."""
    return ...


def epoch_loss(means: list, sizes: list) -> float:
    """The mean loss over all samples of an epoch, from the mean loss of each batch and the size of each batch."""
    return ...


def padded_loss(each: torch.Tensor, y: torch.Tensor, pad: int) -> torch.Tensor:
    """The mean loss () over the real words: each (B, S) is the loss of every word, y (B, S) is `pad` where there is none.

    The losses of padding may be anything, infinity included.
    """
    return ...


def bce(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy (B,) of logits z (B,) and truths t (B,), each 0 or 1, without a mean. Right for z = +-200 too.

    Write the formula yourself: torch's function that does it all is not the answer.
    """
    return ...


def with_penalty(loss: torch.Tensor, model: nn.Module, strength: float) -> torch.Tensor:
    """The loss plus strength times the sum of all squared weights of the model; biases (one axis) are left out."""
    return ...
