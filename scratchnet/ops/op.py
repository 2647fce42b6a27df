"""What the registry is made of: operators, backends, costs, and the numbers that example calls are made of.

Codes that cross into C++ are integers: `activation`, `mode` and `reduction` are indices into the tuples below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import torch
from torch import Tensor

ACTIVATIONS = ("none", "relu", "gelu", "gelu_tanh")
RECURRENCES = ("rnn_tanh", "rnn_relu", "lstm", "gru")
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}  # how many times the hidden size a layer's weights have in rows
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
    """One column of the grid. Rungs are numbered from 1; the last one is in use, the earlier ones are the lesson before it."""

    what: str
    devices: tuple[str, ...]
    rungs: dict[str, tuple[str, ...]]  # primitive -> one idea a rung; a primitive that is missing has no kernels here
    primitives_only: bool = False  # no kernels of the operators that live in files of their own
    # The same bits for the same input, whatever the number of threads. With no backend named, small tensors run torch's own,
    # whose bits depend on that number.
    deterministic: bool = True
    whole_family: bool = True  # every rung is there for the whole family, else the early ones for the primitive's own operator


_ONE = {primitive: ("the formula",) for primitive in ("matmul", "cross_entropy", "layer_norm", "gelu", "gather")}

BACKENDS: dict[str, Backend] = {
    "numpy": Backend("the mathematics in float64 NumPy: the oracle", ("cpu",), _ONE),
    "reference": Backend("plain PyTorch operations: the readable one", ("cpu", "cuda"), _ONE),
    "cpp": Backend(
        "C++: SIMD and threads",
        ("cpu",),
        {
            "matmul": ("naive loop", "loop order ikj", "cache blocks", "register tiles, SIMD", "packed panels, threads"),
            "cross_entropy": ("naive loop", "max and sum in one pass", "SIMD exp", "threads"),
            "layer_norm": ("naive loop", "Welford, all sums of a row in one pass", "SIMD", "threads, long rows in blocks"),
            "gelu": ("naive loop", "polynomials for erf and exp", "SIMD", "threads"),
            "gather": ("naive loop", "whole rows, as memory has them", "cache blocks", "threads, writes past the cache"),
        },
    ),
    "cuda": Backend(
        "CUDA C++",
        ("cuda",),
        {
            "matmul": ("one thread an element", "shared and register tiles, copies that run ahead, tensor cores, K split"),
            "cross_entropy": ("one thread a row", "one block a row, 128-bit loads, max and sum in one pass, warp shuffles"),
            "layer_norm": ("one thread a row", "a warp's or a block's registers keep the row, 128-bit loads"),
            "gelu": ("one thread an element", "128-bit loads, fused bias and its gradient"),
            "gather": ("one thread an element", "128-bit copies, sums by atomics or over a sorted index"),
        },
        primitives_only=True,
    ),
    "triton": Backend(
        "Triton kernels; on CPU tensors in Triton's interpreter",
        ("cuda", "cpu"),
        {
            "matmul": ("one tile a program", "tiles in groups, tuned sizes, fused epilogue, K split where tiles are few"),
            "cross_entropy": ("one row a program, a loop for max, one for sum", "tiles of rows, max and sum in one loop"),
            "layer_norm": ("one row a program, a loop a sum", "tiles of rows in registers"),
            "gelu": ("a kernel an operation", "fused: one pass over memory"),
            "gather": ("one program a block of columns, row after row", "all elements at once, atomics or sorted segments"),
        },
        primitives_only=True,
        whole_family=False,
    ),
}

Example = Callable[[int, int, torch.dtype], tuple[tuple, dict]]


@dataclass(frozen=True, eq=False)  # each is itself: hashable
class Op:
    """One operator: `scratchnet.functions.<room>.<name>` and the pair of kernels behind it."""

    name: str
    primitive: str
    idea: str  # what it computes and what the fused kernel saves, in one line
    forward: str  # schema of the forward kernel; the rung (int) is appended
    backward: str  # schema of the backward kernel; likewise
    torch: Callable  # torch's own function(s) for the same call: the baseline
    cost: Callable[..., Cost]  # of a call with the same arguments
    examples: dict[str, Example]  # option name -> (rows, columns, dtype) -> (args, kwargs) of a call; floats want a gradient
    sizes: tuple[tuple[int, int], ...]  # (rows, columns) that `scratchnet bench` times; the first alone with --quick
    # With no backend named, torch's own function runs up to so many elements in the first argument, because it is faster there
    # as measured by `scratchnet bench`: calling an operator of ours costs some 10 us more. Beyond, the compiled kernels run.
    own_up_to: int = 0
    # Schema of a C++ kernel that makes the outputs and the gradients for an incoming 1 at once, where that saves work; the
    # results of forward, then those of backward, in the type that gradients are summed in.
    gradients: str = ""
    file: str = ""  # where it lives in every room, if not in the primitive's own file

    @property
    def room(self) -> str:
        """The name of its file in functions/, reference/, numpy/ and of its folder in csrc/cpu/."""
        return self.file or self.primitive

    def rungs(self, column: str) -> tuple[str, ...]:
        """One idea a rung of this operator's kernels on a backend; none where the reference runs in its place.

        An operator in a file of its own has two at most, the first and the last idea of its primitive.
        """
        backend = BACKENDS[column]
        ideas = backend.rungs.get(self.primitive, ())
        if self.file:
            return () if backend.primitives_only else ideas[:1] + ideas[1:][-1:]
        return ideas if backend.whole_family or self.name == self.primitive else ideas[-1:]


def normal(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).to(dtype).requires_grad_()


def constant(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(shape, dtype=torch.float64).add(0.5).to(dtype)


def indices(high: int, *shape: int) -> Tensor:
    return torch.randint(max(high, 1), shape) if high else torch.zeros((0,) * len(shape), dtype=torch.int64)


def nbytes(*tensors: Tensor | None) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


def rows_cost(passes_forward: int, passes_backward: int, flops: int) -> Callable[..., Cost]:
    """Cost of an operator that reads or writes its first argument so often (in tensors of its size)."""

    def cost(x: Tensor, *args, **kwargs) -> Cost:
        return Cost(passes_forward * nbytes(x), passes_backward * nbytes(x), flops * x.numel(), flops * x.numel())

    return cost
