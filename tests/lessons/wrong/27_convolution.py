"""Wrong answers to exercise 27, each with words of what it must be told."""

import torch

import scratchnet.nn.functional as F


def conv2d_forward__layer(x, W, b):
    """torch's convolution computed it"""
    layer = torch.nn.Conv2d(W.shape[1], W.shape[0], W.shape[2])
    layer.weight.data, layer.bias.data = W, b
    return layer(x).detach()


def conv2d_forward__ours(x, W, b):
    """conv2d"""
    return F.conv2d(x, W, b)
