"""The compiled modules `scratchnet._C` and `scratchnet._cuda`: `module` and `cuda`, or None.

Then `reason` and `cuda_reason` say in one sentence why and what to run; `details` is what the compiler said.
"""

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
_IMPORTING = ("importlib", "_frozen_importlib", "_frozen_importlib_external")  # between a module and its import


def _build_command() -> str:
    in_clone = (_PACKAGE.parent / "setup.py").exists()
    source = f"-e {_PACKAGE.parent}" if in_clone else "<folder of the source>"
    ready = all(importlib.util.find_spec(tool) for tool in ("setuptools", "ninja", "pybind11"))
    return f"pip install --force-reinstall --no-deps {'--no-build-isolation ' if ready else ''}{source}"


def _warn(message: str) -> None:
    """A RuntimeWarning at the line that imported scratchnet; printed where warnings are errors (python -W error).

    Without the module scratchnet is slower, but no result is missing: no reason for an import to fail.
    """
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("scratchnet", *_IMPORTING):
        frame = frame.f_back
    registry, module = frame.f_globals.setdefault("__warningregistry__", {}), frame.f_globals.get("__name__")
    try:
        warnings.warn_explicit(message, RuntimeWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)
    except RuntimeWarning:
        print(f"RuntimeWarning: {message}", file=sys.stderr)


def _load(name: str, what: str) -> tuple[ModuleType | None, str, str]:
    """The module, why it is missing, and what the compiler said about it."""
    if importlib.util.find_spec(f"scratchnet.{name}") is not None:
        try:
            return importlib.import_module(f"scratchnet.{name}"), "", ""
        except ImportError as error:
            reason = f"{what} of scratchnet cannot be loaded ({error}). To build it again: {_build_command()}"
            _warn(reason)
            return None, reason, ""
    # setup.py left a note: a line with the status, a sentence, then the compiler's own words.
    note = _PACKAGE / f"{name}_build_failure.txt"
    if note.exists():
        status, sentence, details = note.read_text().split("\n", 2)
    else:
        tag = sys.implementation.cache_tag
        status, sentence, details = "missing", f"{what} of scratchnet is not there for this Python ({tag}).", ""
    reason = f"{sentence} To build it: {_build_command()}"
    if status == "failed" or (status == "missing" and name == "_C"):
        _warn(f"{reason}\n{details}".rstrip())
    return None, reason, details


module, reason, details = _load("_C", "The compiled module")
cuda, cuda_reason, _ = _load("_cuda", "The CUDA module")

if module is not None:
    _asked, _runs = os.environ.get("SCRATCHNET_CPU_ISA"), module.cpu_info()["isa"]
    if _asked and _asked != _runs:
        _warn(f"SCRATCHNET_CPU_ISA={_asked}: this build or CPU does not have it; {_runs} runs")
