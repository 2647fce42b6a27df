"""Where the kernels are: `kernel` is the only place that knows how to find a cell of the grid by name."""

from __future__ import annotations

import functools
from importlib import import_module
from pathlib import Path
from typing import Callable

import torch

from scratchnet import _compiled
from scratchnet.backends import HIGHEST
from scratchnet.ops import FILES, Op

# Where the operators of a backend are registered. C++ and CUDA share theirs: the device of the tensors decides.
# "reference" has none: it is plain PyTorch code.
NAMESPACES = {"cpp": "scratchnet", "cuda": "scratchnet", "numpy": "scratchnet_numpy", "triton": "scratchnet_triton"}

_PACKAGE = Path(__file__).parent
# The sources of the compiled kernels: installed with the package, in a clone beside it.
CSRC = _PACKAGE / "csrc" if (_PACKAGE / "csrc").is_dir() else _PACKAGE.parent / "csrc"


def kernel(op: Op, column: str, direction: str, rung: int | None = None) -> Callable:
    """An operator's kernel, with the arguments that `Op` names: `direction` is "forward" or "backward" ("gradients" for some).

    "numpy" takes and returns arrays; the others take tensors. rung None: the last one. LookupError if there is no such kernel.
    """
    name, last = f"{op.name}_{direction}", len(op.rungs(column))
    if not last or not 1 <= (rung or last) <= last:
        raise LookupError(f"{op.name} has no kernel {column}{f':{rung}' if rung else ''}")
    if column in ("cpp", "cuda"):
        compiled = raw(op, column, direction)
        return lambda *args: compiled(*op.flat(direction, args), rung or last)
    return getattr(import_module(module(op, column, rung)), name)


def for_arrays(op: Op, column: str, direction: str, rung: int | None = None) -> Callable | None:
    """`kernel` for NumPy arrays, of "numpy" or "cpp"; None if compiled for tensors only. Too high a rung means the last."""
    if column == "numpy":
        return kernel(op, column, direction)
    compiled, last = getattr(_compiled.module, f"{op.name}_{direction}", None), len(op.rungs(column))
    return compiled and (lambda *args: compiled(*op.flat(direction, args), min(rung or last, last)))


def raw(op: Op, column: str, direction: str = "") -> Callable:
    """The registered operator: a raw kernel, whose last argument is the rung, or without a direction the differentiable one.

    Options are passed one by one.
    """
    name = f"{op.name}_{direction}" if direction else op.name
    return getattr(getattr(torch.ops, NAMESPACES[column]), name).default


@functools.cache
def module(op: Op, column: str, rung: int | None = None) -> str:
    """The Python module of an operator's kernels."""
    if column == "triton":  # a rung's file has the word with which its idea begins: "fused: one pass over memory"
        return f"scratchnet.kernels.{FILES[op.name]}.{op.rungs(column)[(rung or 0) - 1].partition(':')[0]}"
    return f"scratchnet.{'oracle' if column == 'numpy' else column}.{FILES[op.name]}"


def shapes(op: Op, direction: str) -> Callable:
    """What gives the shapes and dtypes of a kernel's results: the reference's <op>_<direction>_shapes, else its formula."""
    column = import_module(module(op, "reference"))
    return getattr(column, f"{op.name}_{direction}_shapes", None) or kernel(op, "reference", direction)


def numbered(op: Op, column: str) -> dict[str, int]:
    """Each name that `backend(...)` has for a column -> the rung it means for this operator: the last if it has fewer."""
    last = len(op.rungs(column))
    return {column: last, **{f"{column}:{n}": min(n, last) for n in range(1, HIGHEST[column] + 1)}} if last else {}
