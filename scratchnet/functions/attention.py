"""Scaled dot-product attention: each query takes a mean of the values, weighted by how well it matches their keys."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.functions.checks import alike, is_float
from scratchnet.functions.dispatch import Function, Operator, gradients, or_torch, torch_runs
from scratchnet.functions.explain import attention as explain
from scratchnet.ops.attention import AttentionOptions, sides

Window = int | tuple[int | None, int | None]


class Attention(Function):
    """p = softmax(scale q k^T + mask), y = p v;  dp = g v^T, ds = p (dp - g . y): backward makes p again from what y needed."""

    @staticmethod
    def forward(ctx, kernel, q, k, v, mask, sinks, seed, options):
        ctx.kernel, ctx.options = kernel, options
        y, lse = kernel.forward(q, k, v, mask, sinks, seed, options)
        ctx.save_for_backward(q, k, v, mask, sinks, seed, y, lse)
        return y

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


_attention = Operator("attention", Attention, autocast={"cpu": "low", "cuda": "low"})


@or_torch(_attention.op.torch)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    window: Window | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """softmax(query key^T scale + attn_mask) value: (..., L, E), (..., S, E), (..., S, Ev), one dtype -> (..., L, Ev).

    attn_mask, broadcast to (..., L, S): bool, False hides a key, or floats that are added to the scores. is_causal: query i
    sees the keys up to i. scale is 1 / sqrt(E) unless given. enable_gqa: key and value (..., G, S, E) have fewer heads, G
    divides those of query. dropout_p drops probabilities, also in eval mode, as torch's does. A query without keys gives 0.
    window: the number of keys on both sides that a query sees, its own included, or (before, after) without it, None for no
    limit. softcap: scores become softcap tanh(score / softcap). sinks (H,): for each head a score more, of a key without value.
    RuntimeError if shapes or dtypes do not fit, ValueError for another window or softcap.
    torch.nn.functional.scaled_dot_product_attention; https://arxiv.org/abs/1706.03762, https://arxiv.org/abs/2205.14135.
    """
    given = query, key, value, attn_mask, dropout_p, is_causal
    further = {"scale": scale, "enable_gqa": enable_gqa, "window": window, "softcap": softcap, "sinks": sinks}
    fitting = _arranged(query, key, value, attn_mask, dropout_p, **further)
    if fitting is None:
        explain.scaled_dot_product_attention(*given, **further)
        return _attention.op.torch(*given, **further)  # of complex numbers
    if torch_runs(query, _attention.op, given, further):  # only now: torch does not know the further options
        return _attention.op.torch(*given, **further)
    q, k, v, mask = fitting
    seed = torch.randint(2**62, (), device=q.device) if dropout_p > 0 else None
    if scale is None:
        scale = 1 / math.sqrt(max(q.shape[3], 1))
    left, right = sides(window, is_causal)
    y = _attention(q, k, v, mask, sinks, seed, AttentionOptions(left, right, scale, softcap or 0.0, dropout_p)).transpose(1, 2)
    return y if query.dim() == 4 and y.shape[0] == query.shape[0] else _like_query(y, query, key, value, enable_gqa)


attention = scaled_dot_product_attention  # by the operator's name, as tests and benchmarks look for it


def varlen_attn(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> Tensor:
    """Attention inside each of N sequences that lie one behind the other: (T, H, E), (S, G, E), (S, G, Ev) -> (T, H, Ev).

    cu_seq_q, cu_seq_k (N + 1,), int32 or int64: where the sequences of queries, and of keys, begin, and the last end.
    max_q, max_k: no sequence is longer. window_size: how many keys before and after its own place a query sees, -1 for no
    limit, (-1, 0) is causal; the last query of a sequence is at the place of its last key. A query without keys gives 0.
    RuntimeError if shapes or dtypes do not fit, IndexError if the sequences are not those of the tokens, ValueError for another
    window_size. torch.nn.attention.varlen.varlen_attn, which torch has for GPUs only.
    """
    queries, keys = explain.varlen_attn(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, window_size)
    parts = zip(query.split(queries), key.split(keys), value.split(keys), strict=True)
    left, right = (None if side < 0 else side for side in window_size)
    sequences = list(parts) or [(query, key, value)]  # no sequence: all there is, nothing
    return torch.cat([_in_sequence(*sequence, left, right, scale, enable_gqa) for sequence in sequences])


def _in_sequence(
    query: Tensor, key: Tensor, value: Tensor, left: int | None, right: int | None, scale: float | None, enable_gqa: bool
) -> Tensor:
    """The attention of one sequence, whose last query has the place of the last key."""
    place = key.shape[0] - query.shape[0]  # of the first query
    blind = 0 if right is None else min(max(0, -place - right), query.shape[0])  # the first queries see no key
    place += blind
    unseen = 0 if left is None else min(max(0, place - left), key.shape[0])  # no query sees the first keys
    place -= unseen
    before, after = (None if left is None else left - place, None if right is None else right + place)
    is_causal = after == 0
    window = None if before is None and (is_causal or after is None) else (before, after)
    heads = (t.transpose(0, 1) for t in (query[blind:], key[unseen:], value[unseen:]))
    y = scaled_dot_product_attention(*heads, None, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa, window=window)
    return torch.cat([y.new_zeros(blind, *y.shape[::2]), y.transpose(0, 1)]) if blind else y.transpose(0, 1)


def _arranged(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    scale: float | None,
    enable_gqa: bool,
    window: Window | None,
    softcap: float | None,
    sinks: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None] | None:
    """q (B, H, L, E), k (B, G, S, E), v (B, G, S, Ev) and the mask with four axes too; None if the arguments do not fit."""
    if not (
        is_float(query)
        and alike(query, key, value)
        and min(query.dim(), key.dim(), value.dim()) >= 2 + enable_gqa
        and query.shape[-1] == key.shape[-1]
        and key.shape[-2] == value.shape[-2]
        and isinstance(dropout_p, (float, int))
        and 0 <= dropout_p <= 1
        and isinstance(scale, (float, int, torch.SymFloat, type(None)))
        and (window is None or _is_window(window))
        and (softcap is None or isinstance(softcap, (float, int)) and softcap > 0)
    ):
        return None
    q, k, v = query, key, value
    if not q.dim() == k.dim() == v.dim() == 4 or not q.shape[0] == k.shape[0] == v.shape[0] or k.shape[1] != v.shape[1]:
        heads = _broadcast(query, key, value, enable_gqa)
        if heads is None:
            return None
        q, k, v = heads
    if q.shape[1] != k.shape[1] and (not enable_gqa or not k.shape[1] or q.shape[1] % k.shape[1]):
        return None
    if sinks is not None and not (alike(query, sinks) and sinks.shape == q.shape[1:2]):
        return None
    if attn_mask is None:
        return q, k, v, None
    if not isinstance(attn_mask, Tensor) or attn_mask.device != query.device:
        return None
    if attn_mask.dtype not in (torch.bool, torch.float32, query.dtype):
        return None
    mask = attn_mask if attn_mask.dtype is torch.bool else attn_mask.to(q.dtype)
    mask = mask[(None,) * (4 - mask.dim())] if mask.dim() < 4 else mask
    if mask.dim() > 4:
        batch = torch.Size(_lead(query, key, value))
        if mask.dim() != len(batch) + 3 or any(size not in (1, n) for size, n in zip(mask.shape, batch, strict=False)):
            return None
        mask = mask.expand(*batch, -1, -1, -1).flatten(0, -4)
    scores = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    return (q, k, v, mask) if all(size in (1, n) for size, n in zip(mask.shape, scores, strict=True)) else None


def _is_window(window: object) -> bool:
    """Whether this is a number of keys, at least 1, or a pair of numbers that are not negative, each of which may be None."""
    if isinstance(window, int) and not isinstance(window, bool):
        return window >= 1
    pair = isinstance(window, tuple) and len(window) == 2
    return pair and all(side is None or type(side) is int and side >= 0 for side in window)


def _lead(query: Tensor, key: Tensor, value: Tensor) -> list[int]:
    """What the axes before the heads are broadcast to."""
    return list(torch.broadcast_shapes(*(t.shape[:-3] for t in (query, key, value))))


def _broadcast(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> tuple[Tensor, ...] | None:
    """The three with four axes, heads second, and the same batches; None if their shapes do not fit."""
    try:
        batch = _lead(query, key, value)
        heads = [t.shape[-3] if t.dim() > 2 else 1 for t in (query, key, value)]
        if enable_gqa:  # key and value may differ in this too
            if heads[0] % max(heads[1], 1) or heads[0] % max(heads[2], 1):
                return None
            if heads[1] != heads[2]:
                key, value = (t.repeat_interleave(heads[0] // t.shape[-3], -3) for t in (key, value))
                heads = [heads[0]] * 3
        else:
            heads = [torch.broadcast_shapes(*((n,) for n in heads))[0]] * 3
    except (RuntimeError, ZeroDivisionError):
        return None
    wide = [t.expand(*batch, n, *t.shape[-2:]) for t, n in zip((query, key, value), heads, strict=True)]
    return tuple(t.flatten(0, -4) if batch else t.unsqueeze(0) for t in wide)


def _like_query(y: Tensor, query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> Tensor:
    """y (B, H, L, Ev) with the axes that torch's result has."""
    if max(query.dim(), key.dim(), value.dim()) == 2:
        return y.view(y.shape[2:])
    batch = _lead(query, key, value)
    return y.unflatten(0, batch) if batch else y.squeeze(0)
