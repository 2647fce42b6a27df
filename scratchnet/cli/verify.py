"""`scratchnet verify`: every operator, option, backend, rung and dtype against the float64 oracle."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from rich.markup import escape
from rich.table import Table

from scratchnet.cli import options
from scratchnet.measure.verify import TIMES_TORCH, ULPS, Judgement, compare
from scratchnet.ops import OPS

SIZES = ((1, 3), (3, 33), (17, 129))
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
Job = tuple[str, str, torch.dtype, str]  # operator, backend, dtype, device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet verify`."""
    options.add_operator(parser)
    options.add_backend(parser, "every rung that can run here")
    options.add_device(parser)
    what = "to share the work: Triton compiles for a GPU on one core (default: %(default)s)"
    parser.add_argument("--processes", type=options.positive, default=1, metavar="N", help=what)


def run(args: argparse.Namespace) -> int:
    """Print a line per operator, backend and dtype: the call that came closest to its bound. 1 if any exceeded it."""
    screen = options.console()
    table = Table("operator", "backend", "dtype", "calls", "error", "torch's", "bound", "", "the call closest to its bound")
    rungs = [(op.name, name) for op in options.operators(args) for name in options.rungs(op, args.device, args.backend)]
    jobs = [(*rung, dtype, args.device) for rung, dtype in itertools.product(rungs, DTYPES)]
    failures, calls = [], 0
    with options.progress(screen) as progress, contextlib.ExitStack() as stack:
        judged = map(_compare_all, jobs)
        if args.processes > 1:
            pool = ProcessPoolExecutor(args.processes, get_context("spawn"))  # a forked process cannot use the GPU
            judged = stack.enter_context(pool).map(_compare_all, jobs)
        found = zip(jobs, judged, strict=True)
        for (op, name, dtype, _), (results, broken) in progress.track(found, total=len(jobs), description="verify"):
            wrong = [str(result) for result in results if not result.ok] + broken
            calls += len(results) + len(broken)
            failures += wrong
            table.add_row(op, name, _name(dtype), str(len(results) + len(broken)), *_figures(results, bool(wrong)))
    screen.print(table)
    options.print_absent(screen, args.device, args.backend)
    for failure in failures:
        screen.print(f"FAIL {failure}", markup=False, style="red")
    rule = f"error <= {TIMES_TORCH} x torch's error + {ULPS} ulp of the largest entry + what {ULPS} ulp in the inputs change"
    screen.print(f"{calls} calls, {len(failures)} failed; the rule: {rule}", markup=False)
    return 1 if failures else 0


def _compare_all(job: Job) -> tuple[list[Judgement], list[str]]:
    """The results of every example at every size, and a line for each that raised instead."""
    (operator, name, dtype, device), results, broken = job, [], []
    op = OPS[operator]
    for example, (rows, columns) in itertools.product(op.examples, SIZES):
        try:
            with torch.device(device):
                results.append(compare(op, example, rows, columns, dtype, name))
        except Exception as error:  # whatever a broken kernel raises is one more failure to report
            broken.append(f"{op.name} [{example}] {rows}x{columns} {_name(dtype)} on {name}: {type(error).__name__}: {error}")
    return results, broken


def _figures(results: list[Judgement], failed: bool) -> tuple[str, ...]:
    """Error, torch's, bound, verdict and place of the call that used most of its bound."""
    verdict = "[red]FAIL[/red]" if failed else "[green]ok[/green]"
    if not results:
        return "", "", "", verdict, "an exception in every call"
    result = max(results, key=lambda r: r.worst.used)
    check = result.worst
    return *(f"{x:.1e}" for x in (check.error, check.torch_error, check.bound)), verdict, escape(f"{check.what}, {result.call}")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
