"""Wrong answers to exercise 31, each with words of what it must be told."""

import math

import torch
import torch.nn.functional as F


def push__counted(m, s, x):
    """after 1, 3: yours is [3, 2]"""
    return max(m, x), s + 1


def join__of_s_alone(m, s, acc, m2, s2, acc2):
    """acc has the same exponentials as s"""
    top = m.maximum(m2)
    return top, s * torch.exp(m - top) + s2 * torch.exp(m2 - top), acc + acc2


def flash__in_one_piece(q, k, v, block):
    """all scores exist at once"""
    return F.softmax(torch.einsum("td,sd->ts", q, k) / math.sqrt(q.shape[-1]), dim=-1) @ v


def flash__without_a_product(q, k, v, block):
    """all scores exist at once"""
    scores = (q[:, None] * k).sum(-1) / math.sqrt(q.shape[-1])
    powers = torch.exp(scores - scores.amax(1, keepdim=True))
    return powers @ v / powers.sum(1, keepdim=True)


def score_gradient__of_the_weights(scores, lse, v, out, dout):
    """all keys:"""
    return dout @ v.T
