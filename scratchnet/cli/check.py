"""`scratchnet check`: grade the reader's exercise of a lesson."""

from __future__ import annotations

import argparse
import shutil

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from scratchnet import teaching
from scratchnet.cli import options
from scratchnet.teaching import Lesson, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet check`."""
    parser.add_argument("lesson", type=options.lesson, help="the number of a lesson, e.g. 7")
    parser.add_argument("--hint", action="store_true", help="one more hint for the first task that is not right yet")


def run(args: argparse.Namespace) -> int:
    """0 if every task of the exercise is right. The first time the exercise is put into ./exercises."""
    screen = options.page()
    path = progress.exercise(args.lesson)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(args.lesson.stub, path)
        screen.print(f"This is your exercise: {path}. Fill in its blanks and check again.", highlight=False)
    verdicts = teaching.grade(args.lesson, path)
    wrong = [name for name, problem in verdicts.items() if problem]
    done = progress.load(args.lesson) | {"passed": [name for name in verdicts if name not in wrong]}
    if args.hint and wrong:
        _hint(screen, args.lesson, wrong[0], done["hints"])
    else:
        _report(screen, args.lesson, verdicts)
    progress.save(args.lesson, done)
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
    """The next hint of a task; when all were shown, the last one again and where the solution is."""
    hints = next(task.hints for task in teaching.tasks(lesson) if task.name == name)
    number = shown[name] = min(shown.get(name, 0) + 1, len(hints))
    screen.print(f"[bold]{name}[/bold], hint {number} of {len(hints)}: {escape(hints[number - 1])}", highlight=False)
    if number == len(hints):
        screen.print(f"That was the last one. The solution: {lesson.solution}", highlight=False, soft_wrap=True)
