"""The one place where Triton kernels start: on a GPU for real, on CPU tensors through Triton's interpreter.

A process either compiles or interprets, which is decided before Triton is imported: TRITON_INTERPRET=0 or 1 if it is set,
else the interpreter where there is no GPU. The kernels and their launchers are the same in both.
"""

from __future__ import annotations

import contextlib
import os
from typing import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

INTERPRETED = os.environ.setdefault("TRITON_INTERPRET", "0" if torch.cuda.is_available() else "1") == "1"

import triton.language as tl  # noqa: E402
from triton.runtime.autotuner import Autotuner  # noqa: E402

# Of a thread: `maxnreg` of kernels from which NVIDIA's compiler would spill some, so that more threads fit beside one another.
# It is an option of that compiler; as a kernel's parameter it does not offend AMD's, which has none.
MOST_REGISTERS = 255

_compile: Callable | None = None  # what `compiling` asks for: takes the place of every launch


def launch(kernel, grid: tuple[int, ...] | Callable[[dict], tuple[int, ...]], *args, **options) -> None:
    """kernel[grid](*args, **options) on the device of the first tensor; an empty grid launches nothing.

    Of an autotuned kernel, the interpreter takes the first configuration: there is nothing to time.
    """
    if _compile is not None:
        _compile(kernel, args, options)
        return
    if INTERPRETED and isinstance(kernel, Autotuner):
        options = {**options, **kernel.configs[0].kwargs}
        kernel = kernel.fn
    if callable(grid):
        sizes = {**dict(zip(kernel.arg_names, args, strict=False)), **options}
        grid = grid(sizes) if INTERPRETED else grid
    if not callable(grid) and 0 in grid:
        return
    # The interpreter computes with NumPy, which would warn of every infinity and NaN.
    with on_device(next(a for a in args if isinstance(a, Tensor))), np.errstate(all="ignore"):
        kernel[grid](*args, **options)


def on_device(x: Tensor) -> contextlib.AbstractContextManager:
    """Triton launches on the current device: make it the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


@contextlib.contextmanager
def compiling(function: Callable) -> Iterator[None]:
    """Within the block, launches call function(kernel, args, options) and compute nothing."""
    global _compile
    _compile = function
    try:
        yield
    finally:
        _compile = None


def accumulator(x: Tensor) -> tl.dtype:
    """The type that kernels compute in: float64 for float64, else float32."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def statistics(x: Tensor, *shape: int) -> Tensor:
    """Fresh memory for what is saved for backward: float32, for float64 inputs float64."""
    return x.new_empty(shape, dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)


def _interpret_library() -> None:
    """Make Triton's own helpers (tl.sum, tl.sigmoid, ...) anew if somebody imported them for the compiler before us."""
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction

    def method(function):
        return lambda *args, **kwargs: function(*args, **kwargs)

    made: dict = {}
    for place in (tl.standard, tl.random, tl, tl.tensor):
        for name, old in list(vars(place).items()):
            if isinstance(old, JITFunction):
                new = made.setdefault(id(old), InterpretedFunction(old.fn))
                setattr(place, name, method(new) if place is tl.tensor else new)


if INTERPRETED:
    _interpret_library()
