"""Wrong answers to exercise 23, each with words of what it must be told."""

import torch

import scratchnet


def variance__mean_of_all_and_sum(x):
    """yours is [21, 13]; it should be [5, 3]"""
    return ((x - x.mean()) ** 2).sum(1)


def layer_norm__torch(x, weight, bias, eps):
    """layer_norm"""
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)


def layer_norm__ours(x, weight, bias, eps):
    """layer_norm"""
    return scratchnet.layer_norm(x, x.shape[-1:], weight, bias, eps)
