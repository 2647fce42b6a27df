"""Exercise 09: grade a classifier, and do not let it fool you.

Each `...` is a blank for you to fill in. Then: scratchnet check 09
"""

import torch


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    """The share of right answers as a Python float. Watch the shapes: logits are (N, C), and y comes as a column, (N, 1)."""
    return ...


def top_k_accuracy(logits: torch.Tensor, y: torch.Tensor, k: int) -> float:
    """The share of rows of logits (N, C) in which the right class of y (N,) is surely among the k best; a Python float.

    Surely: a row counts only if at most k of its scores, including the right class's own, are at least as large as that one.
    """
    return ...


def confusion(predicted: torch.Tensor, y: torch.Tensor, classes: int) -> torch.Tensor:
    """How often class i, from y (N,), was predicted as class j: entry [i, j] of an int64 matrix (classes, classes)."""
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    ...
    return counts


def recall(counts: torch.Tensor) -> torch.Tensor:
    """From such a matrix (C, C): the share of the pictures *of* each class that was recognised, (C,)."""
    return ...
