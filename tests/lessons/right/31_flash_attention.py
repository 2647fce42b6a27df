"""Right answers to exercise 31, in other styles than ours."""

import math

import torch


def push__with_a_branch(m, s, x):
    """an if for the larger number"""
    if x > m:
        return x, s * math.exp(m - x) + 1
    return m, s + math.exp(x - m)


def push__as_a_join(m, s, x):
    """torch's functions, a pair of one number"""
    new = torch.tensor([m, x], dtype=torch.float64).amax()
    parts = torch.tensor([s, 1.0], dtype=torch.float64) * (torch.tensor([m, x], dtype=torch.float64) - new).exp()
    return float(new), float(parts.sum())


def push__through_the_logarithm(m, s, x):
    """the logsumexp so far, and back"""
    new = max(x, m)
    so_far = m + math.log(s) if s else -math.inf
    return new, math.exp(so_far - new) + math.exp(x - new)


def join__where(m, s, acc, m2, s2, acc2):
    """the differences first"""
    top = torch.where(m > m2, m, m2)
    f, g = torch.exp(m - top), torch.exp(m2 - top)
    return top, f * s + g * s2, f * acc + g * acc2


def join__in_place(m, s, acc, m2, s2, acc2):
    """in copies, in place"""
    top = m.clone().clamp_(min=m2)
    s, acc = s.clone(), acc.clone()
    for part, other in ((s, s2), (acc, acc2)):
        part *= (m - top).exp()
        part += other * (m2 - top).exp()
    return top, s, acc


def join__stacked(m, s, acc, m2, s2, acc2):
    """both parts stacked"""
    ms = torch.stack([m, m2])
    top = ms.amax(0)
    factors = (ms - top).exp()
    return top, (factors * torch.stack([s, s2])).sum(0), (factors * torch.stack([acc, acc2])).sum(0)


def flash__split(q, k, v, block):
    """chunks of keys and values"""
    m, s, acc = torch.tensor(-math.inf), torch.tensor(0.0), torch.zeros(len(q), v.shape[1])
    for keys, values in zip(k.split(block), v.split(block), strict=True):
        scores = q @ keys.mT / math.sqrt(q.shape[-1])
        new = torch.maximum(m, scores.max(dim=1, keepdim=True).values)
        powers = torch.exp(scores - new)
        s = s * torch.exp(m - new) + powers.sum(dim=1, keepdim=True)
        acc = acc * torch.exp(m - new) + powers @ values
        m = new
    return acc / s


def flash__with_ones(q, k, v, block):
    """the sum as one more column of values"""
    wide = torch.cat([v, torch.ones(len(v), 1)], 1)
    m, acc = torch.full((len(q), 1), -math.inf), torch.zeros(len(q), wide.shape[1])
    for first in range(0, len(k), block):
        scores = (q / q.shape[1] ** 0.5) @ k[first : first + block].T
        new = torch.maximum(m, scores.amax(1, keepdim=True))
        acc = acc * (m - new).exp() + (scores - new).exp() @ wide[first : first + block]
        m = new
    return acc[:, :-1] / acc[:, -1:]


def flash__by_logsumexp(q, k, v, block):
    """results of blocks, joined by their logsumexp"""
    out, lse = torch.zeros(len(q), v.shape[1]), torch.full((len(q), 1), -math.inf)
    for first in range(0, len(k), block):
        scores = q @ k[first : first + block].T * q.shape[1] ** -0.5
        own = scores.logsumexp(1, keepdim=True)
        both = torch.logaddexp(lse, own)
        out = out * (lse - both).exp() + (scores - both).exp() @ v[first : first + block]
        lse = both
    return out


def score_gradient__in_steps(scores, lse, v, out, dout):
    """one step a line"""
    p = torch.exp(scores - lse)
    dp = dout @ v.mT
    D = torch.einsum("td,td->t", dout, out)
    return p * (dp - D[:, None])


def score_gradient__values_less_the_result(scores, lse, v, out, dout):
    """dout with each value's distance from the result"""
    distance = v[None, :, :] - out[:, None, :]
    return (scores - lse).exp() * (distance * dout[:, None, :]).sum(-1)


def score_gradient__two_products(scores, lse, v, out, dout):
    """p dp less p times the sum"""
    p = (scores - lse).exp()
    return p * (dout @ v.T) - p * (dout * out).sum(-1, keepdim=True)
