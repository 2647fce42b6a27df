"""How much memory a call takes at its peak."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path
from typing import Callable

import torch

from scratchnet import _compiled


def peak(call: Callable[[], object], device: str = "cpu") -> int | None:
    """Bytes that a call adds at its peak to what this process holds on a device; None on a CPU but on Linux."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - held
    if sys.platform != "linux":
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    if _compiled.module:
        _compiled.module.release_kept_pages()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
