"""The part of `scratchnet check` that grades exercises: one, or all of a folder for a class."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax

import scratchnet
from scratchnet import course
from scratchnet.course import Lesson, progress
from scratchnet.course.kernels import Exercise, all_exercises
from scratchnet.course.kernels.grade import grade as grade_kernel

Verdicts = dict[str, "str | None"]  # task -> what is wrong with the answer
Graded = dict["Lesson | Exercise", "tuple[Path | None, Verdicts]"]  # a kernel is one task of its own name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options for exercises."""
    exercises = parser.add_argument_group("exercises")
    what = "one more hint for a task, by default for the first that is not right yet"
    exercises.add_argument("--hint", nargs="?", const="", metavar="TASK", help=what)
    exercises.add_argument("--all", action="store_true", help="grade every exercise of the folder, one line for each")
    what = "the answers, or with --all their folder (default: exercises); nothing is added to your own progress"
    exercises.add_argument("--file", type=Path, metavar="PATH", help=what)
    exercises.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts into FILE too")


def run(screen: Console, args: argparse.Namespace) -> int:
    """Grade one exercise, or with --all every one; 0 if all of it is right."""
    if args.all:
        return _grade_all(screen, args.file or progress.FOLDER, args.json, args.seed or 0)
    return _grade(screen, args.what, args.hint, args.file, args.json, args.seed or 0)


def _grade(screen: Console, lesson: Lesson, hint: str | None, file: Path | None, report: Path | None, seed: int) -> int:
    """Grade the exercise of a lesson; the first time, put it into ./exercises."""
    path = file or progress.exercise(lesson)
    names = [task.name for task in course.tasks(lesson)]
    if hint and hint not in names:
        raise SystemExit(f"scratchnet check {lesson.number}: there is no task {hint!r}; the tasks are {', '.join(names)}")
    if file and not file.is_file():
        raise SystemExit(f"scratchnet check {lesson.number}: there is no file {file}")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(lesson.stub, path)
        screen.print(f"This is your exercise: {path}. Fill in its blanks and check again.", highlight=False)
    verdicts = course.grade(lesson, path, seed)
    wrong = [name for name, problem in verdicts.items() if problem]
    hinted = hint or (wrong[0] if wrong and hint == "" else None)
    if hinted:
        _hint(screen, lesson, hinted)
    else:
        _report(screen, lesson, verdicts)
    if not file:
        progress.save_graded(lesson, path, verdicts, hinted)
    if report:
        write(report, {lesson: (path, verdicts)}, seed)
    return 1 if wrong else 0


def _grade_all(screen: Console, folder: Path, report: Path | None, seed: int) -> int:
    """Grade what there is in a folder; an exercise of a lesson without a file counts as wrong, a kernel is left out then."""
    if not folder.is_dir():
        raise SystemExit(f"scratchnet check --all: there is no folder {folder}; `scratchnet check 1` begins one")
    graded: Graded = {}
    exercises: list[Lesson | Exercise] = [*course.all_lessons(), *all_exercises()]
    for one in exercises:
        path = folder / f"{one.name}{one.stub.suffix}"
        if path.is_file():
            graded[one] = path, _verdicts(one, path, seed)
        elif isinstance(one, Lesson):
            graded[one] = None, dict.fromkeys((task.name for task in course.tasks(one)), f"there is no file {path}")
        if one in graded:
            _print_line(screen, one, *graded[one])
    problems = [problem for _, verdicts in graded.values() for problem in verdicts.values()]
    screen.print(f"{problems.count(None)} of {len(problems)} tasks right", highlight=False)
    if report:
        write(report, graded, seed)
    return int(any(problems))


def _verdicts(one: Lesson | Exercise, path: Path, seed: int) -> Verdicts:
    if isinstance(one, Exercise):
        return {one.name: "\n".join(grade_kernel(one, path)) or None}
    return course.grade(one, path, seed)


def _print_line(screen: Console, one: Lesson | Exercise, path: Path | None, verdicts: Verdicts) -> None:
    """The outcome, as soon as it is there: a folder takes minutes."""
    wrong = [name for name, problem in verdicts.items() if problem]
    right = f"{len(verdicts) - len(wrong)} of {len(verdicts)}"
    told = "no file" if path is None else f"wrong: {', '.join(wrong)}" if wrong else ""
    screen.print(f"{one.number:4} {right:7} {told}".rstrip(), highlight=False, soft_wrap=True)


def write(report: Path, graded: Graded, seed: int) -> None:
    """Lesson or kernel -> its file and, for every task, what is wrong with it, as JSON."""
    tracks: dict[str, dict] = {"lessons": {}, "kernels": {}}
    for one, (path, verdicts) in graded.items():
        told = {"name": one.name, "file": path and str(path), "tasks": verdicts}
        tracks["lessons" if isinstance(one, Lesson) else "kernels"][one.number] = told
    problems = [problem for _, verdicts in graded.values() for problem in verdicts.values()]
    total = {"right": problems.count(None), "of": len(problems), "seed": seed}
    text = json.dumps({"scratchnet": scratchnet.__version__, **total, **tracks}, indent=2, ensure_ascii=False)
    report.write_text(text + "\n", encoding="utf-8")


def _report(screen: Console, lesson: Lesson, verdicts: Verdicts) -> None:
    number = int(lesson.number)
    for name, problem in verdicts.items():
        screen.print(f"[red]✗[/red] [bold]{name}[/bold]" if problem else f"[green]✓[/green] [bold]{name}[/bold]")
        if problem:
            screen.print(Padding(escape(problem), (0, 2)), highlight=False)
    right = list(verdicts.values()).count(None)
    if right < len(verdicts):
        more = f"Stuck? scratchnet check {number} --hint"
    else:
        following = f" next: scratchnet learn {int(lesson.next.number)}" if lesson.next else ""
        more = f"Compare with ours: {lesson.solution}.{following}"
    screen.print(f"lesson {lesson.number}: {right} of {len(verdicts)} tasks right. {more}", highlight=False, soft_wrap=True)


def _hint(screen: Console, lesson: Lesson, name: str) -> None:
    """Show the next hint for a task."""
    (task,) = (task for task in course.tasks(lesson) if task.name == name)
    show_hint(screen, name, task.hints, progress.task(progress.load(lesson), name)["hints"], task.source(), "python")


def show_hint(screen: Console, name: str, hints: Sequence[str], shown: int, solution: str, language: str) -> None:
    """Show the hint after those that were shown; after the last one, that one again and the solution of this task."""
    number = min(shown + 1, len(hints))
    screen.print(f"[bold]{name}[/bold], hint {number} of {len(hints)}: {escape(hints[number - 1])}", highlight=False)
    if number == len(hints):
        screen.print("That was the last one. Our solution:", highlight=False)
        listing = Syntax(solution, language, theme="ansi_dark", background_color="default", word_wrap=True)
        screen.print(Padding(listing, (0, 4)))
