"""The numbers of docs/glossary.md: a function of a few lines for each, whose docstring is the formula.

A ratio is that of the least times of two calls that take turns: what slows the machine for a while touches both, and other
programs can only lengthen a time.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from scratchnet.measure.roof import timed

HERE = Path(__file__).parent
ROUNDS = 25  # of a time
REDUCED = 1  # sizes are divided by it: a test that only wants to see everything run makes it large


@dataclass(frozen=True)
class Number:
    """One number of the glossary."""

    measure: Callable[[], float]
    unit: str  # "times" for a ratio

    @property
    def formula(self) -> str:
        return " ".join((self.measure.__doc__ or "").split())


NUMBERS: dict[str, Number] = {}  # name of its function -> number


def number(unit: str) -> Callable:
    """Register a function that measures a number with this unit."""

    def register(measure: Callable[[], float]) -> Callable[[], float]:
        NUMBERS[measure.__name__] = Number(measure, unit)
        return measure

    return register


def size(n: int) -> int:
    """n, or less in a test."""
    return max(64, n // REDUCED)


def seconds(call: Callable[[], object]) -> float:
    """The least time of a call."""
    call()
    return min(timed(call, 1, "cpu") for _ in range(ROUNDS))


def times(slow: Callable[[], object], fast: Callable[[], object], of: Callable[[list[float]], float] = min) -> float:
    """The least time of slow / that of fast; or the median of each, where it is the disturbance that is measured."""
    slow(), fast()
    rounds = [(timed(slow, 1, "cpu"), timed(fast, 1, "cpu")) for _ in range(ROUNDS)]
    return of([pair[0] for pair in rounds]) / of([pair[1] for pair in rounds])


@functools.cache
def probes() -> ctypes.CDLL:
    """The compiled functions of probes.cpp."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "probes.so")
        flags = ["-O2", "-march=native", "-std=c++20", "-fPIC", "-shared", "-pthread", "-Wall"]
        subprocess.run(["g++", *flags, HERE / "probes.cpp", "-o", library], check=True)
        return ctypes.CDLL(str(library))


def probe(name: str, *arguments) -> Callable[[], float]:
    """A call of one of them, with whole numbers and tensors."""
    function = getattr(probes(), name)
    function.restype = ctypes.c_double
    passed = [ctypes.c_int64(a) if isinstance(a, int) else ctypes.c_void_p(a.data_ptr()) for a in arguments]
    call = lambda: function(*passed)
    call.keep = arguments  # as long as their addresses are used
    return call
