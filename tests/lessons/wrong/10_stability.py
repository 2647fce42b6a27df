"""Wrong answers to exercise 10, each with words of what it must be told."""

import torch
import torch.nn.functional as F

import scratchnet


def softmax__ours(x, temperature):
    """the finished softmax"""
    return scratchnet.softmax(x / temperature, dim=-1)


def softmax__through_logsumexp(x, temperature):
    """calls torch's own logsumexp"""
    return (x / temperature - torch.logsumexp(x / temperature, -1, keepdim=True)).exp()


def softmax__pair_of_max(x, temperature):
    """take .values or .indices of it"""
    x = x / temperature - (x / temperature).max(-1)
    return x.exp() / x.exp().sum(-1, keepdim=True)


def softmax__second_axis(x, temperature):
    """raises IndexError: Dimension out of range"""
    e = (x / temperature - (x / temperature).amax(1, keepdim=True)).exp()
    return e / e.sum(1, keepdim=True)


def logsumexp__one_maximum(x):
    """One maximum for all rows"""
    m = x.max().nan_to_num(neginf=0.0)
    return m + (x - m).exp().sum(1).log()


def surprise__negative_log_likelihood(logits, y):
    """the finished cross_entropy, or its two halves"""
    return F.nll_loss(F.log_softmax(logits, 1), y, reduction="none")


def softplus__log_sigmoid(x):
    """calls torch's own log_sigmoid"""
    return -F.logsigmoid(-x)


def softplus__pythons_max(x):
    """want one yes or no"""
    return max(x, 0) + torch.log1p(torch.exp(-abs(x)))
