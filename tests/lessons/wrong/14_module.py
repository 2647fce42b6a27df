"""Wrong answers to exercise 14, each with words of what it must be told."""

import torch

from scratchnet import nn


class Stretch__without_return(nn.Module):
    """a function without `return` gives None"""

    def __init__(self, features):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x):
        x * self.gain + self.shift


class Stretch__other_name(nn.Module):
    """yours is {'bias': (3,), 'gain': (3,)}; it should be {'gain': (3,), 'shift': (3,)}"""

    def __init__(self, features):
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x):
        return x * self.gain + self.bias


def xavier___borrowed(weight):
    """nn.init drew them"""
    return torch.nn.init.xavier_uniform_(weight)


def freeze__misspelt(model, name):
    """a misspelt name on a parameter"""
    for key, parameter in model.named_parameters():
        if key.startswith(name):
            parameter.require_grad = False


def tie__compared(model):
    """Nothing has changed in the model"""
    model.head.weight == model.embed.weight  # noqa: B015


def tie__new_parameter(model):
    """through nn.Parameter(model.embed.weight)"""
    model.head.weight = nn.Parameter(model.embed.weight)
