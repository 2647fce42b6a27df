"""Numbers of our own kernels: one rung beside another, and the share of the roof."""

from __future__ import annotations

import contextlib
import re
from typing import Callable, Iterator

import torch

import scratchnet
from scratchnet import profile
from scratchnet.measure import roof
from terms import number, seconds, size, times
from terms.page import ROOT


def side(n: int) -> int:
    """Rows and columns of a square matrix with about size(n * n) numbers."""
    return max(16, int(size(n * n) ** 0.5))


def on(backend: str, function: Callable, *arguments) -> Callable:
    def call():
        with torch.no_grad(), scratchnet.backend(backend):
            return function(*arguments)

    return call


def _rungs(slow: int, fast: int, n: int) -> float:
    a, b = torch.randn(side(n), side(n)), torch.randn(side(n), side(n))
    with threads(1):
        return times(*(on(f"cpp:{rung}", scratchnet.matmul, a, b) for rung in (slow, fast)))


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it, torch and our kernels have so many."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def constant(path: str, pattern: str) -> int:
    """A number that stands in the source."""
    return int(re.search(pattern, (ROOT / path).read_text())[1])


@number("lanes")
def simd_lanes():
    """Float32 numbers in a register of the instruction set that scratchnet uses here."""
    return {"avx512": 64, "avx2": 32}.get(profile.isa(), 16) // 4


@number("times")
def masked():
    """Time of layer_norm of 4,096 rows of 1,023 numbers, whose last vectors are partial / of rows of 1,024."""
    odd, even = (torch.ones(size(4096), n) for n in (1023, 1024))
    return times(*(on("cpp", scratchnet.layer_norm, x, x.shape[1:]) for x in (odd, even)))


@number("times")
def instruction_sets():
    """Names of instruction sets of x86-64 in csrc/cpu/isa.cpp."""
    return len(re.search(r"#else\n.*NAMES\[\] = \{(.*)\};", (ROOT / "csrc/cpu/isa.cpp").read_text())[1].split(","))


@number("times")
def loop_order():
    """Time of matmul at 512 x 512 x 512 on one thread by rung 1 / by rung 2, whose loops are in another order."""
    return _rungs(1, 2, 512)


@number("times")
def cache_blocks():
    """Time of matmul at 1,024 x 1,024 x 1,024 on one thread by rung 2 / by rung 3, block by block."""
    return _rungs(2, 3, 1024)


@number("times")
def register_tiles():
    """Time of matmul at 512 x 512 x 512 on one thread by rung 3 / by rung 4, whose sums stay in registers."""
    return _rungs(3, 4, 512)


@number("times")
def packed():
    """Time of matmul of 512 x 512 by a transposed 512 x 512 on one thread by rung 5 / by rung 6, which packs b in registers."""
    a, b = torch.randn(side(512), side(512)), torch.randn(side(512), side(512)).T
    with threads(1):
        return times(*(on(f"cpp:{rung}", scratchnet.matmul, a, b) for rung in (5, 6)))


@number("times")
def few_rows():
    """Time of matmul of one row by 1,024 x 1,024 by rung 7 / by rung 9, inner products without packing."""
    a, b = torch.randn(1, side(1024)), torch.randn(side(1024), side(1024)).T
    return times(on("cpp:7", scratchnet.matmul, a, b), on("cpp:9", scratchnet.matmul, a, b))


@number("%")
def share_of_the_roof():
    """FLOP/s of matmul at 1,024 x 1,024 x 1,024 on one thread / those of multiply-adds in registers."""
    n = side(1024)
    with threads(1):
        product = seconds(on("cpp", scratchnet.matmul, torch.randn(n, n), torch.randn(n, n)))
        return 100 * 2 * n**3 / product / roof.multiply_adds(torch.float32)


@number("KiB")
def panel():
    """A panel of b of DEPTH rows of COLUMNS float32 numbers in csrc/cpu/matmul/tile.h."""
    vectors = {16: 4, 8: 2, 4: 2}[simd_lanes()]
    return constant("csrc/cpu/matmul/tile.h", r"DEPTH = (\d+)") * vectors * simd_lanes() * 4 / 1024


@number("times")
def two_threads():
    """Time of matmul at 512 x 512 x 512 on one thread / on all cores."""
    n = side(512)
    a, b = torch.randn(n, n), torch.randn(n, n)

    def call(count: int) -> None:
        with threads(count):
            on("cpp", scratchnet.matmul, a, b)()

    return times(lambda: call(1), lambda: call(profile.cores()))


@number("elements")
def grain():
    """GRAIN of csrc/cpu/parallel.h: what is worth a thread."""
    return constant("csrc/cpu/parallel.h", r"GRAIN = (\d+)")
