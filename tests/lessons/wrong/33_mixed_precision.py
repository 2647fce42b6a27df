"""Wrong answers to exercise 33, each with words of what it must be told."""

import torch


def vanishes__by_a_fixed_step(weight, update):
    """half a step is enough to move"""
    return update.abs() < torch.finfo(weight.dtype).eps


def mean__in_doubles(x):
    """its dtype for torch.bfloat16: yours is torch.float64; it should be torch.bfloat16"""
    return x.double().mean()


def scaled_step__one_finite_number_is_enough(grads, scale):
    """an infinite one: yours is a list"""
    if any(g.isfinite().any() for g in grads):
        return [g.float() / scale for g in grads], scale
    return None, scale / 2


def speedup__of_the_part_alone(share, factor):
    """Factors cannot be averaged"""
    return 1 + share * (factor - 1)
