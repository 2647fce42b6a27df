"""A call of a kernel by named arguments, run on any column; and the numbers that such calls are made of."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Callable

import torch
from torch import Tensor

from scratchnet import columns
from scratchnet.ops import ACTIVATIONS, OPS

INF, NAN = math.inf, math.nan
INSIDE = {"activations", "inner"}  # of a recurrence: recomputed from the inputs for a second derivative
STATISTICS = {"lse", "total_weight", "mean", "rstd", "var"} | INSIDE  # float32 or wider whatever the input


@dataclass
class Case:
    """One kernel call."""

    op: str
    own: Callable  # torch's own way to all outputs, from the arguments of forward
    label: str
    args: dict  # of forward, by name
    smooth: bool  # finite and not empty: fit for 16 bits, second derivatives and transforms
    backward: dict  # what backward takes beside forward's arguments and outputs

    def __post_init__(self):
        self.args = {name: self.args[name] for name in self.names("forward")}

    @property
    def id(self) -> str:
        return f"{self.op}-{self.label}"

    @property
    def differentiable(self) -> list[str]:
        """Outputs that get an upstream gradient."""
        return [name for name in OPS[self.op].outputs if name not in OPS[self.op].constant]

    @property
    def wanted(self) -> list[str]:
        """Inputs that get a gradient, in the order in which backward returns them."""
        floats = lambda value: value is not None and value.is_floating_point()  # a mask may be boolean
        return [name for name in OPS[self.op].gradients if floats(self.args[name])]

    def names(self, way: str) -> list[str]:
        """The arguments of a kernel with the options one by one."""
        op = OPS[self.op]
        return list(op.flat(way, [op.options._fields if name == "options" else name for name in op.arguments(way)]))

    def kernel(self, column: str, way: str) -> Callable:
        return columns.kernel(OPS[self.op], column, way)

    def run_forward(self, column: str, args: dict) -> dict:
        """Outputs by name."""
        op = OPS[self.op]
        results = self.kernel(column, "forward")(*op.packed("forward", [*args.values()]))
        return dict(zip(op.results, as_tuple(results), strict=True))

    def run_backward(self, column: str, upstream: dict, args: dict, outputs: dict, wanted: list[str] | None = None) -> dict:
        """Gradients by input name; None for all that is not wanted."""
        op, wanted = OPS[self.op], self.wanted if wanted is None else wanted
        needs = {f"need_{name}": name in wanted for name in op.gradients}
        values = {**self.backward, **args, **outputs, **needs, **upstream}
        if self.op == "linear" and ACTIVATIONS[args["activation"]] == "relu":
            values["saved"] = outputs["y"]
        arguments = op.packed("backward", [values[name] for name in self.names("backward")])
        return dict(zip(op.gradients, as_tuple(self.kernel(column, "backward")(*arguments)), strict=True))

    def upstream(self, outputs: dict) -> dict:
        """An incoming gradient for each differentiable output."""
        pairs = zip(OPS[self.op].grads, self.differentiable, strict=True)
        return {name: randn(*outputs[out].shape, seed=7) for name, out in pairs}


def parameters(function: Callable) -> list[str]:
    return list(inspect.signature(function).parameters)


def as_tuple(value) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1000 * len(shape) + sum(shape))
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def integers(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def t(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def call(label: str, smooth: bool = True, backward: dict | None = None, **args) -> dict:
    """A call of an operator, as its file in this folder yields it; the fields are those of `Case`."""
    return {"label": label, "args": args, "smooth": smooth, "backward": backward or {}}
