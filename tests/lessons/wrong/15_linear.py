"""Wrong answers to exercise 15, each with words of what it must be told."""

import torch.nn.functional as F


def questions__two_weights():
    """yours is [0.5, 0.5]; that is not it: multiply the row with the features"""
    return {"the third feature": [0, 0, 1], "the mean of the first and the second": [0.5, 0.5]}


def linear__borrowed(x, weight, bias):
    """F.linear did it all"""
    return F.linear(x, weight, bias)


def linear__truth_of_a_tensor(x, weight, bias):
    """Ask `if bias is not None`"""
    return x @ weight.T + (bias or 0)


def linear_backward__two_of_three(g, x, weight):
    """linear_backward returns 2 values; it should return 3"""
    return g @ weight, g.T @ x


def linear_backward__one_sum(g, x, weight):
    """yours has the shape (), 33; it should have (2,), [3, 30]"""
    return g @ weight, g.T @ x, g.sum()


def class_bias__a_list(labels, classes):
    """class_bias returns a list; it should return a tensor"""
    return [(labels == c).float().mean().log() for c in range(classes)]


def backward_and_update__bias_renamed(g, x, weight, bias, lr):
    """The bias did not move"""
    dx = g @ weight
    weight -= lr * g.T @ x
    bias = bias - lr * g.sum(0)
    return dx
