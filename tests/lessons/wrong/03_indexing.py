"""Wrong answers to exercise 03, each with words of what it must be told."""

import torch


def last_columns__rows_after_rows(x):
    """yours is (2, 4); it should be (3, 2)"""
    return x[::2][-2:]


def without_missing__mask_not_called(x):
    """its parentheses are missing"""
    y = x.clone()
    y[y.isnan] = 0
    return y


def pick_by_pairs__through_take_along_dim(logits, y):
    """they came through gather"""
    return torch.take_along_dim(logits, y[:, None], 1)[:, 0]


def pick_by_mask__multiplied(logits, y):
    """Infinity times 0 is NaN"""
    mask = torch.zeros_like(logits)
    mask[torch.arange(len(y)), y] = 1
    return (logits * mask).sum(1)


def pick_by_gather__row_by_row(logits, y):
    """without gather"""
    return torch.stack([row[label] for row, label in zip(logits, y, strict=True)])
