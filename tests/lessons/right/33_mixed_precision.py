"""Right answers to exercise 33, in other styles than ours."""

import math

import torch


def vanishes__difference(weight, update):
    """what was added, after rounding, is 0"""
    after = (weight.float() + update).to(weight.dtype)
    return (after - weight) == 0


def vanishes__double(weight, update):
    """through float64"""
    return (weight.double() + update.double()).to(weight.dtype).eq(weight)


def vanishes__one_by_one(weight, update):
    """a loop"""
    return torch.stack([(w.float() + u).to(w.dtype) == w for w, u in zip(weight, update, strict=True)])


def mean__dtype_of_the_sum(x):
    """sum(dtype=...)"""
    return (x.sum(dtype=torch.float32) / x.numel()).to(x.dtype)


def mean__as_a_product(x):
    """a product with 1/N in float32"""
    wide = x.float()
    return (wide @ torch.full_like(wide, 1 / len(wide))).to(x.dtype)


def mean__divided_first(x):
    """divided first, in float32"""
    return (x.float() / len(x)).sum().to(x.dtype)


def scaled_step__flattened(grads, scale):
    """all gradients in one vector"""
    if not torch.cat([g.flatten() for g in grads]).isfinite().all():
        return None, scale * 0.5
    return [g.to(torch.float32).div(scale) for g in grads], scale


def scaled_step__inverse(grads, scale):
    """times the inverse, then looked at"""
    wide = [g.float() * (1 / scale) for g in grads]
    bad = any(not g.isfinite().all() for g in wide)
    return (None, scale / 2) if bad else (wide, scale)


def scaled_step__by_norm(grads, scale):
    """a sum is finite only if all its terms are"""
    total = sum(g.double().abs().sum().item() for g in grads)
    if math.isfinite(total):
        return [g.float() / scale for g in grads], scale
    return None, scale / 2


def speedup__times(share, factor):
    """old time by new time"""
    rest, part = 1 - share, share
    return (rest + part) / (rest + part / factor)


def speedup__saved(share, factor):
    """what is saved"""
    return 1 / (1 - share * (1 - 1 / factor))


def speedup__hundred(share, factor):
    """of 100 seconds"""
    seconds = 100 * (1 - share) + 100 * share / factor
    return 100 / seconds
