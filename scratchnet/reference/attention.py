"""Attention in plain PyTorch operations, with all scores in memory; derived in `scratchnet.oracle.attention`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.ops.attention import AttentionOptions, visible
from scratchnet.ops.dropout import factors
from scratchnet.reference import widen


def dropout_factors(seed: Tensor | None, like: Tensor, dropout: float) -> Tensor | float:
    """z for scores (B, H, L, S): 0 or 1 / (1 - dropout), a row of the generator for each query."""
    if seed is None or dropout == 0:
        return 1.0
    return factors(seed, math.prod(like.shape[:3]), like.shape[3], dropout, like.dtype).view(like.shape)


def _spread(t: Tensor, heads: int) -> Tensor:
    """k or v (B, G, S, E) for each head of q: (B, H, S, E)."""
    groups = t.shape[1]
    if groups == heads:
        return t
    return t.unsqueeze(2).expand(-1, -1, heads // max(groups, 1), -1, -1).flatten(1, 2)


def _gathered(t: Tensor, groups: int) -> Tensor:
    """The reverse: a gradient summed over the heads of each group."""
    return t if groups == t.shape[1] else t.unflatten(1, (groups, -1)).sum(2)


def _probabilities(q: Tensor, k: Tensor, mask: Tensor | None, sinks: Tensor | None, options: AttentionOptions):
    """p (B, H, L, S), that of the sink and lse (B, H, L, 1), cap'(x) or 1; k for each head."""
    x = q.double() @ k.double().mT * options.scale
    slope: Tensor | float = 1.0
    if options.softcap > 0:
        t = (x / options.softcap).tanh()
        x, slope = options.softcap * t, 1 - t * t
    if mask is not None:
        x = x.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else x + widen(mask)
    x = x.masked_fill(~visible(x.shape[2], x.shape[3], options.left, options.right, x.device), -math.inf)
    sink = x.new_full((x.shape[1], 1, 1), -math.inf) if sinks is None else widen(sinks)[:, None, None]
    s = torch.cat([x, sink.expand(*x.shape[:3], 1)], 3)
    m = s.detach().amax(3, keepdim=True)
    e = (s - m.masked_fill(m == -math.inf, 0)).exp()
    total = e.sum(3, keepdim=True)
    none = total == 0
    p = e / total.masked_fill(none, 1)
    lse = (m + total.masked_fill(none, 1).log()).masked_fill(none, math.inf)
    slope = slope if isinstance(slope, float) else slope.to(q.dtype)
    return p[..., :-1].to(q.dtype), p[..., -1:].to(q.dtype), lse, slope


def attention_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sinks: Tensor | None,
    seed: Tensor | None,
    options: AttentionOptions,
) -> tuple[Tensor, Tensor]:
    """y (B, L, H, Ev) and lse (B, H, L), +inf for a query without keys; shapes as in `ops.attention`."""
    heads, dtype = q.shape[1], q.dtype
    q, k, v = (widen(t) for t in (q, k, v))
    p, _, lse, _ = _probabilities(q, _spread(k, heads), mask, sinks, options)
    y = (p * dropout_factors(seed, p, options.dropout)) @ _spread(v, heads)
    return y.transpose(1, 2).to(dtype), lse.squeeze(3).double()


def attention_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sinks: Tensor | None,
    seed: Tensor | None,
    y: Tensor,
    lse: Tensor,
    options: AttentionOptions,
    need_q: bool,
    need_k: bool,
    need_v: bool,
    need_mask: bool,
    need_sinks: bool,
) -> tuple[Tensor | None, ...]:
    """dq, dk, dv, dmask and dsinks, in the shapes of the inputs; y and lse are computed again, to be differentiated."""
    heads, groups, dtype = q.shape[1], k.shape[1], q.dtype
    g, q, k, v = (widen(t) for t in (grad.transpose(1, 2), q, k, v))
    k, v = _spread(k, heads), _spread(v, heads)
    p, p_sink, _, slope = _probabilities(q, k, mask, sinks, options)
    z = dropout_factors(seed, p, options.dropout)
    dp = g @ v.mT * z
    delta = (p * dp).sum(3, keepdim=True)
    ds = p * (dp - delta)
    dx = ds * slope * options.scale
    dq = dk = dv = dmask = dsinks = None
    if need_q:
        dq = (dx @ k).to(dtype)
    if need_k:
        dk = _gathered(dx.mT @ q, groups).to(dtype)
    if need_v:
        dv = _gathered((p * z).mT @ g, groups).to(dtype)
    if need_mask and mask is not None:
        axes = [axis for axis, size in enumerate(mask.shape) if size == 1]
        dmask = (ds.sum(axes, keepdim=True) if axes else ds).to(mask.dtype)
    if need_sinks:
        dsinks = -(p_sink * delta).sum((0, 2, 3)).to(dtype)
    return dq, dk, dv, dmask, dsinks
