"""Wrong answers to exercise 28, each with words of what it must be told."""

import math

import torch

import scratchnet.nn.functional as F


def attention__ours(q, k, v):
    """torch's function computed it"""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attention__triangle(q, k, v):
    """0 is a score like any other"""
    T = q.shape[-2]
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return torch.softmax(scores.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), 0.0), dim=-1) @ v


def sees_the_future__zero(model, tokens):
    """The last token did not change where it was already 0"""
    other = torch.cat([tokens[:, :-1], torch.zeros_like(tokens[:, -1:])], dim=1)
    return not torch.equal(model(tokens)[:, :-1], model(other)[:, :-1])


def sees_the_future__drawn(model, tokens):
    """in a batch of one sequence, eight times: yours is"""
    other = tokens.clone()
    other[:, -1] = torch.randint(2, (len(tokens),))
    return not torch.equal(model(tokens)[:, :-1], model(other)[:, :-1])
