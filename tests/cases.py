"""Calls of every operator, as the tests need them: read from scratchnet.ops, so that a new operator is tested at once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import scratchnet
from scratchnet.measure.verify import TIMES_TORCH, ULPS, as_tuple, function
from scratchnet.ops import OPS, Op

# "triton" in a list of backends
TRITON = pytest.param("triton", marks=pytest.mark.skipif(not find_spec("triton"), reason="needs Triton: pip install triton"))


@dataclass
class Case:
    """One call; `ours` and `torch` take the differentiable tensors alone and return a tuple of outputs."""

    op: Op
    args: tuple
    kwargs: dict

    def __post_init__(self):
        self.function = function(self.op)
        named = {**dict(enumerate(self.args)), **self.kwargs}
        self.places = [k for k, t in named.items() if isinstance(t, Tensor) and t.requires_grad]
        self.tensors = [named[k].detach() for k in self.places]

    @property
    def leaves(self) -> list[Tensor]:
        """Fresh leaves that require a gradient."""
        return [t.clone().requires_grad_() for t in self.tensors]

    def call(self, function: Callable, *leaves: Tensor) -> tuple[Tensor, ...]:
        args, kwargs = list(self.args), dict(self.kwargs)
        for place, leaf in zip(self.places, leaves, strict=True):
            if isinstance(place, int):
                args[place] = leaf
            else:
                kwargs[place] = leaf
        return as_tuple(function(*args, **kwargs))

    def ours(self, *leaves: Tensor) -> tuple[Tensor, ...]:
        return self.call(self.function, *leaves)

    def torch(self, *leaves: Tensor) -> tuple[Tensor, ...]:
        return self.call(self.op.torch, *leaves)

    def transformable(self, *leaves: Tensor) -> tuple[Tensor, ...]:
        """Torch's own under transforms. Its recurrent layers and bags have no rules for them: there, the reference; nor has the
        fused path of its attention."""
        if self.op.name not in ("recurrence", "embedding_bag"):
            with sdpa_kernel(SDPBackend.MATH) if self.op.name == "attention" else contextlib.nullcontext():
                return self.torch(*leaves)
        with scratchnet.backend("reference"):
            return self.ours(*leaves)


def scalar(call: Callable) -> Callable:
    """A loss that weights every element of every output differently."""

    def loss(*leaves: Tensor) -> Tensor:
        outputs = call(*leaves)
        return sum((y * torch.arange(y.numel(), dtype=y.dtype).cos().view(y.shape)).sum() for y in outputs)

    return loss


def assert_as_accurate(ours: Tensor, theirs: Tensor, exact: Tensor) -> None:
    """The rule of `scratchnet verify` for a whole layer: an error of at most twice torch's plus a few ulp of the largest."""
    assert ours.dtype == theirs.dtype and ours.shape == exact.shape
    error, own = ((y.detach().double() - exact).abs().max() for y in (ours, theirs))
    assert error <= TIMES_TORCH * own + ULPS * torch.finfo(ours.dtype).eps * exact.abs().max()


def case(name: str, example: str | None = None, rows: int = 4, columns: int = 3, dtype: torch.dtype = torch.float64) -> Case:
    op = OPS[name]
    args, kwargs = op.examples[example or next(iter(op.examples))](rows, columns, dtype)
    return Case(op, args, kwargs)


def rungs(primitive: str) -> list[str]:
    """The rungs of the C++ column, the naive one first."""
    return [f"cpp:{n}" for n, _ in enumerate(OPS[primitive].rungs("cpp"), start=1)]


EXAMPLES = [(name, example) for name, op in OPS.items() for example in op.examples]
# The rungs between the naive loop and the last one: the grid meets each once, what is built on a rung meets only the ends.
MIDDLE = [(name, example, f"cpp:{n}") for name, example in EXAMPLES for n in range(2, len(OPS[name].rungs("cpp")))]
# Cases whose gradient is by design not the derivative of the output: the padding row learns nothing, frequent rows learn less.
NOT_THE_DERIVATIVE = {("embedding", "padding_idx"), ("embedding", "scale_grad_by_freq")}
