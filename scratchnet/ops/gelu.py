"""The registry of gelu and its fused forms."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Op, nbytes, normal, rows_cost

_APPROXIMATE = {"none": {}, "tanh": {"approximate": "tanh"}}

GELU = Op(
    name="gelu",
    primitive="gelu",
    idea="x * Phi(x), one read and one write; backward recomputes Phi from x instead of saving it",
    forward="(Tensor x, bool tanh) -> Tensor",
    backward="(Tensor grad, Tensor x, bool tanh) -> Tensor",
    torch=F.gelu,
    cost=rows_cost(2, 3, 15),
    examples={k: lambda n, d, dtype, kw=kw: ((normal(n, d, dtype=dtype),), kw) for k, kw in _APPROXIMATE.items()},
    sizes=((4096, 4096), (1024, 3072)),
)

BIAS_GELU = Op(
    name="bias_gelu",
    primitive="gelu",
    idea="gelu(x + bias) without writing x + bias",
    forward="(Tensor x, Tensor bias, bool tanh) -> Tensor",  # bias (D) over the last axis
    backward="(Tensor grad, Tensor x, Tensor bias, bool tanh, bool need_x, bool need_bias) -> (Tensor, Tensor)",
    torch=lambda input, bias, approximate="none": F.gelu(input + bias, approximate=approximate),
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
    forward="(Tensor x, int dim, bool tanh) -> Tensor",
    backward="(Tensor grad, Tensor x, int dim, bool tanh) -> Tensor",
    torch=_geglu,
    cost=lambda x, *args, **kwargs: Cost(3 * nbytes(x) // 2, 5 * nbytes(x) // 2, 8 * x.numel(), 9 * x.numel()),
    examples={
        **{k: lambda n, d, dtype, kw=kw: ((normal(n, 2 * d, dtype=dtype),), kw) for k, kw in _APPROXIMATE.items()},
        "dim 0": lambda n, d, dtype: ((normal(2 * n, d, dtype=dtype), 0), {}),
    },
    sizes=((4096, 4096),),
)
