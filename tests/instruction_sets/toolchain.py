"""setup.py's compiler and flags for each instruction set, on this machine or, for another kind, by Debian's cross-compiler."""

from __future__ import annotations

import functools
import platform
import runpy
import shutil
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
ARM = ("aarch64", "arm64")
CROSS = "aarch64-linux-gnu-g++"
QEMU = "qemu-aarch64"


@functools.cache
def setup(machine: str) -> dict:
    """What setup.py defines on such a machine."""
    with mock.patch.object(platform, "machine", lambda: machine):
        return runpy.run_path(str(ROOT / "setup.py"))


def machine_of(isa: str) -> str:
    """A machine that has the instruction set, this one if it is of that kind."""
    own = platform.machine()
    kinds = ARM if isa == "neon" else ("x86_64", "AMD64")
    return own if own in kinds else kinds[0]


def compiler(machine: str) -> list[str]:
    """The command that compiles for such a machine."""
    return setup(machine)["find_compiler"]() if machine == platform.machine() else [CROSS]


def missing(machine: str) -> str | None:
    """Why nothing can be compiled here for such a machine."""
    if not (ROOT / "setup.py").exists():
        return "the sources are in a clone"
    if machine == platform.machine():
        return None if any(map(shutil.which, ("g++", "clang++", "c++"))) else "needs a C++ compiler: install g++ or set CXX"
    if machine not in ARM:
        return f"compiles for {machine} on such machines alone"
    return None if shutil.which(CROSS) else f"{CROSS} is missing: apt install g++-aarch64-linux-gnu"
