"""Wrong answers to exercise 19, each with words of what it must be told."""

import torch
import torch.nn.functional as F

import scratchnet


def forward__logsumexp(x, y):
    """logsumexp"""
    lse = x.logsumexp(1)
    return lse - x[torch.arange(len(x)), y], lse


def forward__ours(x, y):
    """cross_entropy"""
    m = x.amax(1, keepdim=True)
    lse = (m + (x - m).exp().sum(1, keepdim=True).log())[:, 0]
    return scratchnet.cross_entropy(x, y, reduction="none"), lse


def forward__pair_of_max(x, y):
    """take .values or .indices of it"""
    return x.max(1) - x, None


def backward__all_labels(g, x, y, lse):
    """at every label of the batch"""
    p = torch.exp(x - lse.unsqueeze(-1))
    p[:, y] = p[:, y] - 1
    return p * g.unsqueeze(-1)


def backward__softmax(g, x, y, lse):
    """lse was not used"""
    return g[:, None] * (x.softmax(1) - F.one_hot(y, x.shape[1]))


def train_step__parameters(W, b, x, y, lr):
    """autograd found the gradient"""
    weight, bias = torch.nn.Parameter(W.clone()), torch.nn.Parameter(b.clone())
    F.cross_entropy(x @ weight.T + bias, y).backward()
    with torch.no_grad():
        W -= lr * weight.grad
        b -= lr * bias.grad
