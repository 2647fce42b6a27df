"""Packages that `pip install scratchnet` leaves out and `pip install 'scratchnet[data]'` brings."""

from __future__ import annotations

from importlib.util import find_spec


def need(function: str, module: str, package: str) -> None:
    """ImportError with the command that mends it if `module` cannot be imported; nothing is imported."""
    try:
        found = find_spec(module) is not None
    except (ImportError, ValueError):  # ValueError: the entry in sys.modules is no module
        found = False
    if not found:
        raise ImportError(f"{function} needs {package}: pip install 'scratchnet[data]'")
