"""What a device can do at most, measured: no kernel moves bytes faster than its memory or computes faster than its units."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable

import torch

MEBIBYTES = 128  # of each array whose bandwidth is measured: more than the caches hold
PRODUCT = {"cpu": 1024, "cuda": 4096}  # rows and columns of the matrices whose product measures the arithmetic


@dataclass(frozen=True)
class Roof:
    """The two limits of one device in one dtype."""

    bandwidth: float  # bytes a second
    arithmetic: float  # FLOP a second

    @classmethod
    def measure(cls, device: str, dtype: torch.dtype) -> Roof:
        """Both, on the threads that torch has."""
        return cls(bandwidth(device), arithmetic(device, dtype))

    def described(self, device: str) -> str:
        """Both limits and what measured them."""
        n = PRODUCT[device]
        return (
            f"{self.bandwidth / 1e9:.1f} GB/s, torch.add(a, b, out=c) on three warm arrays of {MEBIBYTES} MiB, or "
            f"{self.arithmetic / 1e9:.0f} GFLOP/s, torch.mm of {n}x{n}"
        )


def bandwidth(device: str) -> float:
    """Bytes a second of STREAM's add, c = a + b, by torch: arrays larger than the caches, memory warm."""
    a, b, c = (torch.ones(MEBIBYTES * 2**18, device=device) for _ in range(3))
    return 3 * a.nbytes / _best(lambda: torch.add(a, b, out=c), device)


def arithmetic(device: str, dtype: torch.dtype) -> float:
    """FLOP a second of torch.mm on square matrices that are large enough to keep every unit busy."""
    n = PRODUCT[device]
    a, b, c = (torch.ones(n, n, dtype=dtype, device=device) for _ in range(3))
    return 2 * n**3 / _best(lambda: torch.mm(a, b, out=c), device)


def _best(call: Callable, device: str) -> float:
    with torch.no_grad():
        return min(timed(call, 1, device) for _ in range(8))


def timed(call: Callable, repeat: int, device: str) -> float:
    """Seconds a call. A GPU is timed by its own events: its work is queued, and a CPU's clock would read the queueing."""
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
