"""What goes wrong in a rotary embedding."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

from scratchnet.measure.verify import Call


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, pairs: str = "halves", sign: float = 1.0) -> Tensor:
    """x cos + R(x) sin in the first columns; `sign` -1 turns the other way. pairs: "halves" or "neighbours"."""
    r = cos.shape[-1]
    head, rest = x[..., :r], x[..., r:]
    if pairs == "neighbours":
        turned = torch.stack((-head[..., 1::2], head[..., ::2]), -1).flatten(-2)
    else:
        turned = torch.cat((-head[..., r // 2 :], head[..., : r // 2]), -1)
    return torch.cat((head * cos + sign * turned * sin, rest), -1)


def _both(**how) -> Callable:
    return lambda query, key, cos, sin: tuple(_rotated(x, cos, sin, **how) for x in (query, key))


def _without_minus(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """rotate_half without its minus."""
    half = cos.shape[-1] // 2
    sin = torch.cat((-sin[..., :half], sin[..., half:]), -1)
    return _rotated(query, cos, sin), _rotated(key, cos, sin)


def _as_forward(call: Call) -> tuple[Tensor, ...]:
    cos, sin = call.args[2:4]
    return tuple(_rotated(g, cos, sin) for g in call.upstream)


FORWARD: dict[str, Callable] = {
    "its pairs are neighbours (2j, 2j + 1); asked for are the halves (j, j + R / 2)": _both(pairs="neighbours"),
    "it turns the other way, by -angle: the first of a pair is x_a cos - x_b sin": _both(sign=-1.0),
    "the minus is missing: rotate_half is (-x_b, x_a)": _without_minus,
    "only the query is turned, the key is returned as it came": lambda query, key, cos, sin: (
        _rotated(query, cos, sin),
        key * 1,
    ),
    "the columns behind R are lost: they are copied": lambda query, key, cos, sin: tuple(
        torch.cat((_rotated(x, cos, sin)[..., : cos.shape[-1]], torch.zeros_like(x[..., cos.shape[-1] :])), -1)
        for x in (query, key)
    ),
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {
    "it turns the gradient by the angle as forward does: the transpose turns back, by -angle": _as_forward,
}
VALUES: dict[str, str] = {}
