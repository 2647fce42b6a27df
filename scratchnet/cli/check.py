"""`scratchnet check`: grade a reader's exercise for a lesson, or a kernel that the reader wrote."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from scratchnet import checker, course
from scratchnet.cli import options
from scratchnet.course import Lesson, progress
from scratchnet.ops import OPS, PRIMITIVES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet check`."""
    parser.add_argument(
        "what", type=options.lesson_or_file, help="the number of a lesson, e.g. 7, or a file, e.g. my_kernel.py"
    )
    parser.add_argument("--hint", action="store_true", help="one more hint for the first task that is not right yet")
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
    if isinstance(args.what, Lesson):
        return _grade(screen, args.what, args.hint)
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


def _grade(screen: Console, lesson: Lesson, hint: bool) -> int:
    """Grade the exercise of a lesson; the first time, put it into ./exercises."""
    path = progress.exercise(lesson)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(lesson.stub, path)
        screen.print(f"This is your exercise: {path}. Fill in its blanks and check again.", highlight=False)
    verdicts = course.grade(lesson, path)
    wrong = [name for name, problem in verdicts.items() if problem]
    done = progress.load(lesson) | {"passed": [name for name in verdicts if name not in wrong]}
    if hint and wrong:
        _hint(screen, lesson, wrong[0], done["hints"])
    else:
        _report(screen, lesson, verdicts)
    progress.save(lesson, done)
    return 1 if wrong else 0


def _report(screen: Console, lesson: Lesson, verdicts: dict[str, str | None]) -> None:
    for name, problem in verdicts.items():
        screen.print(f"[red]✗[/red] [bold]{name}[/bold]" if problem else f"[green]✓[/green] [bold]{name}[/bold]")
        if problem:
            screen.print(Padding(escape(problem), (0, 2)), highlight=False)
    right = sum(not problem for problem in verdicts.values())
    more = "" if right == len(verdicts) else f" Stuck? scratchnet check {lesson.number} --hint"
    if not more:
        more = f" Compare with ours: {lesson.solution}"
    screen.print(f"lesson {lesson.number}: {right} of {len(verdicts)} tasks right.{more}", highlight=False, soft_wrap=True)


def _hint(screen: Console, lesson: Lesson, name: str, shown: dict[str, int]) -> None:
    """Show the next hint for a task; after the last one, that one again and where the solution is."""
    hints = next(task.hints for task in course.tasks(lesson) if task.name == name)
    number = shown[name] = min(shown.get(name, 0) + 1, len(hints))
    screen.print(f"[bold]{name}[/bold], hint {number} of {len(hints)}: {escape(hints[number - 1])}", highlight=False)
    if number == len(hints):
        screen.print(f"That was the last one. The solution: {lesson.solution}", highlight=False, soft_wrap=True)
