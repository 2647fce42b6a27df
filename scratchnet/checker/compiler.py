"""The machine's C++ compiler, for a reader's single file."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-pthread")  # never -ffast-math: it ignores NaN


class CompilerError(Exception):
    """There is no compiler, or it rejected the file; the message quotes it."""


def find_compiler() -> list[str] | None:
    """The command in CXX, or else the first of the usual ones that is installed."""
    named = shlex.split(os.environ.get("CXX", ""))
    candidates = [named] if named else [["g++"], ["clang++"], ["c++"]]
    return next((command for command in candidates if shutil.which(command[0])), None)


def listing(path: Path) -> list[str]:
    """The options by which a compiler writes to a file what it reads; `included` reads that."""
    return ["-MD", "-MF", str(path)]


def included(path: Path) -> tuple[str, ...]:
    """The files that a compiler has read, from the rule for make that it wrote."""
    names = re.split(r"(?<!\\)\s+", path.read_text(encoding="utf-8").partition(": ")[2].replace("\\\n", " ").strip())
    return tuple(name.replace("\\ ", " ") for name in names)


def shared_library(source: Path, target: Path, options: list[str] = []) -> Path:  # noqa: B006
    """Compile a C++ file into a shared library for ctypes."""
    compiler = find_compiler()
    if compiler is None:
        raise CompilerError("there is no C++ compiler here: install one (e.g. `sudo apt install g++`) or set CXX")
    command = [*compiler, *FLAGS, *options, str(source), "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise CompilerError(f"{compiler[0]} rejects it:\n{result.stderr.strip()}")
    return target
