"""Every Triton kernel is launched here: compiled for CUDA tensors, interpreted for CPU tensors.

A process either compiles or interprets, and Triton reads which at each @triton.jit: import this module before the first. The
environment variable TRITON_INTERPRET=0 or 1 decides; without it, a process that finds no GPU interprets.
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

# `maxnreg` of kernels for which NVIDIA's compiler would otherwise spill registers to let more threads run at a time. They take
# it as a parameter of their own, because AMD's compiler has no such option.
MAX_REGISTERS = 255

_compile: Callable | None = None  # set by `compiling`, and then called in place of every launch


def launch(kernel, grid: tuple[int, ...] | Callable[[dict], tuple[int, ...]], *args, **options) -> None:
    """Run kernel[grid](*args, **options) on the device of the first tensor; an empty grid launches nothing.

    For an autotuned kernel the interpreter takes the first configuration, since it has no speed to compare.
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
    # The interpreter computes with NumPy, which warns about every infinity and NaN.
    with on_device(next(a for a in args if isinstance(a, Tensor))), np.errstate(all="ignore"):
        kernel[grid](*args, **options)


def on_device(x: Tensor) -> contextlib.AbstractContextManager:
    """Within it, the tensor's device is the current one, on which Triton launches."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


@contextlib.contextmanager
def compiling(function: Callable) -> Iterator[None]:
    """Within it, launches call function(kernel, args, options) and compute nothing."""
    global _compile
    _compile = function
    try:
        yield
    finally:
        _compile = None


def accumulator(x: Tensor) -> tl.dtype:
    """The type in which kernels compute: float64 for float64, else float32."""
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def statistics(x: Tensor, *shape: int) -> Tensor:
    """Uninitialised memory in that type, for partial sums and for what is saved for backward."""
    return x.new_empty(shape, dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)


def _interpret_library() -> None:
    """Interpret Triton's own helpers (tl.sum, tl.sigmoid, ...) too, even if Triton was imported before this module."""
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction

    def method(function):
        return lambda *args, **kwargs: function(*args, **kwargs)

    interpreted: dict = {}
    for place in (tl.standard, tl.random, tl, tl.tensor):
        for name, old in list(vars(place).items()):
            if isinstance(old, JITFunction):
                new = interpreted.setdefault(id(old), InterpretedFunction(old.fn))
                setattr(place, name, method(new) if place is tl.tensor else new)


if INTERPRETED:
    _interpret_library()
