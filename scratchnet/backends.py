"""Which backend runs: the fastest one as measured (`profile`), or the one that a `with` block or SCRATCHNET_BACKEND names."""

from __future__ import annotations

import contextlib
import importlib.util
import os

import torch

from scratchnet import _compiled
from scratchnet.ops import BACKENDS, OPS, Op

TORCH = "torch"  # not a column of the grid: torch's own functions
NAMES = (*BACKENDS, TORCH)
HIGHEST = {column: max(len(op.rungs(column)) for op in OPS.values()) for column in BACKENDS}  # rung

_named: str | None = None  # what `backend(...)` asks for; None: the fastest


def parse(name: str) -> tuple[str, int | None]:
    """Split "cpp:1" into ("cpp", 1); without a number, ("cpp", None) means the last rung of each primitive.

    Raises ValueError for a backend that does not exist or a rung that it does not have, TypeError for another type.
    """
    if not isinstance(name, str):
        raise TypeError(f"backend(): argument 'name': must be str or None, not {type(name).__name__}")
    column, colon, rung = name.partition(":")
    if name == TORCH:
        return TORCH, None
    if column not in BACKENDS:
        raise ValueError(f"backend(): argument 'name': there is no backend {name!r}; the backends are {', '.join(NAMES)}")
    if colon and rung not in [str(r) for r in range(1, HIGHEST[column] + 1)]:
        raise ValueError(f"backend(): argument 'name': {column} has no rung {rung!r}; its rungs are 1 to {HIGHEST[column]}")
    return column, int(rung) if rung else None


def missing(column: str) -> str | None:
    """Why a backend cannot run here, with the command that fixes it; None if it can."""
    if column == "cpp" and _compiled.module is None:
        return _compiled.reason
    if column == "cuda":
        return _compiled.cuda_reason or (None if torch.cuda.is_available() else "torch finds no GPU here")
    if column == "triton" and importlib.util.find_spec("triton") is None:
        return "Triton is not installed: pip install triton"
    return None


class backend(contextlib.ContextDecorator):
    """Run every scratchnet operator on the named backend: `with scratchnet.backend("cpp:1"): ...`, also as a decorator.

    name: "cpp", "numpy", "reference", ..., or one rung of it such as "cpp:1"; "torch" runs torch's own functions. None restores
    the default, the fastest as measured. The choice holds for the process; a backward pass runs on the backend of its forward
    pass. The bits of "cpp" do not depend on the number of threads; with no backend named they do wherever torch's own
    function is the faster one, as for most small tensors.
    Raises ValueError for a name that does not exist and RuntimeError for a backend that is not installed.
    """

    def __init__(self, name: str | None):
        if name is not None:
            column, _ = parse(name)
            if reason := missing(column):
                raise RuntimeError(f"backend({name!r}): {reason}")
        self.name = name
        self.outer: list[str | None] = []

    def __enter__(self) -> backend:
        global _named
        self.outer.append(_named)
        _named = self.name
        return self

    def __exit__(self, *exc: object) -> None:
        global _named
        _named = self.outer.pop()


def current() -> str | None:
    """The backend that was asked for, or None if the fastest one is to run."""
    return _named


def runs(column: str, device: str) -> bool:
    """Whether a backend can run here on tensors of that device. Triton takes CPU tensors only where its interpreter is on."""
    if missing(column) or device not in BACKENDS[column].devices:
        return False
    return (column, device) != ("triton", "cpu") or importlib.import_module("scratchnet.kernels.launch").INTERPRETED


def runnable(op: Op, device: str = "cpu") -> list[str]:
    """Every backend and rung that has kernels for an operator and can run here, as `backend(...)` names them."""
    names = []
    for column in BACKENDS:
        count = len(op.rungs(column))
        if runs(column, device):
            names += [column] if count == 1 else [f"{column}:{rung}" for rung in range(1, count + 1)]
    return names


def default() -> str:
    """Whose kernels run CPU tensors when no backend is named, wherever torch's own function is not the faster one."""
    return TORCH if missing("cpp") else "cpp"


if os.environ.get("SCRATCHNET_BACKEND"):
    try:
        backend(os.environ["SCRATCHNET_BACKEND"]).__enter__()
    except (ValueError, RuntimeError) as error:
        raise type(error)(f"environment variable SCRATCHNET_BACKEND: {error}") from None
