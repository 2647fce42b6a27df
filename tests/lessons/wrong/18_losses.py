"""Wrong answers to exercise 18, each with words of what it must be told."""

import torch
import torch.nn.functional as F


def bce__module(z, t):
    """torch's function computed them"""
    return torch.nn.BCEWithLogitsLoss(reduction="none")(z, t)


def bce__on_probabilities(z, t):
    """100 instead of 200"""
    return F.binary_cross_entropy(torch.sigmoid(z), t, reduction="none")


def bce__tiny_number(z, t):
    """A small number inside the logarithm"""
    return -(t * torch.log(torch.sigmoid(z) + 1e-8) + (1 - t) * torch.log(1 - torch.sigmoid(z) + 1e-8))
