"""Packages that `pip install scratchnet` leaves out: `pip install 'scratchnet[data]'` adds most of them."""

from __future__ import annotations

from importlib.util import find_spec


def need(function: str, module: str, package: str, install: str = "'scratchnet[data]'") -> None:
    """ImportError with the command that installs it if `module` cannot be imported; nothing is imported."""
    try:
        found = find_spec(module) is not None
    except (ImportError, ValueError):  # ValueError: the entry in sys.modules is not a module
        found = False
    if not found:
        raise ImportError(f"{function} needs {package}: pip install {install}")
