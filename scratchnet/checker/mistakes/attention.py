"""What goes wrong in attention."""

from __future__ import annotations

import math
from typing import Callable

import torch
from torch import Tensor

from scratchnet.measure.verify import Call


def _scaled(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT / math.sqrt(max(query.shape[-1], 1))


def _gradients(call: Call, jacobian: Callable[[Tensor, Tensor], Tensor], scale: bool = True) -> tuple[Tensor, ...]:
    """The three gradients with another derivative of the softmax, from p and dp; without `scale`, that is forgotten in them."""
    query, key, value = (t.detach() for t in call.args)
    grad = call.upstream[0]
    p = _scaled(query, key).softmax(-1)
    ds = jacobian(p, grad @ value.mT) / (math.sqrt(max(query.shape[-1], 1)) if scale else 1)
    return ds @ key, ds.mT @ query, p.mT @ grad


def _softmax(p: Tensor, dp: Tensor) -> Tensor:
    return p * (dp - (p * dp).sum(-1, keepdim=True))


FORWARD: dict[str, Callable] = {
    "the scores are not divided by the root of the head size: sums of d products have variance d": lambda query, key, value: (
        (query @ key.mT).softmax(-1) @ value
    ),
    "the scores are divided by the head size, not by its root": lambda query, key, value: (
        (query @ key.mT / max(query.shape[-1], 1)).softmax(-1) @ value
    ),
    "the softmax runs over the queries: the weights of a query's keys add up to 1": lambda query, key, value: (
        _scaled(query, key).softmax(-2) @ value
    ),
    "the scores are not turned into weights: the softmax is missing": lambda query, key, value: _scaled(query, key) @ value,
    "each query sees only keys up to its own place: a causal mask that was not asked for": lambda query, key, value: (
        _scaled(query, key)
        .masked_fill(torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).triu(1), -math.inf)
        .softmax(-1)
        @ value
    ),
    "the exponentials are not divided by their sum": lambda query, key, value: (
        (s := _scaled(query, key), (s - s.amax(-1, keepdim=True)).exp() @ value)[1] if key.shape[-2] else query @ key.mT @ value
    ),
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {
    "delta is missing: the gradient of a softmax is p (dp - sum(p dp)), not p dp": lambda call: _gradients(
        call, lambda p, dp: p * dp
    ),
    "delta is a sum of dp, not of p dp": lambda call: _gradients(call, lambda p, dp: p * (dp - dp.sum(-1, keepdim=True))),
    "the scale is missing: the scores' gradient is divided by the root of the head size too": lambda call: _gradients(
        call, _softmax, scale=False
    ),
}
VALUES: dict[str, str] = {
    "numbers of +-1e4": "exponentials overflow: subtract the largest score of a query from its scores first",
    "numbers around 1e4": "exponentials overflow: subtract the largest score of a query from its scores first",
}
