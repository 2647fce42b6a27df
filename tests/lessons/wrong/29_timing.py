"""Wrong answers to exercise 29, each with words of what it must be told."""

import torch

import scratchnet.nn.functional as F


def seconds__a_sum(call, wait, clock, warm_up, runs):
    """calls of 9 seconds and 1 to ask, one of them disturbed: yours is"""
    for _ in range(warm_up):
        call()
    wait()
    total = 0.0
    for _ in range(runs):
        start = clock()
        call()
        wait()
        total += clock() - start
    return total


def least_seconds__without_a_name(flops, moved, roof):
    """least_seconds returns a number; it should return a tuple"""
    return max(flops / roof.arithmetic, moved / roof.bandwidth)


def gradient_in_pieces__mean_of_the_means(model, x, y, size):
    """so the small last one counts as much as the others"""
    model.zero_grad()
    torch.stack([F.cross_entropy(model(a), b) for a, b in zip(x.split(size), y.split(size), strict=True)]).mean().backward()
