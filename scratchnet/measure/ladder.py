"""The rungs of a ladder: what each changes in the source of the one below it, how right it is and how fast."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch

from scratchnet import backends
from scratchnet.columns import CSRC, module
from scratchnet.measure import bench
from scratchnet.measure.bench import Call, Measurement, Settings
from scratchnet.ops import FILES, OPS, Cost

FOLDERS = {"cpp": "cpu", "cuda": "cuda"}  # of csrc
COLUMNS = ("cpp", "cuda", "triton")


@dataclass(frozen=True)
class Rung:
    """One way to write an operator on one backend, numbered from 1."""

    column: str
    ladder: str  # the operator; a folder of csrc whose kernels belong to none
    number: int
    idea: str

    @property
    def name(self) -> str:
        """The name that `scratchnet.backend(...)` takes."""
        return f"{self.column}:{self.number}"

    @property
    def source(self) -> Path:
        """Its file."""
        if self.column == "triton":
            return Path(find_spec(module(OPS[self.ladder], "triton", self.number)).origin)
        folder = CSRC / FOLDERS[self.column] / FILES.get(self.ladder, self.ladder)
        if not folder.is_dir():  # the kernels of scatter_add are gather's
            folder = folder.with_name(OPS[self.ladder].primitive)
        return next(folder.glob(f"{self.number}_*"))


def rungs(ladder: str, columns: tuple[str, ...] = COLUMNS) -> list[Rung]:
    """Those of an operator, from the naive one up, backend by backend."""
    ideas = [(column, OPS[ladder].rungs(column)) for column in columns]
    return [Rung(column, ladder, n, idea) for column, own in ideas for n, idea in enumerate(own, 1)]


def difference(low: Rung, high: Rung) -> list[str]:
    """The unified diff of two sources."""
    texts = [rung.source.read_text(encoding="utf-8").splitlines() for rung in (low, high)]
    names = ["/".join(rung.source.parts[-4 if rung.column in FOLDERS else -3 :]) for rung in (low, high)]
    return list(difflib.unified_diff(*texts, *names, lineterm=""))


def below(steps: list[Rung], step: Rung) -> Rung | None:
    """The rung that a rung stands on; None for the first of its backend."""
    return next((low for low in steps if (low.column, low.number) == (step.column, step.number - 1)), None)


def new_lines(low: Rung, high: Rung) -> list[int]:
    """The numbers, from 1, of the lines of a rung's source that the rung below does not have."""
    texts = [rung.source.read_text(encoding="utf-8").splitlines() for rung in (low, high)]
    changes = difflib.SequenceMatcher(None, *texts).get_opcodes()
    return [
        at + 1 for _, _, _, begin, end in (change for change in changes if change[0] != "equal") for at in range(begin, end)
    ]


def lines(steps: list[Rung], step: Rung) -> str:
    """How long a rung's source is and how many of its lines the rung below does not have: "124, 90 new"."""
    length = str(len(step.source.read_text(encoding="utf-8").splitlines()))
    low = below(steps, step)
    return length if low is None else f"{length}, {len(new_lines(low, step))} new"


def measure(ladder: str, steps: list[Rung], size: tuple[int, int] | None, settings: Settings) -> dict[str, Measurement]:
    """Rung -> the operator's first example, judged and, where it runs for real, timed beside torch's own.

    size: rows and columns; None: the smallest that `scratchnet bench` times, because naive loops are slow.
    """
    op = OPS[ladder]
    size = size or min(op.sizes, key=lambda shape: shape[0] * shape[1])
    names = tuple(step.name for step in steps if backends.runs(step.column, settings.device))
    results = bench.case(op, next(iter(op.examples)), *size, replace(settings, backends=names))
    return {result.backend: result for result in results}


def moved(step: Rung, result: Measurement) -> Cost:
    """What a rung really moves in the call that was measured: every pass over a tensor counts."""
    op = OPS[result.op]
    call = Call.drawn(op, result.example, result.rows, result.columns, getattr(torch, result.dtype), "cpu")
    return op.moved(step.column, step.number)(*call.args, **call.kwargs)
