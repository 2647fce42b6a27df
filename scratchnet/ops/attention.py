"""The description of attention: the user-level function has torch's name, scaled_dot_product_attention."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Example, Op, nbytes, normal

EVERYWHERE = 2**48  # a window's side that ends nowhere


class AttentionOptions(NamedTuple):
    """left, right: query i sees the keys from i - left to i + right; softcap 0: none; dropout: the share that is dropped."""

    left: int
    right: int
    scale: float
    softcap: float
    dropout: float


def sides(window: int | tuple[int | None, int | None] | None, is_causal: bool) -> tuple[int, int]:
    """How many keys before and after its own place a query sees."""
    left, right = window if isinstance(window, tuple) else (None, None) if window is None else (window - 1, window - 1)
    left, right = EVERYWHERE if left is None else left, EVERYWHERE if right is None else right
    return left, 0 if is_causal else right


def visible(queries: int, keys: int, left: int, right: int, device: torch.device | None = None) -> Tensor:
    """Which keys each query sees, (queries, keys) bool."""
    ahead = torch.arange(keys, device=device) - torch.arange(queries, device=device)[:, None]
    return (ahead >= -left) & (ahead <= right)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    window: int | tuple[int | None, int | None] | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """torch's own, and around it what it lacks, in torch's operations."""
    if window is None and softcap is None and sinks is None:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    seen = visible(query.shape[-2], key.shape[-2], *sides(window, is_causal), query.device)
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        seen = seen & attn_mask
    mask = torch.zeros_like(seen, dtype=query.dtype).masked_fill(~seen, -math.inf)
    if attn_mask is not None and attn_mask.dtype is not torch.bool:
        mask = mask + attn_mask
    if softcap is None and sinks is None:
        return F.scaled_dot_product_attention(query, key, value, mask, dropout_p, False, scale=scale, enable_gqa=enable_gqa)
    if enable_gqa:
        key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
    scores = query @ key.mT * (1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale)
    if softcap is not None:
        scores = softcap * (scores / softcap).tanh()
    scores = scores + mask
    if sinks is not None:
        column = sinks[:, None, None].expand(*scores.shape[:-1], 1)
        scores = torch.cat([scores, column], -1)
    weights = scores.softmax(-1)[..., : key.shape[-2]]
    return F.dropout(weights.nan_to_num(0) if sinks is None else weights, dropout_p) @ value


def _example(groups: int = 2, values: float = 1, window=None, mask="", sinks=False, **options) -> Example:
    """rows queries and keys, 2 batches of 2 heads of `columns` numbers each."""

    def example(n: int, d: int, dtype: torch.dtype):
        args = [normal(2, 2, n, d, dtype=dtype)]
        args += [normal(2, groups, n, size, dtype=dtype) for size in (d, max(1, int(values * d)) if d else 0)]
        kwargs = dict(options)
        if window:
            kwargs["window"] = window
        if mask == "bool":
            kwargs["attn_mask"] = torch.rand(2, 1, n, n) < 0.7
        if mask == "float":
            # torch forgets a mask of scores that do not exist
            kwargs["attn_mask"] = normal(2, n, n, dtype=dtype).requires_grad_(n * d > 0)
            kwargs["scale"] = 0.6 / math.sqrt(max(d, 1))
        if sinks:
            kwargs["sinks"] = normal(2, dtype=dtype)
        if groups < 2:
            kwargs["enable_gqa"] = True
        return tuple(args), kwargs

    return example


def _one_head(n: int, d: int, dtype: torch.dtype) -> tuple[tuple, dict]:
    return tuple(normal(n, d, dtype=dtype) for _ in range(3)), {}


def _cost(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *args, **kwargs) -> Cost:
    is_causal = kwargs.get("is_causal", args[1] if len(args) > 1 else False)
    return _products(query, key, value, attn_mask, *sides(kwargs.get("window"), is_causal))


def _products(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, left: int, right: int) -> Cost:
    queries, keys = q.shape[-2], k.shape[-2]
    seen = sum(max(0, min(keys, i + right + 1) - max(0, i - left)) for i in range(queries))
    result = q.numel() // max(q.shape[-1], 1) * v.shape[-1] * q.element_size()
    moved = nbytes(q, k, v) + result
    each = 2 * seen * math.prod(q.shape[:-2])
    forward = each * (q.shape[-1] + v.shape[-1])
    backward = each * (3 * q.shape[-1] + 2 * v.shape[-1])
    return Cost(moved + nbytes(mask), 2 * moved + 2 * nbytes(mask), forward, backward)


def _by_pairs(query: Tensor, key: Tensor, value: Tensor) -> tuple[int, int, int]:
    """Bytes: a key for every query, a value for every query; the sums of both gradients, float64, read and written for it."""
    pairs = math.prod(query.shape[:-1]) * key.shape[-2]
    keys, values = (pairs * t.shape[-1] * t.element_size() for t in (key, value))
    return keys, values, 2 * 8 * pairs * (key.shape[-1] + value.shape[-1])


def _one_by_one(query: Tensor, key: Tensor, value: Tensor, *args, **kwargs) -> Cost:
    """A key and a value are read for every query; backward the key twice, and their sums are read and written."""
    least = _cost(query, key, value, *args, **kwargs)
    keys, values, sums = _by_pairs(query, key, value)
    forward = least.forward_bytes - nbytes(key, value) + keys + values
    return replace(least, forward_bytes=forward, backward_bytes=nbytes(query) * 3 + 2 * keys + values + sums)


def _scores_by_blocks(query: Tensor, key: Tensor, value: Tensor, *args, **kwargs) -> Cost:
    """For scores keys are read for every 96 queries, in both directions."""
    one = _one_by_one(query, key, value, *args, **kwargs)
    less = _by_pairs(query, key, value)[0] - nbytes(key) * math.ceil(query.shape[-2] / 96)
    return replace(one, forward_bytes=one.forward_bytes - less, backward_bytes=one.backward_bytes - less)


def _forward_by_blocks(*args, **kwargs) -> Cost:
    return replace(_scores_by_blocks(*args, **kwargs), forward_bytes=_by_blocks(*args, **kwargs).forward_bytes)


def _sums_one_by_one(query: Tensor, key: Tensor, value: Tensor, *args, **kwargs) -> Cost:
    """Backward a key is read for every query, for its gradient; sums are read and written."""
    blocks = _by_blocks(query, key, value, *args, **kwargs)
    keys, _, sums = _by_pairs(query, key, value)
    return replace(blocks, backward_bytes=blocks.backward_bytes + keys + sums)


def _by_blocks(query: Tensor, key: Tensor, value: Tensor, *args, **kwargs) -> Cost:
    """Keys and values are read for every 96 queries; backward queries, their gradients and sums for every 192 keys."""
    least = _cost(query, key, value, *args, **kwargs)
    forward = least.forward_bytes + nbytes(key, value) * (math.ceil(query.shape[-2] / 96) - 1)
    again = 3 * nbytes(query) + nbytes(query) // query.shape[-1] * value.shape[-1]  # q, dq twice, g
    backward = least.backward_bytes + again * (math.ceil(key.shape[-2] / 192) - 1)
    return replace(least, forward_bytes=forward, backward_bytes=backward)


def _variant(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, enable_gqa=False,
    window=None, softcap=None, sinks=None,
) -> str:  # fmt: skip
    """What sends torch to another path, or to a formula of several operations."""
    if window is not None or softcap is not None or sinks is not None:
        return "beyond torch"
    path = "dropout" if dropout_p > 0 else "mask" if attn_mask is not None else "causal" if is_causal else "plain"
    return f"{path}, grouped" if enable_gqa else path


ATTENTION = Op(
    name="attention",
    primitive="attention",
    idea="softmax(q k^T scale + mask) v with an online softmax: the scores exist a block at a time, in the cache",
    # q (B, H, L, E), k (B, G, S, E), v (B, G, S, Ev), G divides H; mask (B or 1, H or 1, L or 1, S or 1) bool (False: hidden)
    # or of q's dtype; sinks (H): a score more, of a key without a value; seed: one int64, for dropout
    # -> y (B, L, H, Ev): the heads of a position side by side, as the projection after them reads them; lse (B, H, L) float64
    inputs=("q", "k", "v", "mask?", "sinks?", "seed?"),
    options=AttentionOptions,
    outputs=("y",),
    kept=("lse",),
    saved=("q", "k", "v", "mask", "sinks", "seed", "y", "lse"),
    gradients=("q", "k", "v", "mask", "sinks"),
    ideas={
        "cpp": (
            "naive loop",
            "online softmax: no row of scores in memory",
            "scores of a block by register tiles",
            "exponentials a register at a time",
            "values by register tiles",
            "backward: scores and their gradients by blocks",
            "gradients of q, k, v by register tiles",
            "few queries: keys and values read in place",
            "threads, keys packed once for a head",
        ),
        "cuda": (
            "one thread per number of a result, online softmax",
            "a block for each query or key, every score made once",
            "forward in tiles in shared memory",
        ),
        "triton": (
            "naive: one query per program",
            "online: tiles of queries and keys, forward",
            "queries: their gradient in tiles",
            "keys: gradients of keys and values in tiles",
            "mask: its gradient in tiles",
        ),
    },
    torch=_attention,
    variant=_variant,
    cost=_cost,
    passes={
        "cpp:1": _one_by_one,
        "cpp:3": _scores_by_blocks,
        "cpp:5": _forward_by_blocks,
        "cpp:6": _sums_one_by_one,
        "cpp:7": _by_blocks,
    },
    products=_products,
    examples={
        "plain": _example(),
        "causal": _example(is_causal=True),
        "grouped": _example(groups=1, is_causal=True),
        "bool mask": _example(mask="bool", values=0.5),
        "float mask": _example(mask="float"),
        "window": _example(window=(5, 2)),
        "softcap, sinks": _example(groups=1, softcap=2.0, sinks=True, is_causal=True),
        "one head": _one_head,
    },
    sizes=((1024, 64), (256, 64)),
)
