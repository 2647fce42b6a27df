"""Wrong answers to exercise 24, each with words of what it must be told."""

import torch


def dropout__layer(x, p, training):
    """torch's dropout computed it"""
    return torch.nn.Dropout(p).train(training)(x)


def dropout__every_fourth(x, p, training):
    """two calls give the same"""
    y = x / (1 - p)
    y[:: max(round(1 / p), 1) if p else len(x) + 1] = 0
    return y if training else x


def dropout__never_off(x, p, training):
    """Numbers were dropped although training is False"""
    return x * (torch.rand_like(x) >= p) / (1 - p)
