"""Attention in float64 NumPy: each query takes a mean of the values, weighted by how well it matches their keys.

    x = scale q k^T,  s = cap(x) + mask,  p = softmax(s) over the keys and a sink,  y = (z p) v

cap(x) = c tanh(x / c), or x; z is 0 where dropout takes a probability away, else 1 / (1 - dropout). Backward, g = dL/dy:

    dv = (z p)^T g     dp = z (g v^T)     ds = p (dp - delta),  delta = sum over keys of p dp   (softmax's Jacobian)
    dx = ds cap'(x),   cap'(x) = 1 - tanh^2(x / c)     dq = scale dx k,  dk = scale dx^T q

The mask is added to s, so that its gradient is ds, summed over what it was broadcast to. A sink is a score without a value: its
dp is 0, so d(sink) = -p_sink delta. And delta = sum_j p_j z_j (g . v_j) = g . y: no sum over keys is needed for it.

A query that sees no key has p = 0, as in torch: y and all its gradients are 0.
"""

from __future__ import annotations

import math

import numpy as np

from scratchnet.ops.attention import AttentionOptions
from scratchnet.oracle.dropout import factors


def _spread(t: np.ndarray, heads: int) -> np.ndarray:
    """k or v (B, G, S, E) for each head of q: (B, H, S, E); a group's heads are neighbours."""
    return np.repeat(t, heads // max(t.shape[1], 1), axis=1)


def _gathered(t: np.ndarray, groups: int) -> np.ndarray:
    """The reverse: a gradient summed over the heads of each group."""
    b, h, *shape = t.shape
    return t.reshape(b, groups, h // max(groups, 1), *shape).sum(2)


def _seen(queries: int, keys: int, options: AttentionOptions) -> np.ndarray:
    ahead = np.arange(keys) - np.arange(queries)[:, None]
    return (ahead >= -options.left) & (ahead <= options.right)


def dropout_factors(seed: np.ndarray | None, shape: tuple[int, ...], dropout: float) -> np.ndarray | float:
    """z for scores of a shape (B, H, L, S): a row of the generator for each query."""
    if seed is None or dropout == 0:
        return 1.0
    return factors(seed, math.prod(shape[:3]), shape[3], dropout).reshape(shape)


def _probabilities(q, k, mask, sinks, options: AttentionOptions) -> tuple[np.ndarray, ...]:
    """p (B, H, L, S), that of the sink and lse (B, H, L, 1), cap'(x) (B, H, L, S); k for each head."""
    x = options.scale * (q @ np.swapaxes(k, 2, 3))
    slope = np.ones_like(x)
    if options.softcap > 0:
        t = np.tanh(x / options.softcap)
        x, slope = options.softcap * t, 1 - t**2
    if mask is not None:
        x = np.where(mask, x, -np.inf) if mask.dtype == bool else x + mask
    x = np.where(_seen(*x.shape[2:], options), x, -np.inf)
    sink = np.full((x.shape[1], 1, 1), -np.inf) if sinks is None else sinks[:, None, None]
    m = np.maximum(x.max(3, keepdims=True, initial=-np.inf), sink)
    shift = np.where(m == -np.inf, 0, m)
    e = np.exp(x - shift)
    total = e.sum(3, keepdims=True) + np.exp(sink - shift)
    none = total == 0
    total = np.where(none, 1, total)
    return e / total, np.exp(sink - shift) / total, np.where(none, np.inf, shift + np.log(total)), slope


@np.errstate(all="ignore")
def attention_forward(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None,
    sinks: np.ndarray | None,
    seed: np.ndarray | None,
    options: AttentionOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """y (B, L, H, Ev) and lse (B, H, L), +inf for a query without keys; shapes as in `ops.attention`."""
    p, _, lse, _ = _probabilities(q, _spread(k, q.shape[1]), mask, sinks, options)
    y = p * dropout_factors(seed, p.shape, options.dropout) @ _spread(v, q.shape[1])
    return np.swapaxes(y, 1, 2), lse[..., 0]


@np.errstate(all="ignore")
def attention_backward(
    grad: np.ndarray,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None,
    sinks: np.ndarray | None,
    seed: np.ndarray | None,
    y: np.ndarray,
    lse: np.ndarray,
    options: AttentionOptions,
    need_q: bool,
    need_k: bool,
    need_v: bool,
    need_mask: bool,
    need_sinks: bool,
) -> tuple[np.ndarray | None, ...]:
    """dq, dk, dv, dmask and dsinks, in the shapes of the inputs, of `attention_forward`."""
    heads, groups = q.shape[1], k.shape[1]
    g, k, v = np.swapaxes(grad, 1, 2), _spread(k, heads), _spread(v, heads)
    p, p_sink, _, slope = _probabilities(q, k, mask, sinks, options)
    z = dropout_factors(seed, p.shape, options.dropout)
    dp = z * (g @ np.swapaxes(v, 2, 3))
    delta = (p * dp).sum(3, keepdims=True)
    ds = p * (dp - delta)
    dx = options.scale * ds * slope
    dmask = None
    if need_mask and mask is not None:
        axes = tuple(axis for axis, size in enumerate(mask.shape) if size == 1)
        dmask = ds.sum(axes, keepdims=True)
    return (
        dx @ k if need_q else None,
        _gathered(np.swapaxes(dx, 2, 3) @ q, groups) if need_k else None,
        _gathered(np.swapaxes(z * p, 2, 3) @ g, groups) if need_v else None,
        dmask,
        -(p_sink * delta).sum((0, 2, 3)) if need_sinks else None,
    )
