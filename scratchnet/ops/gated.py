"""The description of gated units: silu and others, whose gate is the input itself, and act(gate) * value."""

from __future__ import annotations

from typing import Callable, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import ACTIVATIONS, Cost, Op, nbytes, normal, rows_cost

GATES_BY = ACTIVATIONS[1:7]  # what the kernels of glu and gated are compiled for


class GluOptions(NamedTuple):
    """dim: the axis that is halved; activation: an index into ACTIVATIONS; gate_first: the first half is the gate."""

    dim: int
    activation: int
    gate_first: bool


class GegluOptions(NamedTuple):
    """dim: the axis that is halved."""

    dim: int
    tanh: bool

    @property
    def as_glu(self) -> GluOptions:
        return GluOptions(self.dim, ACTIVATIONS.index("gelu_tanh" if self.tanh else "gelu"), gate_first=False)


class GatedOptions(NamedTuple):
    """activation: an index into ACTIVATIONS."""

    activation: int


IDEAS = {
    "cpp": ("naive loop", "SIMD, polynomials for exp and erf", "threads"),
    "cuda": ("one thread per element", "128-bit loads"),
    "triton": ("fused: one pass over memory",),
}
_OWN: dict[str, Callable[[Tensor], Tensor]] = {  # torch's own
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


# ---- x itself is the gate ------------------------------------------------------------------------------------------------


def _self_gated(name: str, own: Callable, idea: str, flops: int) -> Op:
    return Op(
        name=name,
        primitive="gelu",
        idea=idea,
        inputs=("x",),
        outputs=("y",),
        saved=("x",),
        gradients=("x",),
        ideas=IDEAS,
        torch=own,
        cost=rows_cost(2, 3, flops),
        examples={"plain": lambda n, d, dtype: ((normal(n, d, dtype=dtype),), {})},
        sizes=((4096, 4096), (1024, 3072)),
    )


SILU = _self_gated("silu", F.silu, "x * sigmoid(x), one read and one write; backward recomputes the sigmoid from x", 12)
QUICK_GELU = _self_gated(
    "quick_gelu", lambda input: input * torch.sigmoid(1.702 * input), "x * sigmoid(1.702 x) in one pass over memory", 13
)
SQUARED_RELU = _self_gated("squared_relu", lambda input: F.relu(input).square(), "max(0, x)^2 in one pass over memory", 2)


# ---- a gate and a value --------------------------------------------------------------------------------------------------


def _glu(input: Tensor, dim: int = -1, activation: str = "sigmoid", gate_first: bool = False) -> Tensor:
    if activation == "sigmoid" and not gate_first:
        return F.glu(input, dim)
    first, second = input.chunk(2, dim)
    gate, value = (first, second) if gate_first else (second, first)
    return _OWN[activation](gate) * value


def _geglu(input: Tensor, dim: int = -1, approximate: str = "none") -> Tensor:
    a, gate = input.chunk(2, dim)
    return a * F.gelu(gate, approximate=approximate)


def _gated(gate: Tensor, value: Tensor, activation: str = "silu") -> Tensor:
    return _OWN[activation](gate) * value


def _halves_cost(x: Tensor, *args, **kwargs) -> Cost:
    return Cost(3 * nbytes(x) // 2, 5 * nbytes(x) // 2, 8 * x.numel(), 9 * x.numel())


_APPROXIMATE = {"none": {}, "tanh": {"approximate": "tanh"}}

GLU = Op(
    name="glu",
    primitive="gelu",
    idea="one half * act(the other half), in one pass over memory; backward recomputes act from the input",
    inputs=("x",),
    options=GluOptions,
    outputs=("y",),
    saved=("x",),
    gradients=("x",),
    ideas=IDEAS,
    torch=_glu,
    variant=lambda input, dim=-1, activation="sigmoid", gate_first=False: activation,
    planar=True,
    cost=_halves_cost,
    examples={
        **{
            k: lambda n, d, dtype, k=k: ((normal(n, 2 * d, dtype=dtype),), {"activation": k, "gate_first": k == "silu"})
            for k in ("sigmoid", *(name for name in GATES_BY if name != "sigmoid"))
        },
        "dim 0": lambda n, d, dtype: ((normal(2 * n, d, dtype=dtype), 0), {}),
    },
    sizes=((4096, 4096),),
)

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
    variant=lambda input, dim=-1, approximate="none": approximate,
    planar=True,
    cost=_halves_cost,
    examples={
        **{k: lambda n, d, dtype, kw=kw: ((normal(n, 2 * d, dtype=dtype),), kw) for k, kw in _APPROXIMATE.items()},
        "dim 0": lambda n, d, dtype: ((normal(2 * n, d, dtype=dtype), 0), {}),
    },
    sizes=((4096, 4096),),
)

GATED = Op(
    name="gated",
    primitive="gelu",
    idea="act(gate) * value for two tensors, without writing act(gate)",
    inputs=("gate", "value"),
    options=GatedOptions,
    outputs=("y",),
    saved=("gate", "value"),
    gradients=("gate", "value"),
    ideas=IDEAS,
    torch=_gated,
    variant=lambda gate, value, activation="silu": activation,
    planar=True,
    cost=rows_cost(3, 5, 16),
    examples={
        k: lambda n, d, dtype, k=k: ((normal(n, d, dtype=dtype), normal(n, d, dtype=dtype), k), {})
        for k in ("silu", *(name for name in GATES_BY if name != "silu"))
    },
    sizes=((4096, 4096), (1024, 3072)),
)
