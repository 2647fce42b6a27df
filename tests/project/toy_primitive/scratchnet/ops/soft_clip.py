"""The description of soft_clip."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from scratchnet.ops.op import Op, normal, rows_cost


class SoftClipOptions(NamedTuple):
    """limit: what the result never reaches."""

    limit: float


def _soft_clip(input: Tensor, limit: float = 1.0) -> Tensor:
    return input / (1 + input.abs() / limit)


SOFT_CLIP = Op(
    name="soft_clip",
    primitive="soft_clip",
    idea="x / (1 + |x| / limit) in one pass over memory",
    inputs=("x",),
    options=SoftClipOptions,
    outputs=("y",),
    saved=("x",),
    gradients=("x",),
    ideas={
        "cpp": ("naive loop", "SIMD, threads"),
        "cuda": ("one thread per element", "128-bit loads"),
        "triton": ("naive: one kernel per operation", "fused: one pass over memory"),
    },
    torch=_soft_clip,
    cost=rows_cost(2, 3, 4),
    examples={
        "limit 1": lambda n, d, dtype: ((normal(n, d, dtype=dtype),), {}),
        "limit 3": lambda n, d, dtype: ((normal(n, d, dtype=dtype),), {"limit": 3.0}),
    },
    sizes=((256, 256),),
)
