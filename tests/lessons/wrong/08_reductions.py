"""Wrong answers to exercise 08, each with words of what it must be told."""

import torch


def channel_means__a_list(images):
    """yours is a list, [389.5, 701.5, 1142]; it should be a tensor"""
    return images.mean((0, 2, 3)).tolist()


def sample_variance__borrowed(x):
    """torch's own var or std"""
    return torch.var(x)


def sample_variance__std_squared(x):
    """calls torch's own std"""
    return torch.std(x) ** 2


def normalised_rows__module(x, eps):
    """the finished layer norm"""
    return torch.nn.LayerNorm(x.shape[1], eps=eps, elementwise_affine=False)(x)


def standardised__only_one(train, test):
    """standardised returns a tensor; it should return a tuple"""
    return (train - train.mean(0)) / train.std(0)
