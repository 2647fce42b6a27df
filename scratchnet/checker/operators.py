"""Which of torch's operators are called, and whose code runs; a part of the runner."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from scratchnet.checker.surroundings import profiled

KEYS = ("CPU", "NestedTensorCPU", "QuantizedCPU", "SparseCPU", "SparseCsrCPU")  # of kernels for numbers in the CPU's memory
TASKS = "torch._inductor.runtime.compile_tasks."  # how the modules that torch.compile writes are called


@contextlib.contextmanager
def noticed(called: set, files: set) -> Iterator[None]:
    """Within it, the names of torch's operators that are called, and the files whose code runs, are added to two sets."""

    def note(frame: FrameType, event: str, function: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)
        elif event == "c_call":
            module = sys.modules.get(getattr(function, "__module__", None) or "")
            files.add(getattr(module, "__file__", None) or "")

    with contextlib.ExitStack() as stack:
        if torch := sys.modules.get("torch"):  # not to import it
            if "torch._dynamo" in sys.modules:  # what is compiled calls what it was compiled from
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(trace_to(called))
        stack.enter_context(profiled(note))
        yield


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


def compiled(operators: list[str]) -> set[str]:
    """Those of some of torch's operators of which torch.compile has made code in this process: its functions are named so."""
    made = [module.__file__ for name, module in list(sys.modules.items()) if name.startswith(TASKS)]
    names = {name for path in made for name in re.findall(r"\b\w+_fused\w*", Path(path).read_text())}
    within = lambda bare, name: re.search(rf"_{bare}(?=_)(?!_backward)", name)
    return {operator for operator in operators if any(within(operator.partition("::")[2], name) for name in names)}


def listen(space: str, wanted: Callable[[str], bool], heard: Callable[[str], object]) -> object | None:
    """From now on `heard` is told the names of wanted operators whose kernels on the CPU run, as long as the result lives.

    The result is None if there are no such operators yet. A mode can be left, and a kernel can ask whether it is watched; but
    every call of an operator, in Python, in TorchScript or from another one, goes through torch's table of kernels. This has no
    end: it is for a process of its own.
    """
    import torch

    there = [(key, name) for key in KEYS for name in torch._C._dispatch_get_registrations_for_dispatch_key(key)]
    there = [(key, name) for key, name in there if name.startswith(f"{space}::") and wanted(name.partition(".")[0])]
    if not there:
        return None
    library = torch.library.Library(space, "IMPL")
    for key, operator in there:
        name = operator.partition(".")[0]
        try:
            kernel = torch.library.get_kernel(operator, key)
        except RuntimeError:  # nobody has said yet what it takes: nobody can call it
            continue

        def run(keys, *args, kernel=kernel, name=name, **kwargs):
            heard(name)
            return kernel.call_boxed(keys, *args, **kwargs)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there was a kernel already
            library.impl(operator.partition("::")[2], run, key, with_keyset=True, allow_override=True)
    return library
