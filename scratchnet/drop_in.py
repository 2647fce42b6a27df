"""What lets `scratchnet.nn` and `scratchnet.optim` stand in for `torch.nn` and `torch.optim`."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Callable, NoReturn

import torch.fx
from torch.nn import Module


def public(names: dict[str, object]) -> list[str]:
    """The names of a module's public functions and classes, from its `globals()` after the last import."""
    return [name for name, value in names.items() if callable(value) and not name.startswith("_")]


def missing(module: str, torch_module: ModuleType) -> Callable[[str], NoReturn]:
    """A module-level `__getattr__` that says where to find what torch has and scratchnet does not."""

    def __getattr__(name: str) -> NoReturn:
        here = not name.startswith("_") and hasattr(torch_module, name)
        hint = f"; torch's own works beside ours: {torch_module.__name__}.{name}" if here else ""
        raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}")

    return __getattr__


def alias(module: str, torch_module: ModuleType, *names: str) -> None:
    """Make torch's submodules importable from ours: `from scratchnet.nn.utils.rnn import pad_sequence` finds torch's module."""
    for name in names:
        root = f"{torch_module.__name__}.{name}"
        for key in [key for key in list(sys.modules) if key == root or key.startswith(root + ".")]:
            sys.modules[module + key.removeprefix(torch_module.__name__)] = sys.modules[key]


def leaves(package: str) -> None:
    """Make the layers of a package leaves of torch.fx graphs; by default only classes of torch.nn are leaves."""
    known = torch.fx.Tracer.is_leaf_module

    @functools.wraps(known)
    def is_leaf_module(tracer: torch.fx.Tracer, m: Module, module_qualified_name: str) -> bool:
        return m.__module__.startswith(f"{package}.") or known(tracer, m, module_qualified_name)

    torch.fx.Tracer.is_leaf_module = is_leaf_module
