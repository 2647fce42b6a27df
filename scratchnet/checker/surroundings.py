"""What a call meets and has to leave as it was, which operators it calls, and what its results share; a part of the runner."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import numpy as np


def state(torch: ModuleType | None) -> dict:
    """What a call has to leave as it was."""
    sums, tiny = np.ones(2) + np.array([0.7, 0.3]) * 2**-52, np.full(1, 1e-40, dtype=np.float32) * 1
    seen = {"the rounding mode": sums.tolist(), "how denormal numbers are computed": tiny.tolist()}
    seen["the working folder"] = os.getcwd()
    if torch:
        seen["torch's number of threads"] = torch.get_num_threads()
        seen["torch's grad mode"] = torch.is_grad_enabled()
        seen["torch's seed"] = torch.initial_seed()
        seen["torch's default dtype"] = str(torch.get_default_dtype())
        seen["torch's precision of float32 products"] = torch.get_float32_matmul_precision()
        seen["torch's choice of deterministic algorithms"] = torch.are_deterministic_algorithms_enabled()
    return seen


@contextlib.contextmanager
def watched(torch: ModuleType | None, trace: bool, called: set) -> Iterator[None]:
    """NaN in all that torch.empty returns, and the names of the operators that are called."""
    if not torch:
        yield
        return
    asked = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    with trace_to(called) if trace else contextlib.nullcontext():
        yield
    if torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled():
        # else the kernel has chosen otherwise, which is seen
        torch.use_deterministic_algorithms(asked)


@contextlib.contextmanager
def trace_to(called: set) -> Iterator[None]:
    """Within it, the names of torch's operators that are called, in threads that it starts too, are added to a set."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Trace(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            called.add(operator.overloadpacket._qualified_op_name)
            return operator(*args, **(kwargs or {}))

    def run(thread: threading.Thread) -> None:
        with Trace():  # a mode is one of its thread
            alone(thread)

    alone, threading.Thread.run = threading.Thread.run, run
    try:
        with Trace():
            yield
    finally:
        threading.Thread.run = alone


def reach(value: object) -> tuple[int, int]:
    """The first address of an array and the one after its last; (0, 0) of anything else and of an empty one."""
    if isinstance(value, np.ndarray):
        start, size, shape, strides = value.ctypes.data, value.itemsize, value.shape, value.strides
    elif hasattr(value, "data_ptr") and value.layout == sys.modules["torch"].strided:
        size = value.element_size()
        start, shape, strides = value.data_ptr(), value.shape, [size * stride for stride in value.stride()]
    else:
        return 0, 0
    if 0 in shape:
        return 0, 0
    steps = [(extent - 1) * stride for extent, stride in zip(shape, strides, strict=True)]
    return start + sum(step for step in steps if step < 0), start + sum(step for step in steps if step > 0) + size


def overlap(span: tuple[int, int], others) -> int | None:
    """The first of some spans that has an address in common with this one."""
    return next((i for i, (first, end) in enumerate(others) if first < span[1] and span[0] < end), None)
