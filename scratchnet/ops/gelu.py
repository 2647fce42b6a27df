"""The description of gelu and its fused forms."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F

from scratchnet.ops.op import Op, normal, rows_cost


class GeluOptions(NamedTuple):
    """tanh: the tanh form."""

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
