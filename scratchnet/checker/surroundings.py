"""What a call meets and has to leave as it was, what it opens and starts, and what its results share; a part of the runner."""

from __future__ import annotations

import builtins
import contextlib
import gc
import inspect
import math
import os
import random
import re
import resource
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType

import numpy as np

# What Python says when a function is told of every call. That is how it is seen whose kernel runs.
HOOKS = ("sys.setprofile", "sys.settrace")
OPENS = ("open", "ctypes.dlopen")
# What starts processes of its own when it is used.
COMPILERS = ("torch._inductor.codecache", "torch.utils.cpp_extension")


def state(torch: ModuleType | None) -> dict:
    """What a call has to leave as it was."""
    sums, tiny = np.ones(2) + np.array([0.7, 0.3]) * 2**-52, np.full(1, 1e-40, dtype=np.float32) * 1
    seen = {"the rounding mode": sums.tolist(), "how denormal numbers are computed": tiny.tolist()}
    seen["the working folder"] = os.getcwd()
    seen["the variables of the environment"] = dict(os.environ)
    seen["Python's builtin functions"] = dict(vars(builtins))
    seen["how NumPy prints"] = np.get_printoptions()
    seen["Python's limit of recursion"] = sys.getrecursionlimit()
    seen["whether Python collects garbage"] = gc.isenabled()
    seen["what signals do"] = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    if hasattr(os, "sched_getaffinity"):
        seen["the processors that it may run on"] = os.sched_getaffinity(0)
    if torch:
        seen["torch's number of threads"] = torch.get_num_threads()
        seen["torch's grad mode"] = torch.is_grad_enabled()
        seen["torch's seed"] = torch.initial_seed()
        seen["torch's inference mode"] = torch.is_inference_mode_enabled()
        seen["torch's autocast"] = torch.is_autocast_enabled("cpu")
        seen["torch's search for anomalies"] = torch.is_anomaly_enabled()
        seen["torch's default device"] = str(torch.get_default_device())
        seen["torch's default dtype"] = str(torch.get_default_dtype())
        seen["torch's precision of float32 products"] = torch.get_float32_matmul_precision()
        seen["torch's choice of deterministic algorithms"] = torch.are_deterministic_algorithms_enabled()
    return seen


def dice() -> dict:
    """Where the random numbers of Python and NumPy are: twice the same only if a seed was set, for they are moved on here."""
    random.random()
    np.random.random()
    _, numbers, at, *_ = np.random.get_state()
    return {"the seed of Python's random numbers": random.getstate(), "that of NumPy's": (numbers.tobytes(), at)}


@contextlib.contextmanager
def watched(torch: ModuleType | None, but: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """No warnings, and NaN in all that torch.empty returns. After it, the list has the names of what was changed within it."""
    before, changed = state(torch), []
    # a reaction to errors that no kernel sets
    with warnings.catch_warnings(), np.errstate(all="call", call=lambda *error: None):
        warnings.simplefilter("ignore")
        asked = torch and torch.are_deterministic_algorithms_enabled()
        if torch:
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield changed
        if set(np.geterr().values()) != {"call"}:
            changed.append("how NumPy treats errors of arithmetic")
        if torch and torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled():
            # else the kernel has chosen otherwise, which is seen
            torch.use_deterministic_algorithms(asked)
    after = state(torch)
    changed += [name for name, value in before.items() if after[name] != value and name not in but]


@contextlib.contextmanager
def profiled(note: Callable[[FrameType, str, object], None]) -> Iterator[None]:
    """Within it, a function is told of every call, as sys.setprofile does, in threads that start too."""
    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def seen_of(path: str) -> tuple[set[str], set[str]]:
    """The files that the code in a file opens from now on, imports apart, and the HOOKS that it calls. This has no end: it is
    for a process of its own."""
    opened: set[str] = set()
    hooked: set[str] = set()

    def note(event: str, args: tuple) -> None:
        hook = event in HOOKS
        if not hook and (event not in OPENS or not isinstance(args[0], (str, bytes))):
            return
        frame: FrameType | None = sys._getframe(1)
        while frame and frame.f_code.co_filename != path:
            # a line of every caller is quoted by torch.manual_seed, and by torch.library
            if frame.f_code.co_filename == traceback.__file__ or frame.f_code is inspect.getframeinfo.__code__:
                return
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                return
            frame = frame.f_back
        if frame and hook:
            hooked.add(event)
        elif frame:
            opened.add(os.fsdecode(args[0]))

    sys.addaudithook(note)
    return opened, hooked


def mapped() -> set[str]:
    """The libraries that are loaded, where the system says so."""
    try:
        return {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".so" in line}
    except OSError:
        return set()


def libraries() -> set[str]:
    """The libraries that are loaded but for those that Python imported, and torch's with torch."""
    found = mapped() - {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return {name for name in found if "torch" not in sys.modules or not Path(name).name.startswith("libtorch")}


def symbols(paths: set[str]) -> set[str]:
    """The functions of at::cpu and at::native that libraries name: torch's kernels themselves, which nobody hears of."""
    found = set()
    for path in paths:
        with contextlib.suppress(OSError):  # it is gone
            found |= set(re.findall(rb"_ZN2at(?:3cpu|6native)\d+\w+", Path(path).read_bytes()))
    return {_readable(symbol.decode()) for symbol in found}


def _readable(symbol: str) -> str:
    """The name of a function as it is written in C++, without its arguments."""
    names, rest = [], symbol.removeprefix("_ZN")
    while digits := re.match(r"\d+", rest):
        end = digits.end() + int(digits[0])
        names.append(rest[digits.end() : end])
        rest = rest[end:]
    return "::".join(names)


def forked() -> bool:
    """Whether this process has started others: those that ended have left their page faults, those that run are listed.

    Where there is a compiler, it may have been that.
    """
    if any(name in sys.modules for name in COMPILERS):
        return False
    running = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt > 0 or any(running)


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


def folded(value: object) -> bool:
    """Whether several entries of an array are one place in memory."""
    first, end = reach(value)
    size = value.itemsize if isinstance(value, np.ndarray) else value.element_size() if end else 0
    return end - first < size * math.prod(getattr(value, "shape", ()))


def overlap(span: tuple[int, int], others) -> int | None:
    """The first of some spans that has an address in common with this one."""
    return next((i for i, (first, end) in enumerate(others) if first < span[1] and span[0] < end), None)
