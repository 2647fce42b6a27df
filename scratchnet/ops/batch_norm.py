"""The description of batch_norm: the normalisation by channel."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Example, Op, constant, normal, rows_cost


class BatchNormOptions(NamedTuple):
    """training: without running statistics: mean and var are those of x, and x reaches y through them as well."""

    training: bool
    eps: float


def _batch_norm_example(images: bool = False, running: bool = False, weight: bool = True, bias: bool = True) -> Example:
    """At least three samples: over one or two, the gradient is a difference that only eps keeps from 0, as in layer_norm."""

    def example(n: int, c: int, dtype: torch.dtype):
        x = normal(3, c, n, 1, dtype=dtype) if images else normal(n + 2, c, dtype=dtype)
        statistics = (constant(c, dtype=dtype), constant(c, dtype=dtype)) if running else (None, None)
        affine = {"weight": normal(c, dtype=dtype)} if weight else {}
        affine |= {"bias": normal(c, dtype=dtype)} if bias else {}
        return (x, *statistics), {**affine, "training": not running, "eps": 0.5}

    return example


def _batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, *options, **named) -> Tensor:
    """torch's own on contiguous arguments: its backward would read past a weight of stride 0."""
    whole = lambda t: t.contiguous() if isinstance(t, Tensor) else t
    if not training:
        running_mean, running_var = whole(running_mean), whole(running_var)
    return F.batch_norm(input, running_mean, running_var, whole(weight), bias, training, *options, **named)


def _batch_norm_variant(input, running_mean, running_var, weight=None, bias=None, training=False, *args, **kwargs) -> str:
    return f"{'rows' if input.dim() == 2 else 'images'}, {'training' if training else 'running statistics'}"


BATCH_NORM = Op(
    name="batch_norm",
    primitive="layer_norm",
    idea="(x - mean) * rstd * weight + bias by channel: a channel stays in cache between its two passes",
    # (N, C, ...), the others (C); without running statistics those of x
    inputs=("x", "weight?", "bias?", "running_mean?", "running_var?"),
    options=BatchNormOptions,
    outputs=("y", "mean", "var"),  # the statistics as used, float32 or wider
    constant=("mean", "var"),
    saved=("x", "weight", "mean", "var"),
    gradients=("x", "weight", "bias"),
    ideas={
        "cpp": (
            "naive loop",
            "two passes over a channel that stays in cache, SIMD, threads",
            "short runs as columns, forward",
            "short runs as columns, backward",
        )
    },
    torch=_batch_norm,
    variant=_batch_norm_variant,
    cost=rows_cost(2, 3, 8),
    examples={
        "images": _batch_norm_example(images=True),
        "rows": _batch_norm_example(),
        "plain": _batch_norm_example(images=True, weight=False, bias=False),
        "running statistics": _batch_norm_example(images=True, running=True),
        "running, plain": _batch_norm_example(running=True, weight=False, bias=False),
    },
    sizes=((12544, 64), (3136, 256)),
)
