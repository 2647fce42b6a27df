"""Exercise 16: linear regression, from the features to the judgement.

Each `...` is a blank for you to fill in. Then: scratchnet check 16
"""

import torch


def standardise(train: torch.Tensor, test: torch.Tensor) -> tuple:
    """Both (N, D) as a model trained on `train` must see them: every feature of train has mean 0, standard deviation 1.

    Take torch's .std, which divides by N - 1.
    """
    return ...


def map_back(weights: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> tuple:
    """The weights (D,) and bias () for raw features that guess what these do for (x - mean) / std."""
    return ...


def r2(guess: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 - MSE / variance of y, both as means over all N; guess and y are (N, 1)."""
    return ...


def recover(x: torch.Tensor, y: torch.Tensor) -> tuple:
    """The weights (D,) and the bias () of raw features x (N, D) for y (N, 1), within 2 %.

    Closed form or descent: your choice.
    """
    return ...


def predict(x: torch.Tensor, y: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Guesses (M, 1) of a linear model trained on x (N, D) and y (N, 1) for new samples (M, D). Use what you wrote above."""
    return ...
