"""`scratchnet bench`: ours beside torch's own; a table for people, a CSV for machines, a Markdown table for a page."""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path

import torch
from rich.console import Console

from scratchnet import backends
from scratchnet.cli import markdown, options
from scratchnet.measure import bench, environments, machine, roofline
from scratchnet.measure.bench import Measurement, Settings, Spread, Timing
from scratchnet.measure.roof import Roof
from scratchnet.ops import BACKENDS, Op
from scratchnet.optional import need

IN_CACHE = ((256, 768), (1024, 1024))  # rows and columns; an operator's own first size exceeds the caches
Sizes = dict[str, tuple[tuple[int, int], ...]]  # operator -> (rows, columns) to time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet bench`."""
    options.add_operator(parser)
    _add_settings(parser)
    what = "the same in several environments, each a process: wait policies, torch on huge pages, AVX2 beside AVX-512"
    parser.add_argument("--environments", action="store_true", help=what)
    what = "with --environments: also with the torch of another Python; may be repeated"
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help=what)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    options.add_backend(parser, "the last rung of cpp; on a GPU those that run there")
    options.add_device(parser)
    what = "how many threads torch and we use (default: torch's choice)"
    parser.add_argument("--threads", type=options.positive, metavar="N", help=what)
    parser.add_argument("--dtype", default="float32", choices=["float64", "float32", "bfloat16", "float16"])
    parser.add_argument("--quick", action="store_true", help="the first example and size of each operator, under a minute")
    what = "to spend on a direction of a call, all candidates together (default: 3, with --quick 0.6)"
    parser.add_argument("--seconds", type=float, metavar="S", help=what)
    sizes = " and ".join(f"{rows}x{columns}" for rows, columns in IN_CACHE)
    parser.add_argument(
        "--in-cache", action="store_true", help=f"also at {sizes}, which fit the caches, where they are smaller"
    )
    parser.add_argument("--compile", action="store_true", help="also against torch.compile; compiling takes some 10 s per call")
    parser.add_argument("--cold", action="store_true", help="also with empty caches (default: on a GPU)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every figure, with machine, versions and commit")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the roofline of this machine with every call")
    markdown.add_readme("bench", parser)


def run(args: argparse.Namespace, sizes: Sizes | None = None) -> int:
    """Measure, then report; 1 if a result was wrong: speed does not excuse it."""
    if sizes is None and args.environments:
        return _run_environments(args)
    if args.readme:
        markdown.split("bench", args.readme)  # fail before the measurement if the file has no place for the table
    if args.plot:
        need("scratchnet bench --plot", "matplotlib", "matplotlib")
    threads = torch.get_num_threads()
    try:
        if args.threads:
            torch.set_num_threads(args.threads)
        facts = machine.facts(args.device)
        settings = _settings(args)
        screen = options.console()
        results = _measure(args, sizes, settings, screen)
    finally:
        torch.set_num_threads(threads)
    options.print_absent(screen, args.device, args.backend)
    markdown.report("bench", args.readme, _table(results, settings), _caption(facts, settings))
    if args.device == "cpu" and facts["threads"] > 1 and not facts["OMP_WAIT_POLICY"]:
        screen.print("Idle threads spin: if other programs use these cores, start with OMP_WAIT_POLICY=passive")
    if args.csv:
        _write_csv(args.csv, [_record(result, timing) | facts for result in results for timing in result.timings], facts)
    if args.plot:
        roofline.plot(results, args.plot)
    wrong = {f"{result.op} [{result.example}] on {result.backend}: {result.check}" for result in results if not result.check.ok}
    return _report_wrong(screen, [f"WRONG {line}" for line in wrong])


def _report_wrong(screen: Console, lines: list[str]) -> int:
    for line in sorted(lines):
        screen.print(line, markup=False, style="red", soft_wrap=True)
    return 1 if lines else 0


def _run_environments(args: argparse.Namespace) -> int:
    if args.device != "cpu" or args.plot or len(args.backend or ()) > 1:
        raise SystemExit("scratchnet bench --environments: for one backend on CPU tensors, without --plot")
    if args.readme:
        markdown.split("environments", args.readme)
    screen = options.console()
    chosen = environments.environments()
    for python in args.python:
        try:
            chosen.append(environments.another(python))
        except RuntimeError as error:
            screen.print(f"Skipped: {error}", markup=False)
    flags = [f"--{name.replace('_', '-')}" for name in ("quick", "in_cache", "compile", "cold") if getattr(args, name)]
    values = {"dtype": args.dtype, "backend": args.backend[0] if args.backend else "cpp"}
    values |= {name: str(value) for name in ("threads", "seconds") if (value := getattr(args, name)) is not None}
    line = [*filter(None, [args.primitive]), *flags, *(f"--{name}={value}" for name, value in values.items())]
    rows, wrong = [], []
    with options.progress(screen) as progress:
        for environment in progress.track(chosen, description="bench"):
            measured, said = environments.measure(environment, line)
            rows, wrong = rows + measured, wrong + said
    if args.csv:
        _write_csv(args.csv, rows, {})
    if not rows:  # every result was wrong
        return _report_wrong(screen, wrong)
    lines = _environments_table(rows)
    caption = f"{environments.caption(rows)} *: there torch's own function runs when no backend is named."
    markdown.report("environments", args.readme, lines, caption)
    return _report_wrong(screen, wrong)


def _environments_table(rows: list[environments.Row]) -> list[tuple[str, ...]]:
    """The header, then a line per call and a cell per environment."""
    names = list(dict.fromkeys(row["environment"] for row in rows))
    lines = [("operator", "size", *names)]
    for call, found in environments.table(rows).items():
        lines.append((*call, *(_both_directions(list(found.get(name, {}).values())) for name in names)))
    return lines


def _both_directions(rows: list[environments.Row]) -> str:
    """ "1.20 / 1.50", forward first; starred where torch's own is the default; "" where the result was wrong."""
    ratios = " / ".join(f"{float(row['ratio_median']):.2f}" for row in rows)
    return f"{ratios} *" if any(row["default"] == backends.TORCH for row in rows) else ratios


def sweep(sizes: Sizes, argv: list[str] | None = None) -> int:
    """For the files in benchmarks/: the options of `scratchnet bench`, with their own operators and sizes."""
    parser = argparse.ArgumentParser()
    _add_settings(parser)
    args = parser.parse_args(argv)
    args.primitive = None
    return run(args, sizes)


def _settings(args: argparse.Namespace) -> Settings:
    dtype = getattr(torch, args.dtype)
    return Settings(
        tuple(args.backend or _usual(args.device)),
        dtype,
        seconds=(0.6 if args.quick else 3.0) if args.seconds is None else args.seconds,
        roof=Roof.measure(args.device, dtype),
        device=args.device,
        compile=args.compile,
        cold=args.cold or args.device != "cpu",
    )


def _usual(device: str) -> list[str]:
    """The backends that are measured when none is named."""
    if device == "cpu":
        return ["cpp" if backends.missing("cpp") is None else "reference"]
    return [name for name in BACKENDS if name != "reference" and backends.runs(name, device)]


def _measure(args: argparse.Namespace, sizes: Sizes | None, settings: Settings, screen: Console) -> list[Measurement]:
    cases = [case for op in options.operators(args) for case in _cases(op, sizes, args.quick, args.in_cache)]
    results = []
    with options.progress(screen) as progress:
        for op, example, shape in progress.track(cases, description="bench"):
            results += bench.case(op, example, *shape, settings)
    return list(dict.fromkeys(results))  # an interpreted kernel runs at one small size in place of each


def _cases(op: Op, sizes: Sizes | None, quick: bool, in_cache: bool) -> list[tuple[Op, str, tuple[int, int]]]:
    shapes = op.sizes if sizes is None else sizes.get(op.name, ())
    examples = list(op.examples)
    if quick:
        shapes, examples = shapes[:1], examples[:1]
    if in_cache and shapes:
        shapes += tuple(size for size in IN_CACHE if size not in shapes and math.prod(size) < math.prod(shapes[0]))
    return [(op, example, shape) for shape in shapes for example in examples]


def _table(results: list[Measurement], settings: Settings) -> list[tuple[str, ...]]:
    """The header, then one line per call, backend and state of the caches, with both directions in it."""
    ratios = ("x torch", "x compiled") if settings.compile else ("x torch",)
    directions = ("forward ms", *ratios, "fwd+bwd ms", *ratios, "fwd+bwd moves")
    lines = [("operator", "size", "backend", "default", "caches", *directions, "default x torch", "error")]
    for result in results:
        call = (f"{result.op}, {result.example}", f"{result.rows}x{result.columns}", result.backend, result.default)
        for cache in dict.fromkeys(timing.cache for timing in result.timings):
            forward, both = (timing for timing in result.timings if timing.cache == cache)
            ratios = [ratio for ratio in map(result.default_ratio, (forward, both)) if ratio]
            slower = f"{min(ratios):.2f}" if ratios else ""
            lines.append((*call, cache, *_speed(forward), *_speed(both), both.pace, slower, result.errors))
        if result.untimed:
            lines.append((*call, "", result.untimed, *[""] * len(directions), result.errors))
    return lines if settings.cold else [(*line[:4], *line[5:]) for line in lines]


def _speed(timing: Timing) -> tuple[str, ...]:
    ratios = [str(ratio) for ratio in (timing.ratio, timing.compiled_ratio) if ratio]
    return f"{timing.seconds.median * 1e3:.3g}", *ratios


def _caption(facts: dict, settings: Settings) -> str:
    return (
        f"{machine.measured(facts, settings.device)} "
        f"x torch: torch's time / ours{'; x compiled: that of torch.compile / ours' if settings.compile else ''}, median "
        "(quartiles) of runs in turns; above 1 we are faster. default: what runs this call when no backend is named; "
        "default x torch: torch's time / that, the smaller one of both directions, 1 where torch's own runs. "
        "Moves: every input read once, every result written once; in brackets the share of the roof, measured just before: "
        f"{settings.roof}. "
        "Error: largest difference from the float64 oracle in outputs and gradients, ours / torch's."
        + (" Cold caches: other data was read and written before every call." if settings.cold else "")
    )


def _write_csv(path: Path, lines: list[dict], facts: dict) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=lines[0] if lines else facts)
        writer.writeheader()
        writer.writerows(lines)


def _record(result: Measurement, timing: Timing) -> dict:
    spreads = {"seconds": timing.seconds, "torch_seconds": timing.torch_seconds, "ratio": timing.ratio}
    if timing.compiled_ratio:
        spreads["compiled_ratio"] = timing.compiled_ratio
    call = ("op", "example", "rows", "columns", "dtype", "device", "backend", "default", "oracle_rows")
    return (
        {name: getattr(result, name) for name in call}
        | {name: getattr(timing, name) for name in ("direction", "cache", "bytes", "flops", "gigabytes", "gigaflops", "share")}
        | {f"{name}_{part}": getattr(spread, part) for name, spread in spreads.items() for part in Spread._fields}
        | {"default_ratio": result.default_ratio(timing)}
        | {f"roof_{name}": getattr(timing.roof, name) for name in ("bandwidth", "arithmetic")}
        | {name: getattr(result.check, name) for name in ("error", "torch_error", "bound")}
    )
