"""The description of gelu and its fused forms."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Op, nbytes, normal, rows_cost


class GeluOptions(NamedTuple):
    """tanh: the tanh form."""

    tanh: bool


class GegluOptions(NamedTuple):
    """dim: the axis that is halved."""

    dim: int
    tanh: bool


IDEAS = {
    "cpp": ("naive loop", "polynomials for erf and exp", "SIMD", "threads"),
    "cuda": ("one thread per element", "128-bit loads, fused bias and its gradient"),
    "triton": ("fused: one pass over memory",),
}
_APPROXIMATE = {"none": {}, "tanh": {"approximate": "tanh"}}
_variant = lambda input, *args, approximate="none": args[-1] if args and isinstance(args[-1], str) else approximate

GELU = Op(
    name="gelu",
    primitive="gelu",
    idea="x * Phi(x), one read and one write; backward recomputes Phi from x instead of saving it",
    inputs=("x",),
    options=GeluOptions,
    outputs=("y",),
    saved=("x",),
    gradients=("x",),
    ideas=IDEAS | {"triton": ("naive: one kernel per operation", *IDEAS["triton"])},
    torch=F.gelu,
    variant=_variant,
    cost=rows_cost(2, 3, 15),
    examples={k: lambda n, d, dtype, kw=kw: ((normal(n, d, dtype=dtype),), kw) for k, kw in _APPROXIMATE.items()},
    sizes=((4096, 4096), (1024, 3072)),
)

BIAS_GELU = Op(
    name="bias_gelu",
    primitive="gelu",
    idea="gelu(x + bias) without writing x + bias",
    inputs=("x", "bias"),  # (..., D), (D)
    options=GeluOptions,
    outputs=("y",),
    saved=("x", "bias"),
    gradients=("x", "bias"),
    ideas=IDEAS,
    torch=lambda input, bias, approximate="none": F.gelu(input + bias, approximate=approximate),
    variant=_variant,
    cost=rows_cost(2, 3, 16),
    examples={
        k: lambda n, d, dtype, kw=kw: ((normal(n, d, dtype=dtype), normal(d, dtype=dtype)), kw)
        for k, kw in _APPROXIMATE.items()
    },
    sizes=((4096, 4096),),
)


def _geglu(input: Tensor, dim: int = -1, approximate: str = "none") -> Tensor:
    a, gate = input.chunk(2, dim)
    return a * F.gelu(gate, approximate=approximate)


GEGLU = Op(
    name="geglu",
    primitive="gelu",
    idea="first half * gelu(second half), as torch's glu with GELU for the sigmoid",
    inputs=("x",),
    options=GegluOptions,
    outputs=("y",),
    saved=("x",),
    gradients=("x",),
    ideas=IDEAS,
    torch=_geglu,
    variant=_variant,
    cost=lambda x, *args, **kwargs: Cost(3 * nbytes(x) // 2, 5 * nbytes(x) // 2, 8 * x.numel(), 9 * x.numel()),
    examples={
        **{k: lambda n, d, dtype, kw=kw: ((normal(n, 2 * d, dtype=dtype),), kw) for k, kw in _APPROXIMATE.items()},
        "dim 0": lambda n, d, dtype: ((normal(2 * n, d, dtype=dtype), 0), {}),
    },
    sizes=((4096, 4096),),
)
