"""CUDA C++ on a CPU, and every memory access of a kernel: which one is forbidden, and what moves.

A reader's `.cu` file runs in the emulator (README.md), one CUDA thread at a time; a `.cpp` file runs as it is. In both, each
load and store is announced (trace.cpp), so that the report names races, accesses out of bounds and barriers that not all
threads reach, with the line; and that loads, bytes, cache misses and contested cache lines can be counted instead of timed.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "include"
SOURCES = (HERE / "emulation.cpp", HERE / "trace.cpp", HERE / "hooks.cpp")
FLAGS = ["-std=c++20", "-O1", "-g", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wno-unknown-pragmas", f"-I{INCLUDE}"]
ANNOUNCED = ["-fsanitize=thread,bounds,alignment"]  # when compiling only: trace.cpp is the runtime


class EmulationError(Exception):
    """The file does not compile, or there is no compiler; the message quotes it."""


class Counts(ctypes.Structure):
    """`trace::Counts`: trace.h says what each of them is."""

    NAMES = ("accesses", "bytes", "misses", "sectors", "shared", "threads", "contested", "aliases", "subnormals")
    _fields_ = [(name, ctypes.c_int64) for name in NAMES]


def missing() -> str | None:
    """Why the emulation cannot run here."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "the CUDA emulation switches stacks in x86-64 assembly, for Linux"
    if shutil.which("g++") is None:
        return "the CUDA emulation needs g++: apt install g++"
    return None


def compile(source: Path, target: Path, options: tuple[str, ...] | list[str] = ()) -> Path:
    """Compile a CUDA (.cu) or C++ file into a shared library whose accesses to memory are traced.

    EmulationError if the compiler rejects it, or there is none.
    """
    if reason := missing():
        raise EmulationError(reason)
    text = source.read_text(encoding="utf-8")
    cuda = source.suffix == ".cu"
    work = target.with_suffix(".traced.cpp")
    work.write_text(f'#line 1 "{source.name}"\n{as_cpp(text) if cuda else text}', encoding="utf-8")
    language = ["-include", str(INCLUDE / "launch_syntax.h")] if cuda else ["-march=native", "-O3", "-pthread"]
    objects = [str(_object(path)) for path in SOURCES]
    compiled = target.with_suffix(".o")
    _run("g++", *FLAGS, *ANNOUNCED, *language, *options, "-c", str(work), "-o", str(compiled))
    _run("g++", "-shared", "-pthread", "-Wl,-Bsymbolic", *objects, str(compiled), "-o", str(target))
    return target


def as_cpp(text: str) -> str:
    """CUDA's two additions to the grammar as C++: kernel<<<grid, block>>>(...) and extern __shared__."""
    text = re.sub(r"([\w:]+(?:<[^;{}]*?>)?)\s*<<<(.*?)>>>\s*\(", r"emulation::on(\1, \2)(", text, flags=re.DOTALL)
    return re.sub(
        r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;", r"\1* const \2 = (\1*)emulation::dynamic_shared;", text
    )


def _object(source: Path) -> Path:
    """A part of the emulator, compiled once for each version of its sources and kept in the user's cache."""
    parts = sorted(path for path in HERE.rglob("*") if path.suffix in (".cpp", ".h", ".cuh"))
    key = hashlib.blake2b(b"".join(path.read_bytes() for path in parts), digest_size=8).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scratchnet"
    target = cache / f"{source.stem}-{key}.o"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")  # processes that compile at the same time do not meet
        _run("g++", *FLAGS, "-O2", "-c", str(source), "-o", str(fresh))
        fresh.replace(target)
    return target


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise EmulationError(f"{command[0]} rejects it:\n{result.stderr.strip()}")


class Traced:
    """A library from `compile`: which arrays its functions may touch, what they did wrong, and what they moved."""

    def __init__(self, path: Path):
        self.path = path
        self.library = ctypes.CDLL(str(path))
        self.library.sn_trace_report.restype = ctypes.c_char_p
        self.library.sn_trace_counts.restype = ctypes.POINTER(Counts)
        self.library.sn_trace_touched.restype = ctypes.POINTER(ctypes.c_int32)
        self.library.sn_emulation_seed(ctypes.c_uint64(0))
        self.sizes: dict[str, int] = {}  # of the arrays of this call

    def begin(self, on_gpu: bool, counting: bool = False) -> None:
        """Forget the last call. `on_gpu`: only kernels may touch the arrays, not the function that launches them."""
        self.library.sn_trace_begin(not on_gpu, counting)
        self.sizes.clear()

    def array(self, name: str, t: Tensor, writable: bool) -> None:
        """An array that the next call may read, and may write if `writable`."""
        address, items = ctypes.c_void_p(t.data_ptr()), ctypes.c_int64(t.numel())
        self.library.sn_trace_buffer(name.encode(), address, items, t.element_size(), writable)
        self.sizes[name] = t.numel()

    def report(self) -> str:
        """The first thing that went wrong in the last call, "" if nothing did."""
        return re.sub(r"@(\d+)@", lambda found: f"line {self._line(int(found[1]))}", self.library.sn_trace_report().decode())

    def _line(self, offset: int) -> str:
        answer = subprocess.run(["addr2line", "-e", str(self.path), hex(offset)], capture_output=True, text=True)
        return answer.stdout.rpartition(":")[2].split(" ")[0].strip() or "?"

    def counts(self) -> dict[str, int]:
        """What the last call moved, if it was counted."""
        counts = self.library.sn_trace_counts().contents
        return {name: getattr(counts, name) for name in Counts.NAMES}

    def touched(self, name: str, written: bool) -> Tensor:
        """How often each number of an array was read, or written, in the last call."""
        number, size = list(self.sizes).index(name), self.sizes[name]
        return torch.tensor(self.library.sn_trace_touched(number, written)[:size], dtype=torch.int32)
