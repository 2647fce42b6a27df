"""Wrong answers to exercise 21, each with words of what it must be told."""

import torch

import scratchnet
from scratchnet import nn


def gelu__layer(x):
    """gelu"""
    return torch.nn.GELU()(x)


def gelu__ours(x):
    """gelu"""
    return scratchnet.gelu(x)


def gelu_slope__backward(x):
    """autograd found them"""
    x = x.detach().requires_grad_()
    nn.GELU()(x).sum().backward()
    return x.grad
