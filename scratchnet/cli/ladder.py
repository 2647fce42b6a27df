"""`scratchnet ladder`: the rungs of an operator, what each changes, how right it is and how fast it is here and now."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from rich.syntax import Syntax

from scratchnet.cli import markdown, options
from scratchnet.measure import ladder, ladder_plot, machine
from scratchnet.measure.bench import Measurement, Settings, Timing
from scratchnet.measure.ladder import COLUMNS, Rung
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS
from scratchnet.optional import need


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet ladder`."""
    parser.add_argument("operator", choices=OPS, help=", ".join(OPS), metavar="operator")
    parser.add_argument("--backend", action="append", choices=COLUMNS, help="one backend's rungs (default: all)")
    parser.add_argument("--size", nargs=2, type=options.positive, metavar=("ROWS", "COLUMNS"), help="(default: a small one)")
    what = "only show what rung B (such as cpp:2) changes in the source of rung A"
    parser.add_argument("--diff", nargs=2, metavar=("A", "B"), help=what)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw what each rung reaches: PNG, or SVG by its name")
    markdown.add_readme("ladder", parser)


def run(args: argparse.Namespace) -> int:
    """Measure and show; 1 if a rung was wrong."""
    steps = ladder.rungs(args.operator, tuple(args.backend or COLUMNS))
    screen = options.console()
    if args.diff:
        difference = "\n".join(ladder.difference(*(_find(name, ladder.rungs(args.operator)) for name in args.diff)))
        screen.print(Syntax(difference, "diff", background_color="default"))
        return 0
    if args.readme:
        markdown.split("ladder", args.readme)  # fail before the measurement if there is no place for the table
    if args.plot:
        need("scratchnet ladder --plot", "matplotlib", "matplotlib")
    facts = machine.facts()
    settings = Settings((), torch.float32, seconds=1.0, roof=Roof.measure("cpu", torch.float32))
    with options.progress(screen) as progress:
        task = progress.add_task(f"ladder {args.operator}", total=None)
        results = ladder.measure(args.operator, steps, args.size and tuple(args.size), settings)
        progress.remove_task(task)
    options.print_absent(screen, "cpu", args.backend)
    tables = [_rungs(steps, results), *_speeds(steps, results)]
    caption = "\n".join(f"- {line}" for line in _caption(args.operator, steps, results, facts, settings))
    for table in tables:
        markdown.show(screen, table)
    screen.print(caption, highlight=False, markup=False)
    picture = []
    if args.plot:
        words = ladder_plot.plot(steps, results, args.plot)
        picture = [f"![{words}]({os.path.relpath(args.plot, args.readme.parent)})"] if args.readme else []
    if args.readme:
        markdown.write("ladder", args.readme, *picture, *map(markdown.table, tables), caption)
    return int(any(not result.check.ok for result in results.values()))


def _find(name: str, steps: list[Rung]) -> Rung:
    for step in steps:
        if step.name == name:
            return step
    raise SystemExit(f"scratchnet ladder: there is no rung {name!r}; the rungs are {', '.join(step.name for step in steps)}")


def _rungs(steps: list[Rung], results: dict[str, Measurement]) -> list[tuple[str, ...]]:
    """The header, then what each rung is and how right."""
    lines = [("rung", "idea", "lines", "error")]
    for step in steps:
        result = results.get(step.name)
        error = " ".join(filter(None, (result.errors, result.untimed))) if result else "not run here"
        lines.append((step.name, step.idea, ladder.lines(steps, step), error))
    return lines


def _speeds(steps: list[Rung], results: dict[str, Measurement]) -> list[list[tuple[str, ...]]]:
    """A table of the rungs that were timed: the header, then how fast each is in both directions; none if none was."""
    speeds = ("pace", "x rung 1", "x torch")
    lines = [("rung", "forward ms", *speeds, "fwd+bwd ms", *speeds)]
    for step in steps:
        result, first = results.get(step.name), results.get(f"{step.column}:1")
        if result and result.timings:
            pairs = zip(result.timings, first.timings, strict=True)
            lines.append((step.name, *(cell for pair in pairs for cell in _speed(*pair))))
    return [lines] if len(lines) > 1 else []


def _speed(timing: Timing, first: Timing) -> tuple[str, ...]:
    gain = first.seconds.median / timing.seconds.median
    return f"{timing.seconds.median * 1e3:.3g}", timing.pace, f"{gain:.3g}", f"{timing.ratio.median:.2f}"


def _caption(operator: str, steps: list[Rung], results: dict[str, Measurement], facts: dict, settings: Settings) -> list[str]:
    """What the tables show, in lines."""
    timed = [result for result in results.values() if result.timings]
    call = f"{operator} [{timed[0].example}], {timed[0].rows}x{timed[0].columns}, float32. " if timed else ""
    lines = [
        f"{call}{machine.measured(facts, 'cpu')}",
        "Lines: of the source, and those that the rung below does not have.",
        "Error: the largest difference from the float64 oracle in outputs and gradients, ours / torch's.",
    ]
    if timed:
        lines += [
            "Pace: every input read once, every result written once; in brackets the share of the roof, above 100% where "
            f"a cache holds the arrays: {settings.roof}.",
            "x rung 1, x torch: their time / this rung's; above 1 it is faster.",
        ]
    if len(timed) < len(steps):
        lines.append("Not timed here: CUDA kernels, which the tests judge in an emulation, and Triton's, in its interpreter.")
    return lines
