"""The compiled module `scratchnet._C`: `module`, or None; then `reason` says in one sentence why and what to run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

import torch  # noqa: F401  first: the module links to the libraries that torch loads

_PACKAGE = Path(__file__).parent


def _build_command() -> str:
    in_clone = (_PACKAGE.parent / "setup.py").exists()
    source = f"-e {_PACKAGE.parent}" if in_clone else "<folder of the source>"
    ready = all(importlib.util.find_spec(tool) for tool in ("setuptools", "ninja", "pybind11"))
    return f"pip install --force-reinstall --no-deps {'--no-build-isolation ' if ready else ''}{source}"


def _load() -> tuple[ModuleType | None, str, str]:
    """The module, why it is missing, and what the compiler said about it."""
    if importlib.util.find_spec("scratchnet._C") is not None:
        try:
            module = importlib.import_module("scratchnet._C")
        except ImportError as error:
            reason = f"The compiled module of scratchnet cannot be loaded ({error}). To build it again: {_build_command()}"
            warnings.warn(reason, RuntimeWarning, stacklevel=4)
            return None, reason, ""
        asked, runs = os.environ.get("SCRATCHNET_CPU_ISA"), module.cpu_info()["isa"]
        if asked and asked != runs:
            problem = f"SCRATCHNET_CPU_ISA={asked}: this build or CPU does not have it; {runs} runs"
            warnings.warn(problem, RuntimeWarning, stacklevel=4)
        return module, "", ""
    # setup.py left a note: a line with the status, a sentence, then the compiler's own words.
    note = _PACKAGE / "_build_failure.txt"
    if note.exists():
        status, sentence, details = note.read_text().split("\n", 2)
    else:
        tag = sys.implementation.cache_tag
        status, sentence, details = "missing", f"scratchnet has no compiled module for this Python ({tag}).", ""
    reason = f"{sentence} To build it: {_build_command()}"
    if status != "skipped":
        warnings.warn(f"{reason}\n{details}".rstrip(), RuntimeWarning, stacklevel=4)
    return None, reason, details


module, reason, details = _load()
