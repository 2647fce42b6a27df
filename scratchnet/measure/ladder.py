"""The rungs of a primitive: what each changes in the source of the one below it, how right it is and how fast."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import scratchnet
from scratchnet import backends
from scratchnet.columns import module
from scratchnet.measure import bench, roofline
from scratchnet.measure.bench import Measurement, Settings
from scratchnet.ops import OPS
from scratchnet.optional import need

ROOT = Path(scratchnet.__file__).parents[1]
FOLDERS = {"cpp": "csrc/cpu", "cuda": "csrc/cuda"}
COLUMNS = ("cpp", "cuda", "triton")


@dataclass(frozen=True)
class Rung:
    """One way to write a primitive on one backend, numbered from 1."""

    column: str
    primitive: str
    number: int
    idea: str

    @property
    def name(self) -> str:
        """The name that `scratchnet.backend(...)` takes."""
        return f"{self.column}:{self.number}"

    @property
    def source(self) -> Path | None:
        """Its file; None where the sources are missing."""
        if self.column == "triton":
            return Path(find_spec(module(OPS[self.primitive], "triton", self.number)).origin)
        return next((ROOT / FOLDERS[self.column] / self.primitive).glob(f"{self.number}_*"), None)


def rungs(primitive: str, columns: tuple[str, ...] = COLUMNS) -> list[Rung]:
    """From the naive one up, backend by backend."""
    ideas = [(column, OPS[primitive].rungs(column)) for column in columns]
    return [Rung(column, primitive, n, idea) for column, own in ideas for n, idea in enumerate(own, 1)]


def difference(low: Rung, high: Rung) -> list[str]:
    """The unified diff of two sources. FileNotFoundError where they are missing."""
    if missing := [rung.name for rung in (low, high) if rung.source is None]:
        raise FileNotFoundError(f"no source of {' and '.join(missing)} here: C++ and CUDA sources are in a clone")
    texts = [rung.source.read_text().splitlines() for rung in (low, high)]
    return list(difflib.unified_diff(*texts, *(str(rung.source.relative_to(ROOT)) for rung in (low, high)), lineterm=""))


def lines(steps: list[Rung], step: Rung) -> str:
    """How long a rung's source is and how many of its lines the rung below does not have: "124, 90 new"."""
    if step.source is None:
        return ""
    length = str(len(step.source.read_text().splitlines()))
    below = next((low for low in steps if (low.column, low.number) == (step.column, step.number - 1)), None)
    if below is None:
        return length
    return f"{length}, {sum(line.startswith('+') for line in difference(below, step)[2:])} new"


def measure(primitive: str, steps: list[Rung], size: tuple[int, int] | None, settings: Settings) -> dict[str, Measurement]:
    """Rung -> the primitive's first example, judged and, where it runs for real, timed beside torch's own.

    size: rows and columns; None: the smallest that `scratchnet bench` times, because naive loops are slow.
    """
    op = OPS[primitive]
    size = size or min(op.sizes, key=lambda shape: shape[0] * shape[1])
    names = tuple(step.name for step in steps if backends.runs(step.column, settings.device))
    results = bench.case(op, next(iter(op.examples)), *size, replace(settings, backends=names))
    return {result.backend: result for result in results}


def plot(steps: list[Rung], results: dict[str, Measurement], path: str | Path) -> None:
    """Draw what each timed rung reaches beside torch's own, as bars and as dots under the roofline, in a PNG file.

    ValueError if nothing was timed, ImportError if matplotlib is missing.
    """
    need("scratchnet.measure.ladder", "matplotlib", "matplotlib")
    from matplotlib.figure import Figure

    timed = [step for step in steps if step.name in results and results[step.name].timings]
    if not timed:
        raise ValueError("there is no ladder to draw without a rung that was timed")
    first = results[timed[0].name]
    flops = all(timing.compute_bound for timing in first.timings)
    unit, amount = ("GFLOP/s", "flops") if flops else ("GB/s", "bytes")
    roof = first.timings[0].roof
    high = 1.5 + 0.6 * len(timed)
    figure = Figure(figsize=(9, high + 4), layout="constrained")
    bars, below = figure.subfigures(2, 1, height_ratios=(high, 4))
    names = [f"{step.name}  {step.idea}" for step in timed] + ["torch's own"]
    for number, axes in enumerate(bars.subplots(1, 2, sharey=True)):
        timings = [results[step.name].timings[number] for step in timed]
        seconds = [t.seconds.median for t in timings] + [timings[-1].torch_seconds.median]
        speeds = [getattr(timings[0], amount) / s / 1e9 for s in seconds]
        axes.barh(names, speeds, color=["C0"] * len(timed) + ["gray"])
        axes.axvline((roof.arithmetic if flops else roof.bandwidth) / 1e9, color="black", linestyle="--")
        axes.set(title=timings[0].direction, xlabel=unit)
    bars.axes[0].invert_yaxis()  # of both: they share it
    axes, timings = below.subplots(), [results[step.name].timings[1] for step in timed]
    roofline.draw_roof(axes, timings)
    for step, t in zip(timed, timings, strict=True):
        axes.scatter(t.intensity, t.gigaflops, label=step.name)
    axes.scatter(t.intensity, t.flops / t.torch_seconds.median / 1e9, color="gray", marker="x", label="torch's own")
    axes.legend()
    figure.suptitle(f"{first.op}, {first.rows}x{first.columns}, {first.dtype}; dashed: the roof")
    figure.savefig(path, format="png", dpi=150)
