"""`scratchnet check`: grade a reader's exercise for a lesson, or a kernel that the reader wrote."""

from __future__ import annotations

import argparse
import json
import secrets
import textwrap
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from scratchnet import checker
from scratchnet.cli import grade, kernels, options
from scratchnet.course import Lesson
from scratchnet.ops import OPS, PRIMITIVES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet check`."""
    parser.add_argument(
        "what", nargs="?", type=options.lesson_or_file, help="the number of a lesson, e.g. 7, or a file, e.g. my_kernel.py"
    )
    what = "draws other numbers for exercises, and some of the sizes for a kernel (default: the usual numbers, new sizes)"
    parser.add_argument("--seed", type=int, help=what)
    grade.add_arguments(parser)
    kernel = parser.add_argument_group("kernels", _contract())
    kernel.add_argument("--primitive", choices=OPS, metavar="OPERATOR", help="what the file computes: any of `scratchnet info`")
    kernel.add_argument("--direction", choices=(*checker.DIRECTIONS, "both"), default="both", help="(default: %(default)s)")
    kernel.add_argument("--no-speed", action="store_true", help="do not time what is right")
    kernel.add_argument("--report", type=Path, metavar="FILE", help="write the verdict as a page too, in Markdown")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _contract() -> str:
    """What a file has to define, for every primitive, and what a verdict is worth."""
    lines = [
        "A Python file (it gets torch tensors if it imports torch or triton, else NumPy arrays) or a C++ file (contiguous",
        "arrays, memory for the results) defines forward, backward or both. A torch file without backward is differentiated",
        "by autograd. If the order of additions is left to chance: deterministic = False, in C++ // deterministic = false.",
        "Optional arguments of torch's function are judged if the kernel has them, by torch's names; weight and bias may be",
        "None. float64 and, in torch and Triton, 16 bits are judged if the kernel takes them: it may raise. The verdict lists",
        "what was not judged: in C++ all but contiguous float32 arrays of the kind below.",
        "",
        "A kernel runs in a process of its own that never holds an answer, at most 20 s a call; what is right is computed when",
        "it has replied. That keeps it from passing by accident or by the usual tricks. It is no sandbox: the code has your",
        "rights, your files and your network, and a hostile one could still look for the checker among your processes, or hide",
        "from what runs beside it what it calls and leaves changed. Answers to exercises run in a process of their own too and",
        "are judged in another; a hostile one could run a copy of our solution, or report in the place of the grader's part in",
        "its process. Read what is not yours before you check it.",
    ]
    for name in PRIMITIVES:
        contract = checker.Contract(OPS[name])
        lines.append(f"\n{name}:")
        lines += [f"  {contract.python(direction)}" for direction in checker.DIRECTIONS]
        lines += [f"  {contract.prototype(direction)}" for direction in checker.DIRECTIONS]
    others = ", ".join(name for name in OPS if name not in PRIMITIVES)
    return "\n".join(
        [*lines, "", *textwrap.wrap(f"Any other operator says what it needs of an empty file: {others}.", 118), ""]
    )


def run(args: argparse.Namespace) -> int:
    """Grade the exercise or check the kernel; 0 if all of it is right."""
    screen = options.page()
    if args.what is None and not args.all:
        raise SystemExit("scratchnet check: name a lesson (its number), a file with a kernel, or --all")
    if isinstance(args.what, kernels.Exercise):
        return kernels.grade(screen, args.what, args.hint, args.file, args.json, not args.no_speed)
    if args.all or isinstance(args.what, Lesson):
        return grade.run(screen, args)
    if args.hint is not None or args.file:
        raise SystemExit("scratchnet check: --hint and --file are for exercises, and this is a kernel")
    if args.primitive is None:
        raise SystemExit(f"scratchnet check: what does {args.what} compute? Name it: --primitive {'|'.join(PRIMITIVES)}")
    return _check(screen, args)


def _check(screen: Console, args: argparse.Namespace) -> int:
    """Check a reader's kernel."""
    seed = secrets.randbelow(2**16) if args.seed is None else args.seed
    try:
        report = checker.judge(args.what, OPS[args.primitive], args.direction, seed, not args.no_speed)
    except checker.KernelError as error:
        screen.print(f"[red]✗[/red] {escape(str(error))}", highlight=False)
        return 1
    screen.print(f"[bold]{report.file}[/bold]: {report.operator} in {report.kind}, --seed {seed}", highlight=False)
    for name, direction in report.directions.items():
        screen.print(f"{'[red]✗[/red]' if direction.problem else '[green]✓[/green]'} [bold]{name}[/bold]")
        untimed = [] if report.timed or direction.problem else ["not timed: it runs in Triton's interpreter"]
        for line in (*direction.notes, *untimed, *direction.problem):
            screen.print(Padding(escape(line), (0, 2)), highlight=False)
    if report.printed:
        screen.print(f"The kernel printed:\n{escape(report.printed)}", highlight=False)
    if args.json:
        args.json.write_text(json.dumps(report.json(), indent=2), encoding="utf-8")
    if args.report:
        args.report.write_text(report.page(), encoding="utf-8")
    return 0 if report.ok else 1
