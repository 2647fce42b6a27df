"""`scratchnet bench`: ours beside torch's own; a table for people, a CSV for machines, a Markdown table for the README."""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from scratchnet import backends, bench, machine
from scratchnet.bench import Row, Spread
from scratchnet.cli import options
from scratchnet.registry import Op

Sizes = dict[str, tuple[tuple[int, int], ...]]  # operator -> (rows, columns) to time

HEADER = ("operator", "size", "backend", "default", "forward ms", "x torch", "fwd+bwd ms", "x torch", "fwd+bwd moves", "error")
MARKERS = ("<!-- bench -->", "<!-- /bench -->")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet bench`."""
    options.add_operator(parser)
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    options.add_backend(parser, "the last rung of cpp")
    what = "how many threads torch and we use (default: torch's choice)"
    parser.add_argument("--threads", type=options.positive, metavar="N", help=what)
    parser.add_argument("--dtype", default="float32", choices=["float64", "float32", "bfloat16", "float16"])
    parser.add_argument("--quick", action="store_true", help="the first example and size of each operator, under a minute")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every figure, with machine, versions and commit")
    what = f"replace what stands between '{MARKERS[0]}' and '{MARKERS[1]}' in FILE by the table"
    parser.add_argument("--readme", type=Path, metavar="FILE", help=what)


def run(args: argparse.Namespace, sizes: Sizes | None = None) -> int:
    """Measure, then report; 1 if a result was wrong: speed does not excuse it."""
    if args.readme:
        _split(args.readme)  # a file that cannot take the table is better known before the measurement
    threads = torch.get_num_threads()
    try:
        if args.threads:
            torch.set_num_threads(args.threads)
        facts = machine.facts()
        memory = bench.bandwidth()
        screen = options.console()
        rows = _measure(args, sizes, memory, screen)
    finally:
        torch.set_num_threads(threads)
    table = Table(*HEADER)
    for cells in _cells(rows):
        table.add_row(*cells)
    screen.print(table)
    screen.print(_caption(facts, memory), highlight=False)
    if facts["threads"] > 1 and not facts["OMP_WAIT_POLICY"]:
        screen.print("Idle threads spin: if other programs use these cores, start with OMP_WAIT_POLICY=passive")
    if args.csv:
        _write_csv(args.csv, rows, facts)
    if args.readme:
        _write_markdown(args.readme, rows, _caption(facts, memory))
    wrong = {f"{row.op} [{row.example}] on {row.backend}: {row.check}" for row in rows if not row.check.ok}
    for line in sorted(wrong):
        screen.print(f"WRONG {line}", markup=False, style="red")
    return 1 if wrong else 0


def sweep(sizes: Sizes, argv: list[str] | None = None) -> int:
    """The files in benchmarks/: the same options as `scratchnet bench`, operators and sizes of their own."""
    parser = argparse.ArgumentParser()
    _add_settings(parser)
    args = parser.parse_args(argv)
    args.primitive = None
    return run(args, sizes)


def _measure(args: argparse.Namespace, sizes: Sizes | None, memory: float, screen: Console) -> list[Row]:
    names = args.backend or ["cpp" if backends.missing("cpp") is None else "torch"]
    seconds = 0.6 if args.quick else 3.0
    cases = [case for op in options.operators(args) for case in _cases(op, sizes, args.quick)]
    rows = []
    with options.progress(screen) as progress:
        for op, example, shape in progress.track(cases, description="bench"):
            rows += bench.case(op, example, *shape, getattr(torch, args.dtype), names, seconds, memory)
    return rows


def _cases(op: Op, sizes: Sizes | None, quick: bool) -> list[tuple[Op, str, tuple[int, int]]]:
    shapes = op.sizes if sizes is None else sizes.get(op.name, ())
    cases = [(op, example, shape) for shape in shapes for example in op.examples]
    return cases[:1] if quick else cases


def _cells(rows: list[Row]) -> list[tuple[str, ...]]:
    """One line a call and backend, both directions in it."""
    pairs = {}
    for row in rows:
        pairs.setdefault((row.op, row.example, row.rows, row.columns, row.backend), []).append(row)
    return [_line(*pair) for pair in pairs.values()]


def _line(forward: Row, both: Row) -> tuple[str, ...]:
    check = both.check
    judged = "" if both.oracle_rows == both.rows else f" in {both.oracle_rows} rows"
    return (
        f"{both.op}, {both.example}",
        f"{both.rows}x{both.columns}",
        both.backend,
        both.default,
        f"{forward.seconds.median * 1e3:.3g}",
        _ratio(forward.ratio),
        f"{both.seconds.median * 1e3:.3g}",
        _ratio(both.ratio),
        f"{both.gigaflops:.0f} GFLOP/s" if both.compute_bound else f"{both.gigabytes:.1f} GB/s ({both.bandwidth_share:.0%})",
        f"{check.error:.0e} / {check.torch_error:.0e}{judged}" + ("" if check.ok else " WRONG"),
    )


def _ratio(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def _caption(facts: dict, memory: float) -> str:
    return (
        f"Measured {facts['date']} on {facts['machine']}, {facts['threads']} of {facts['cores']} cores, "
        f"instruction set {facts['isa'] or 'none (not compiled)'}, OMP_WAIT_POLICY {facts['OMP_WAIT_POLICY'] or 'not set'}; "
        f"torch {facts['torch']}, scratchnet {facts['scratchnet']}, commit {facts['commit'] or 'unknown'}. "
        "x torch: torch's time / ours, median (quartiles) of runs in turns; above 1 we are faster. default: what runs when no "
        "backend is named. Moves: every input read once, every result written once; its share is of this memory's "
        f"{memory / 1e9:.1f} GB/s, measured just before: torch.add(a, b, out=c) on three warm arrays of 128 MiB. Error: "
        "largest difference from the float64 oracle in outputs and gradients, ours / torch's."
    )


def _write_csv(path: Path, rows: list[Row], facts: dict) -> None:
    with path.open("w", newline="") as file:
        lines = [_record(row) | facts for row in rows]
        writer = csv.DictWriter(file, fieldnames=lines[0])
        writer.writeheader()
        writer.writerows(lines)


def _record(row: Row) -> dict:
    spreads = {"seconds": row.seconds, "torch_seconds": row.torch_seconds, "ratio": row.ratio}
    names = ("op", "example", "rows", "columns", "dtype", "backend", "default", "direction", "bytes", "flops", "bandwidth")
    return (
        {name: getattr(row, name) for name in names}
        | {f"{name}_{part}": getattr(spread, part) for name, spread in spreads.items() for part in Spread._fields}
        | {"bandwidth_share": row.bandwidth_share, "gigaflops": row.gigaflops, "oracle_rows": row.oracle_rows}
        | {name: getattr(row.check, name) for name in ("error", "torch_error", "bound", "ok")}
    )


def _split(path: Path) -> tuple[str, str]:
    """What stands before and after the table, markers included."""
    text = path.read_text()
    parts = re.fullmatch(f"(.*{re.escape(MARKERS[0])}\n).*({re.escape(MARKERS[1])}.*)", text, re.DOTALL)
    if not parts:
        raise SystemExit(f"scratchnet bench: {path} has no place for the table: it needs the lines\n{MARKERS[0]}\n{MARKERS[1]}")
    return parts[1], parts[2]


def _write_markdown(path: Path, rows: list[Row], caption: str) -> None:
    before, after = _split(path)
    lines = [HEADER, ("---",) * len(HEADER), *_cells(rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    path.write_text(f"{before}\n{table}\n\n{caption}\n\n{after}")
