"""Exercise 26: data that do not leak, the training loop, an accuracy that counts, and a plan for the learning rate.

Each `...` is a blank for you to fill in. Then: scratchnet check 26
"""

import math

import torch

import scratchnet.nn.functional as F
from scratchnet import nn


def prepare(x: torch.Tensor, y: torch.Tensor, held_out: int) -> tuple:
    """Shuffle, hold out the last `held_out` rows for the test, standardise: x_train, y_train, x_test, y_test.

    x (N, D), y (N,). Every column of x gets mean 0 and deviation 1 (torch's .std, which divides by N - 1) on the training rows.
    """
    train, test = ...  # which rows: the two parts of one torch.randperm(len(x)), the last ones for the test
    mean, std = ...
    return (x[train] - mean) / std, y[train], (x[test] - mean) / std, y[test]


def fit(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, epochs: int, batch_size: int
) -> list[float]:
    """Train with F.cross_entropy; return the mean loss per sample for each epoch, as numbers."""
    history = []
    for _ in range(epochs):
        ...  # 1: the mode
        order, total = torch.randperm(len(x)), 0.0
        for chosen in order.split(batch_size):
            ...  # 2: forget the old gradients
            loss = F.cross_entropy(..., y[chosen])  # 3: forward
            ...  # 4: gradients
            ...  # 5: move
            total += loss * ...  # 6: make it the sum of the losses in this batch, a number
        history.append(total / len(x))
    return history


def accuracy(model: nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """The share of right answers over all samples of all batches (x, y), in evaluation mode; batches differ in size."""
    ...


def rate(epoch: int, epochs: int, warm_up: int, lr: float) -> float:
    """The learning rate of an epoch 0, 1, ..., epochs - 1: a straight line up, then half a cosine down.

    In the warm-up, lr * 1 / warm_up, lr * 2 / warm_up, ..., lr. Then lr * (1 + cos(pi * share)) / 2, where share is the
    fraction of the epochs after the warm-up that are over: 0 in the first of them.
    """
    if epoch < warm_up:
        return ...
    share = ...
    return lr * (1 + math.cos(math.pi * share)) / 2
