"""Has a kernel become slower or less accurate? Compares every operator with the table measured earlier on such a machine.

`make bench-check` compares with expected.json, `python benchmarks/check.py --write` measures this machine's part again, or the
rows of some operators: `python benchmarks/check.py --write rope attention`. A row is the first example of an operator, small
enough for the caches or too large for them. It holds torch's time / ours in both directions, the lowest, middle and highest of
several passes, and our error as a share of the bound that `scratchnet verify` derives from torch's own. A ratio that fell by
more than the passes differ is measured again before it counts.

The exit code is 1 if something became worse, 2 if the table has nothing about such a machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch

from scratchnet.cli import options
from scratchnet.measure import bench, machine
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS, Op

TABLE = Path(__file__).with_name("expected.json")
IN_CACHE = (256, 256)  # rows and columns; an operator's own first size exceeds the cache
DTYPES = (torch.float32, torch.bfloat16)
SECONDS = 0.2  # per direction of a call
PASSES = 3  # their spread is the noise of a ratio
TRIES = 3  # for a ratio that fell
NOISE = 0.1  # ratios that differ by less count as equal, however little the passes differed
GROWTH = 2  # factor by which an error may grow

Row = dict[str, float]  # direction -> torch's time / ours; "error" -> the fraction of its bound


@dataclass(frozen=True)
class Case:
    """One call to measure."""

    op: Op
    rows: int
    columns: int
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """Its name in the table."""
        return f"{self.op.name} {self.rows}x{self.columns} {str(self.dtype).removeprefix('torch.')}"

    def measure(self) -> Row:
        """The last C++ rung and torch's own function, in turns."""
        settings = bench.Settings(("cpp",), self.dtype, SECONDS, Roof(1, 1))
        (result,) = bench.case(self.op, next(iter(self.op.examples)), self.rows, self.columns, settings)
        if not result.check.ok:
            raise SystemExit(f"bench-check: {self.name} is wrong: {result.check}")
        return {timing.direction: timing.ratio.median for timing in result.timings} | {"error": result.check.used}


def cases() -> Iterator[Case]:
    """Every operator in and out of the caches, in each dtype."""
    for op in OPS.values():
        for size in (IN_CACHE, op.sizes[0]):
            for dtype in DTYPES:
                yield Case(op, *size, dtype)


def summary(passes: list[Row]) -> dict[str, list[float] | float]:
    """The table's entry for several measurements of one row."""
    ratios = [name for name in passes[0] if name != "error"]
    spread = lambda values: [float(f"{v:.3g}") for v in (min(values), statistics.median(values), max(values))]
    error = float(f"{max(row['error'] for row in passes):.3g}")
    return {name: spread([row[name] for row in passes]) for name in ratios} | {"error": error}


def worse(expected: dict, row: Row) -> dict[str, str]:
    """What became worse in a row -> by how much."""
    found = {}
    for name, value in row.items():
        if name == "error":
            if not value <= GROWTH * expected[name]:  # a NaN is never <= anything
                found[name] = f"error {value:.2g} of its bound, was {expected[name]:.2g}"
        else:
            low, middle, high = expected[name]
            floor = middle * min(low / high, 1 - NOISE)
            if not value >= floor:
                found[name] = f"{name} {value:.2f} x torch, was {middle:.2f} ({low:.2f}-{high:.2f})"
    return found


def compare(expected: dict[str, dict], measured: dict[str, Row], again: Callable[[str], Row]) -> list[str]:
    """One sentence per row that became worse, is new or is gone. again: measures one row once more."""
    sentences = [f"{name}: not in the table" for name in measured if name not in expected]
    sentences += [f"{name}: in the table, but not measured" for name in expected if name not in measured]
    for name in measured.keys() & expected.keys():
        found = worse(expected[name], measured[name])
        for _ in range(TRIES - 1):
            if found:  # only what is worse every time counts
                still = worse(expected[name], again(name))
                found = {what: still[what] for what in found if what in still}
        sentences += [f"{name}: {text}" for text in found.values()]
    return sorted(sentences)


def write(path: Path, entries: dict[str, dict]) -> None:
    """Write the table, one row per line."""
    parts = []
    for kind, entry in sorted(entries.items()):
        rows = ",\n".join(f"   {json.dumps(name)}: {json.dumps(row)}" for name, row in entry["rows"].items())
        measured = json.dumps(entry["measured"])
        parts.append(f' {json.dumps(kind)}: {{\n  "measured": {measured},\n  "rows": {{\n{rows}\n  }}\n }}')
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def main(argv: list[str] | None = None) -> int:
    """Measure, then compare or write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"measure {PASSES} times and write this machine's part")
    parser.add_argument("ops", nargs="*", metavar="OPERATOR", help="only these (default: all)")
    args = parser.parse_args(argv)
    if unknown := set(args.ops) - OPS.keys():
        parser.error(f"no such operator: {', '.join(sorted(unknown))}; there are {', '.join(OPS)}")
    entries = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    kind, screen, every = machine.kind(), options.console(), {case.name: case for case in cases()}
    some = {name: case for name, case in every.items() if not args.ops or name.split()[0] in args.ops}
    if kind not in entries and not args.write:
        screen.print(
            f"{TABLE.name} has nothing about such a machine ({kind}), only about: {'; '.join(entries) or 'none'}.\n"
            "To measure it, with nothing else running: python benchmarks/check.py --write",
            highlight=False,
        )
        return 2
    passes: dict[str, list[Row]] = {name: [] for name in some}
    with options.progress(screen) as progress:
        turns = [name for _ in range(PASSES if args.write else 1) for name in some]  # a pass covers all rows: minutes apart
        for name in progress.track(turns, description="bench-check"):
            passes[name].append(some[name].measure())
    if args.write:
        rows = {name: summary(values) for name, values in passes.items()}
        measured = machine.measured(machine.facts(), "cpu")
        if args.ops:
            before = entries.get(kind, {"measured": "", "rows": {}})
            rows = {name: (before["rows"] | rows)[name] for name in every if name in before["rows"] | rows}
            measured = f"{before['measured']} The rows of {', '.join(args.ops)}: {measured}".strip()
        write(TABLE, entries | {kind: {"measured": measured, "rows": rows}})
        screen.print(f"{len(rows)} rows written for {kind}", highlight=False)
        return 0
    measured = {name: values[0] for name, values in passes.items()}
    expected = {name: row for name, row in entries[kind]["rows"].items() if name in some or name not in every}
    sentences = compare(expected, measured, lambda name: every[name].measure())
    for sentence in sentences:
        screen.print(f"WORSE {sentence}", markup=False, style="red")
    screen.print(f"{len(measured)} rows, {len(sentences)} worse; {kind}", highlight=False)
    return 1 if sentences else 0


if __name__ == "__main__":
    raise SystemExit(main())
