"""Right answers to exercise 28, each in a style of its own."""

import math

import torch
import torch.nn.functional as F


def split_heads__sizes(x, heads):
    """view with names for the sizes, permute."""
    B, T, C = x.size()
    return x.view(B, T, heads, C // heads).permute(0, 2, 1, 3)


def split_heads__chunks(x, heads):
    """Cut along the last axis, stacked along a new one."""
    return torch.stack(x.chunk(heads, dim=-1), dim=1)


def split_heads__unflatten(x, heads):
    """unflatten, and a copy at the end."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2).contiguous()


def attention__large_number(q, k, v):
    """-1e9 in place of minus infinity, where on a triangle."""
    T, d = q.size(-2), q.size(-1)
    scores = torch.matmul(q, k.transpose(-2, -1)) / d**0.5
    allowed = torch.tril(torch.ones(T, T)) == 1
    return F.softmax(torch.where(allowed, scores, torch.tensor(-1e9)), dim=-1) @ v


def attention__added_mask(q, k, v):
    """A matrix of 0 and minus infinity is added."""
    T = q.shape[-2]
    mask = torch.full((T, T), -math.inf).triu(1)
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5 + mask
    return torch.einsum("...ts,...sd->...td", torch.softmax(scores, -1), v)


def attention__exp_by_hand(q, k, v):
    """exp, the triangle times it, and the sum by hand."""
    scores = q @ k.mT / math.sqrt(k.shape[-1])
    weights = (scores - scores.amax(-1, keepdim=True)).exp().tril()
    return weights @ v / weights.sum(-1, keepdim=True)


def attention__place_by_place(q, k, v):
    """Each place asks what is there so far."""
    places = []
    for t in range(q.shape[-2]):
        scores = (k[..., : t + 1, :] * q[..., t : t + 1, :]).sum(-1) / math.sqrt(q.shape[-1])
        places.append((scores.softmax(-1)[..., None] * v[..., : t + 1, :]).sum(-2))
    return torch.stack(places, dim=-2)


def sees_the_future__where(model, tokens):
    """The last tokens turned round by where; allclose."""
    other = tokens.clone()
    other[:, -1] = torch.where(other[:, -1] == 0, 1, 0)
    with torch.no_grad():
        before, after = model(tokens), model(other)
    return not torch.allclose(before[:, :-1], after[:, :-1])


def sees_the_future__joined(model, tokens):
    """A new tensor; any difference of more than nothing."""
    other = torch.cat([tokens[:, :-1], 1 - tokens[:, -1:]], dim=1)
    with torch.inference_mode():
        moved = (model(tokens) - model(other)).abs()[:, :-1]
    return bool(moved.max() > 0)


def sees_the_future__place_by_place(model, tokens):
    """xor, and a loop over the places."""
    other = tokens.clone()
    other[:, -1] ^= 1
    a, b = model(tokens).detach(), model(other).detach()
    for t in range(tokens.shape[1] - 1):
        if (a[:, t] != b[:, t]).any():
            return True
    return False


def bigram_loss__loops(seen, new, size):
    """Lists and math.log."""
    counts = [[1] * size for _ in range(size)]
    for a, b in seen.tolist():
        counts[a][b] += 1
    losses = [-math.log(counts[a][b] / sum(counts[a])) for a, b in new.tolist()]
    return sum(losses) / len(losses)


def bigram_loss__bincount(seen, new, size):
    """bincount, and cross_entropy of log counts."""
    counts = torch.bincount(seen[:, 0] * size + seen[:, 1], minlength=size * size).reshape(size, size) + 1
    return F.cross_entropy(counts.float().log()[new[:, 0]], new[:, 1]).item()


def bigram_loss__one_hot(seen, new, size):
    """Counts as a product of one-hot rows."""
    first, second = (F.one_hot(seen[:, side], size).double() for side in (0, 1))
    log_p = torch.log_softmax(torch.log(first.T @ second + 1), dim=1)
    return float(-log_p[new[:, 0], new[:, 1]].mean())
