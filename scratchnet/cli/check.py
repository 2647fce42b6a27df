"""`scratchnet check`: grade a reader's exercise for a lesson, or a kernel that the reader wrote."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from scratchnet import checker
from scratchnet.cli import grade, options
from scratchnet.course import Lesson
from scratchnet.ops import OPS, PRIMITIVES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet check`."""
    parser.add_argument(
        "what", nargs="?", type=options.lesson_or_file, help="the number of a lesson, e.g. 7, or a file, e.g. my_kernel.py"
    )
    grade.add_arguments(parser)
    kernel = parser.add_argument_group("kernels", _contract())
    kernel.add_argument("--primitive", choices=PRIMITIVES, help="what the file computes")
    kernel.add_argument("--direction", choices=(*checker.DIRECTIONS, "both"), default="both", help="(default: %(default)s)")
    kernel.add_argument("--no-speed", action="store_true", help="do not time what is right")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _contract() -> str:
    """What a file has to define, for every primitive."""
    lines = [
        "A Python file (it gets torch tensors if it imports torch or triton, else NumPy arrays) or a C++ file (contiguous",
        "arrays, memory for the results) defines forward, backward or both. A torch file without backward is differentiated",
        "by autograd. If the order of additions is left to chance: deterministic = False, in C++ // deterministic = false.",
    ]
    for name in PRIMITIVES:
        contract = checker.Contract(OPS[name])
        lines.append(f"\n{name}:")
        lines += [f"  {contract.python(direction)}" for direction in checker.DIRECTIONS]
        lines += [f"  {contract.prototype(direction)}" for direction in checker.DIRECTIONS]
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Grade the exercise or check the kernel; 0 if all of it is right."""
    screen = options.page()
    if args.what is None and not args.all:
        raise SystemExit("scratchnet check: name a lesson (its number), a file with a kernel, or --all")
    if args.all or isinstance(args.what, Lesson):
        return grade.run(screen, args)
    if args.hint is not None or args.file or args.json:
        raise SystemExit("scratchnet check: --hint, --file and --json are for exercises, and this is a kernel")
    if args.primitive is None:
        raise SystemExit(f"scratchnet check: what does {args.what} compute? Name it: --primitive {'|'.join(PRIMITIVES)}")
    return _check(screen, args.what, checker.Contract(OPS[args.primitive]), args.direction, not args.no_speed)


def _check(screen: Console, path: Path, contract: checker.Contract, direction: str, timed: bool) -> int:
    """Check a reader's kernel."""
    try:
        kernel = checker.load(path, contract)
        screen.print(f"[bold]{kernel.name}[/bold]: {contract.op.name} in {kernel.kind}", highlight=False)
        verdicts = checker.check(kernel, direction)
    except checker.KernelError as error:
        screen.print(f"[red]✗[/red] {escape(str(error))}", highlight=False)
        return 1
    return int(any([_print_verdict(screen, kernel, verdict, timed) for verdict in verdicts]))


def _print_verdict(screen: Console, kernel: checker.Candidate, verdict: checker.Verdict, timed: bool) -> bool:
    """Print one direction, and return whether it is wrong."""
    passed = "; ".join(f"{part}: {what}" for part, what in verdict.passed.items())
    lines = [f"passed {passed}"] if passed else []
    problem = []
    if not verdict.ok:
        problem = checker.explain(verdict)
    elif not kernel.timed:
        lines.append("not timed: it runs in Triton's interpreter")
    elif timed:
        try:
            lines.append(f"speed {checker.measure(kernel, verdict.direction)}")
        except checker.KernelError as error:
            problem = [str(error)]
    mark = "[red]✗[/red]" if problem else "[green]✓[/green]"
    screen.print(f"{mark} [bold]{verdict.direction}[/bold]")
    for line in (*lines, *problem):
        screen.print(Padding(escape(line), (0, 2)), highlight=False)
    return bool(problem)
