"""What describes the grid: operators, backends, costs, and the numbers that example calls are made of.

Codes that cross into C++ are integers: `activation`, `mode` and `reduction` are indices into the tuples below.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Callable, NamedTuple, Sequence

import torch
from torch import Tensor

ACTIVATIONS = ("none", "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "quick_gelu", "squared_relu")
EPILOGUES = ACTIVATIONS[:4]  # what a product can apply to its result
RECURRENCES = ("rnn_tanh", "rnn_relu", "lstm", "gru")
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}  # rows of a layer's weights, in hidden sizes
REDUCTIONS = ("none", "mean", "sum")  # torch's own numbering


@dataclass(frozen=True)
class Cost:
    """The least that a call has to move and compute: every input read once, every result written once."""

    forward_bytes: int
    backward_bytes: int
    forward_flops: int
    backward_flops: int


@dataclass(frozen=True)
class Backend:
    """One column of the grid. Rungs are numbered from 1; the last one is in use, the earlier ones lead up to it."""

    what: str
    devices: tuple[str, ...]
    # The same bits for the same input, whatever the number of threads. With no backend named, small tensors run torch's own,
    # whose bits depend on that number.
    deterministic: bool = True


BACKENDS: dict[str, Backend] = {
    "numpy": Backend("the mathematics in float64 NumPy: the oracle", ("cpu",)),
    "reference": Backend("plain PyTorch operations: the readable one", ("cpu", "cuda")),
    "cpp": Backend("C++: SIMD and threads", ("cpu",)),
    "cuda": Backend("CUDA C++", ("cuda",)),
    "triton": Backend("Triton kernels; on CPU tensors in Triton's interpreter", ("cuda", "cpu")),
}

Example = Callable[[int, int, torch.dtype], tuple[tuple, dict]]


def one_variant(*args: object, **kwargs: object) -> str:
    """Of an operator that is measured as one."""
    return ""


class DimOptions(NamedTuple):
    """dim: the axis that the operator works along."""

    dim: int


Rungs = dict[str, tuple[str, ...]]  # column -> one idea per rung; Triton ideas start with the file's name: "fused: ..."
_TYPES = {"int": "int", "float": "float", "bool": "bool", "Ints": "int[]", "SymInts": "SymInt[]"}  # of options, in a schema
Ints = list[int]
SymInts = list[int]  # sizes that torch.compile may trace


@dataclass(frozen=True, eq=False)  # compared by identity, hence hashable
class Op:
    """One operator: the user-level function of its name and the pair of kernels behind it, described once.

    Everything else follows from it. The kernels of a column are, for two inputs, options, and gradients of both:

        <name>_forward(x, weight, options)                                  -> the outputs, then what is kept for backward
        <name>_backward(grad, <saved>, options, need_x, need_weight)        -> dx, dweight; None where it is not needed

    with one grad for each differentiable output (`grad_<output>` if there are several) and a `need_...` for each gradient (if
    there are several). Registered with torch, the options are flat and a rung (int) comes last.
    """

    name: str
    primitive: str
    idea: str  # what it computes and what the fused kernel saves, in one line
    inputs: tuple[str, ...]  # tensors; "bias?" may be None
    outputs: tuple[str, ...]  # the results that the caller gets
    saved: tuple[str, ...]  # what backward takes: inputs, results, and sizes with their type in a schema ("shape: SymInt[]")
    gradients: tuple[str, ...]  # the inputs that have one
    torch: Callable  # torch's own function(s) for the same call: the baseline
    cost: Callable[..., Cost]  # of a call with the same arguments
    examples: dict[str, Example]  # option name -> (rows, columns, dtype) -> (args, kwargs) of a call; floats want a gradient
    sizes: tuple[tuple[int, int], ...]  # (rows, columns) that `scratchnet bench` times; the first alone with --quick
    ideas: Rungs
    options: type | None = None  # a NamedTuple of the arguments that are not tensors
    kept: tuple[str, ...] = ()  # results for backward alone
    constant: tuple[str, ...] = ()  # outputs that have no gradient
    backward_options: bool = True  # whether backward takes the options
    # Names the variant of a call with the same arguments: each has figures of its own in a profile, where the ratio of torch's
    # time to ours differs much. A call that it cannot name is left to ours, which says what is wrong with it.
    variant: Callable[..., str] = one_variant
    # How many multiply-adds a call with the same arguments makes: its size in a profile, where that is not told by the elements
    # of the first floating-point argument.
    work: Callable[..., int] | None = None
    # Variants of calls without a gradient, with an example of each: measured with the tensors of many layers in turn.
    forward_only: dict[str, Example] = field(default_factory=dict)
    # Whether a C++ kernel computes the outputs together with the gradients for an incoming 1, where that saves work:
    # <name>_gradients takes the arguments of forward and the need flags, and returns the results of both; its gradients have
    # the type in which they are summed.
    at_once: bool = False
    # Whether writing what is kept costs so much that C++ kernels leave it out where no gradient is needed: <name>_outputs takes
    # the arguments of forward and returns the outputs alone.
    outputs_alone: bool = False
    # Whether the kernels know images by rows only: of images or filters with their channels last they take copies and return
    # such, while torch's own read them as they are. With no backend named, torch's own function runs there.
    planar: bool = False
    # Where its FLOP are those of matrix products, the only ones that torch.utils.flop_counter counts: its cost from what the
    # kernels take, by name.
    products: Callable[..., Cost] | None = None
    # Rung, such as "cpp:1" -> its cost where its loops go over a tensor more often than once: the bytes of all these passes,
    # from whichever cache they come. What a loop keeps, a row of sums or parameters, is not counted. A rung that is not here
    # goes over the tensors as the one below it does.
    passes: dict[str, Callable[..., Cost]] = field(default_factory=dict)
    # What torch's time is measured with, where `torch` does more than a user of torch would to give the same numbers.
    timed: Callable | None = None

    @property
    def baseline(self) -> Callable:
        """The function whose time ours is compared with."""
        return self.timed or self.torch

    def rungs(self, column: str) -> tuple[str, ...]:
        """One idea per rung of this operator's kernels on a backend; empty where the reference runs in their place."""
        return ("the formula",) if column in ("numpy", "reference") else self.ideas.get(column, ())

    def moved(self, column: str, rung: int) -> Callable[..., Cost]:
        """The cost of a rung with the bytes of all its passes over the tensors."""
        below = (self.passes.get(f"{column}:{n}") for n in range(rung, 0, -1))
        return next(filter(None, below), self.cost)

    @property
    def directions(self) -> tuple[str, ...]:
        """What its C++ kernels compute."""
        return ("forward", "backward", *["gradients"] * self.at_once, *["outputs"] * self.outputs_alone)

    @property
    def results(self) -> tuple[str, ...]:
        """What the forward kernel returns."""
        return self.outputs + self.kept

    @property
    def grads(self) -> tuple[str, ...]:
        """What the incoming gradients are called."""
        names = [name for name in self.outputs if name not in self.constant]
        return ("grad",) if len(names) == 1 else tuple(f"grad_{name}" for name in names)

    @property
    def needs(self) -> tuple[str, ...]:
        """The flags that say which gradients are needed."""
        return tuple(f"need_{name}" for name in self.gradients) if len(self.gradients) > 1 else ()

    @functools.cached_property
    def places(self) -> tuple[int, ...]:
        """Where the inputs that have a gradient stand among the arguments of forward."""
        return tuple(self.arguments("forward").index(name) for name in self.gradients)

    @property
    def saved_names(self) -> tuple[str, ...]:
        return tuple(entry.partition(":")[0] for entry in self.saved)

    def arguments(self, direction: str) -> tuple[str, ...]:
        """The arguments of the Python kernels of a direction, by name."""
        options = () if self._after_options[direction] is None else ("options",)
        if direction == "backward":
            return self.grads + self.saved_names + options + self.needs
        inputs = tuple(name.rstrip("?") for name in self.inputs)
        return inputs + options + (self.needs if direction == "gradients" else ())

    def flat(self, direction: str, arguments: Sequence) -> tuple:
        """The arguments of a Python kernel as the registered operator takes them: with the options one by one."""
        after = self._after_options[direction]
        if after is None:
            return tuple(arguments)
        at = len(arguments) - 1 - after
        return (*arguments[:at], *arguments[at], *arguments[at + 1 :])

    def packed(self, direction: str, arguments: Sequence) -> tuple:
        """The reverse of `flat`."""
        after = self._after_options[direction]
        if after is None:
            return tuple(arguments)
        end = len(arguments) - after
        at = end - len(self.options._fields)
        return (*arguments[:at], self.options(*arguments[at:end]), *arguments[end:])

    @functools.cached_property
    def _after_options(self) -> dict[str, int | None]:
        """Direction -> how many flags of `needs` follow the options; None without options."""
        if self.options is None:
            return dict.fromkeys(("forward", "backward", "gradients", "outputs"))
        flags = 0 if len(self.gradients) == 1 else len(self.gradients)
        return {"forward": 0, "backward": flags if self.backward_options else None, "gradients": flags, "outputs": 0}

    def schema(self, direction: str) -> str:
        """The arguments and results of a registered kernel, in torch's words: "(Tensor x, int dim, int rung) -> Tensor"."""
        optional = {name.rstrip("?"): "Tensor?" if name.endswith("?") else "Tensor" for name in self.inputs}
        sizes = {name: kind.strip() for name, colon, kind in (entry.partition(":") for entry in self.saved) if colon}
        arguments = []
        for name in self.arguments(direction):
            if name == "options":
                kinds = self.options.__annotations__.items()  # as they are written
                arguments += [f"{_TYPES[kind.__forward_arg__]} {field}" for field, kind in kinds]
            else:
                arguments.append(f"{'bool' if name in self.needs else sizes.get(name, optional.get(name, 'Tensor'))} {name}")
        counts = {"forward": len(self.results), "backward": len(self.gradients), "outputs": len(self.outputs)}
        count = counts["forward"] + counts["backward"] if direction == "gradients" else counts[direction]
        return f"({', '.join([*arguments, 'int rung'])}) -> {result_types(count)}"


def one_row(input: Tensor) -> bool:
    """Whether this is a single row, of a call without a gradient: torch's own leaves it to one thread."""
    return not torch.is_grad_enabled() and input.numel() == input.size(-1)


def result_types(count: int) -> str:
    """The results of a schema: `count` tensors."""
    return "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"


def normal(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).to(dtype).requires_grad_()


def constant(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(shape, dtype=torch.float64).add(0.5).to(dtype)


def indices(high: int, *shape: int) -> Tensor:
    return torch.randint(max(high, 1), shape) if high else torch.zeros((0,) * len(shape), dtype=torch.int64)


def nbytes(*tensors: Tensor | None) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


def rows_cost(passes_forward: int, passes_backward: int, flops: int) -> Callable[..., Cost]:
    """Cost of an operator that reads and writes this many tensors of the size of its first argument."""

    def cost(x: Tensor, *args, **kwargs) -> Cost:
        return Cost(passes_forward * nbytes(x), passes_backward * nbytes(x), flops * x.numel(), flops * x.numel())

    return cost
