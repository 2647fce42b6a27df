"""The measured limits of a device: no kernel moves bytes faster than its memory or computes faster than its units."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Callable

import torch

from scratchnet import _compiled

MEBIBYTES = {"cpu": 128, "cuda": 1024}  # of each array that measures the bandwidth: more than the caches hold
ROUNDS = 2**20  # of multiply-adds: some 10 ms
PRODUCT = {"cpu": 1024, "cuda": 8192}  # rows and columns of the matrices whose product measures the arithmetic


@dataclass(frozen=True)
class Roof:
    """The two limits of one device in one dtype."""

    bandwidth: float  # bytes per second
    arithmetic: float  # FLOP per second
    what: str = ""  # what measured the arithmetic
    mebibytes: int = MEBIBYTES["cpu"]  # of each array that measured the bandwidth

    @classmethod
    def measure(cls, device: str, dtype: torch.dtype, moved: int | None = None) -> Roof:
        """Measure both, on torch's threads; `moved` as in `bandwidth`."""
        if device == "cpu" and _compiled.module and dtype in (torch.float32, torch.float64):
            return cls(bandwidth(device, moved), multiply_adds(dtype), "multiply-adds in registers")
        what = f"torch.mm of {PRODUCT[device]}x{PRODUCT[device]}"
        return cls(bandwidth(device, moved), product(device, dtype), what, MEBIBYTES[device])

    def __str__(self) -> str:
        return (
            f"{self.bandwidth / 1e9:.1f} GB/s, torch.add(a, b, out=c) on three warm arrays of {self.mebibytes} MiB, or "
            f"{self.arithmetic / 1e9:.0f} GFLOP/s, {self.what}"
        )


def bandwidth(device: str, moved: int | None = None) -> float:
    """Bytes per second of STREAM's add, c = a + b, by torch on warm arrays of `moved` bytes, by default beyond the caches."""
    n = MEBIBYTES[device] * 2**18 if moved is None else max(1, moved // 12)
    a, b, c = (torch.ones(n, device=device) for _ in range(3))
    return 3 * a.nbytes / _best(lambda: torch.add(a, b, out=c), device)


def multiply_adds(dtype: torch.dtype) -> float:
    """FLOP per second of multiply-adds on numbers that never leave the registers."""
    call = functools.partial(_compiled.module.multiply_add, dtype == torch.float64, ROUNDS)
    return call() / _best(call, "cpu")


def product(device: str, dtype: torch.dtype) -> float:
    """FLOP per second of torch.mm on square matrices that are large enough to keep every unit busy."""
    n = PRODUCT[device]
    # Not ones, whose products take a GPU less power and so less time.
    a, b, c = (torch.randn(n, n, dtype=dtype, device=device) for _ in range(3))
    return 2 * n**3 / _best(lambda: torch.mm(a, b, out=c), device)


def _best(call: Callable, device: str) -> float:
    with torch.no_grad():
        return min(timed(call, 1, device) for _ in range(8))


def timed(call: Callable, repeat: int, device: str) -> float:
    """Seconds per call. A GPU is timed by its own events: its work is queued, and a CPU's clock would time the queueing."""
    if device == "cuda":
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeat):
            call()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1e3 / repeat
    begin = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - begin) / repeat
