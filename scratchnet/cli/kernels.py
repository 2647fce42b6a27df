"""The part of `scratchnet learn` and `scratchnet check` that is about kernels to write (K01, ...) and puzzles (P1, ...)."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from scratchnet import checker
from scratchnet.cli.grade import show_hint, write
from scratchnet.course import progress
from scratchnet.course.kernels import Exercise, all_exercises
from scratchnet.course.kernels import grade as grading
from scratchnet.ops import OPS

BAR = 40  # characters of the slowest bar
MAP = (6, 10)  # rows and columns of the arrays whose reads are drawn


def list_all(screen: Console) -> None:
    """The table of `scratchnet learn --kernels`."""
    table = Table("", "kernel", "language", "primitive", "yours")
    for exercise in all_exercises():
        mine = progress.exercise(exercise)
        primitive = f"{exercise.primitive}, {exercise.direction}"
        state = "[green]done[/green]" if progress.passed(exercise) else str(mine) if mine.exists() else ""
        state += progress.tries(exercise)
        table.add_row(exercise.number, exercise.title, exercise.language, primitive, state)
    screen.print(table)
    screen.print(done(), highlight=False)
    screen.print("K: kernels to write. P: kernels with a bug to find. Begin with: scratchnet learn K01", highlight=False)


def done() -> str:
    """How many of them the reader has solved."""
    exercises = all_exercises()
    return f"{sum(bool(progress.passed(exercise)) for exercise in exercises)} of {len(exercises)} kernels right"


def teach(screen: Console, exercise: Exercise) -> None:
    """Print the task, and put the skeleton where the reader fills it in."""
    screen.print(Markdown(exercise.task))
    screen.print()
    _begin(screen, exercise)
    screen.print(f"Then: scratchnet check {exercise.number}. Stuck? scratchnet check {exercise.number} --hint", highlight=False)


def grade(screen: Console, exercise: Exercise, hint: str | None, file: Path | None, report: Path | None, timed: bool) -> int:
    """Print what is wrong with the reader's kernel, or what it moves and how fast it is; 0 if it is right."""
    if file and not file.is_file():
        raise SystemExit(f"scratchnet check {exercise.number}: there is no file {file}")
    if hint not in (None, "", exercise.name):
        raise SystemExit(f"scratchnet check {exercise.number}: it is one task, {exercise.name}: --hint needs no name")
    path = file or _begin(screen, exercise)
    if hint is not None:
        _hint(screen, exercise)
        if not file:
            progress.save_graded(exercise, path, {}, exercise.name)
        return 1
    problem = grading.grade(exercise, path)
    speed = None
    if exercise.language == "C++" and timed and not problem:
        try:
            speed = checker.measure(checker.load(path, checker.Contract(OPS[exercise.primitive])), exercise.direction)
        except checker.KernelError as error:
            problem = [str(error)]
    verdicts = {exercise.name: "\n".join(problem) or None}
    if not file:
        progress.save_graded(exercise, path, verdicts)
    if report:
        write(report, {exercise: (path, verdicts)}, 0)
    screen.print(
        f"{'[red]✗[/red]' if problem else '[green]✓[/green]'} [bold]{exercise.number}: {escape(exercise.title)}[/bold]"
    )
    for line in problem:
        screen.print(Padding(escape(line), (0, 2)), highlight=False)
    if problem:
        screen.print(f"Stuck? scratchnet check {exercise.number} --hint", highlight=False)
        return 1
    if exercise.language != "Triton":
        _print_moves(screen, exercise, path)
    for line in bars(speed) if speed else ():
        screen.print(Padding(escape(line), (0, 2)), highlight=False)
    screen.print(f"Compare with ours: {exercise.solution}", highlight=False, soft_wrap=True)
    return 0


def bars(speed: checker.Speed) -> list[str]:
    """The reader's kernel among torch and the rungs of the ladder, as bars: a longer one is faster."""
    paces = {"yours": 1.0} | {name: 1 / ratio.median for name, ratio in speed.ratios.items()}
    longest = max(paces.values())
    wide = max(map(len, paces))
    lines = [f"speed at {speed.rows}x{speed.columns}, yours is 1:"]
    for name, pace in sorted(paces.items(), key=lambda item: item[1]):
        bar = "█" * max(1, round(BAR * pace / longest))
        lines.append(f"{name:{wide}} {bar} {pace:.3g}" + (" ←" if name == "yours" else ""))
    return lines


def _print_moves(screen: Console, exercise: Exercise, path: Path) -> None:
    """How often each number of each array is read and written, at a small size."""
    seen = grading.look(exercise, path, *MAP)
    screen.print(Padding(f"What moves at {MAP[0]} x {MAP[1]}, reads / writes of each number:", (0, 2)), highlight=False)
    for name, reads in seen.reads.items():
        pairs = sorted({(int(r), int(w)) for r, w in zip(reads, seen.writes[name], strict=True)})
        text = ", ".join(f"{r} / {w}" for r, w in pairs[:4]) + (", ..." if len(pairs) > 4 else "")
        screen.print(Padding(f"{name:12} {len(reads):4} numbers  {text}", (0, 4)), highlight=False)


def _hint(screen: Console, exercise: Exercise) -> None:
    """Show the next hint."""
    shown = progress.task(progress.load(exercise), exercise.name)["hints"]
    language = "python" if exercise.language == "Triton" else "cpp"
    show_hint(screen, exercise.number, exercise.hints, shown, exercise.solution.read_text(encoding="utf-8"), language)


def _begin(screen: Console, exercise: Exercise) -> Path:
    """The reader's file, which is the skeleton the first time."""
    path = progress.exercise(exercise)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(exercise.stub, path)
        screen.print(f"This is your file: {path}", highlight=False)
    return path
