"""Wrong answers to exercise 30, each with words of what it must be told."""

import torch

from scratchnet import nn


def swish_backward__s_for_its_slope(g, x):
    """You took the slope of s for s itself"""
    s = torch.sigmoid(x)
    return g * s * (1 + x)


def swish_backward__exp(g, x):
    """At 100 it is NaN"""
    s = torch.exp(x) / (1 + torch.exp(x))
    return g * (s + x * s * (1 - s))


class Swish__exp(nn.Module):
    """At 100 it is NaN"""

    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        e = torch.exp(self.beta * x)
        return x * e / (1 + e)


def first_sick_layer__nan_everywhere(model, x):
    """yours is '3'; it should be '1.1'"""
    for name, layer in model.named_modules():
        if not [*layer.children()]:
            x = layer(x)
            if x.isnan().all():
                return name
    return None
