"""`scratchnet learn`: the lessons: list them, read one in the terminal, or write them as notebooks."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Iterator

from rich.console import Console
from rich.control import Control
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.segment import ControlType
from rich.syntax import Syntax
from rich.table import Table

from scratchnet import course
from scratchnet.cli import kernels, options
from scratchnet.course import CONCEPTS, SERVED_BY, Checks, Lesson, progress
from scratchnet.course.glossary import GLOSSARY
from scratchnet.course.lesson import LINES, WORDS, Cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet learn`."""
    parser.add_argument("lesson", nargs="?", type=options.lesson, help="its number, e.g. 7; without it: the list of lessons")
    what = "begin at the first heading that contains HEADING; the code before it runs unseen"
    parser.add_argument("--from", dest="start", metavar="HEADING", help=what)
    parser.add_argument("--no-pause", action="store_true", help="in a terminal, do not wait for Enter at each heading")
    what = "write the lesson with its exercise into DIR as a Jupyter notebook; without a number: every lesson"
    parser.add_argument("--notebook", metavar="DIR", type=Path, help=what)
    what = "the second track: kernels to write, and kernels with a bug to find"
    parser.add_argument("--kernels", action="store_true", help=what)
    parser.add_argument("--concepts", action="store_true", help="every concept and word of the course, with its lessons")


def run(args: argparse.Namespace) -> int:
    """Do what the options say; an assertion that fails in a lesson is raised."""
    screen = options.page()
    if args.start and not isinstance(args.lesson, Lesson):
        raise SystemExit("scratchnet learn: --from goes with the number of a lesson")
    if args.notebook and isinstance(args.lesson, kernels.Exercise):
        raise SystemExit("scratchnet learn: only lessons are notebooks, a kernel is a file of its own")
    if args.kernels:
        kernels.list_all(screen)
    elif isinstance(args.lesson, kernels.Exercise):
        kernels.teach(screen, args.lesson)
    elif args.concepts:
        _list_concepts(screen)
    elif args.notebook:
        _write_notebooks(screen, [args.lesson] if args.lesson else course.all_lessons(), args.notebook)
    elif args.lesson is None:
        _list(screen)
    else:
        heading = args.start and _heading(args.lesson, args.start)
        return _teach(screen, args.lesson, heading, pause=not args.no_pause and screen.is_terminal and sys.stdin.isatty())
    return 0


def _list(screen: Console) -> None:
    table = Table("", "lesson", "min", "checks", "exercise")
    undone = None
    for lesson in course.all_lessons():
        known, tasks = progress.load(lesson), {task.name for task in course.tasks(lesson)}
        right = len(tasks.intersection(progress.passed(lesson)))
        done = "[green]done[/green]" if right == len(tasks) else f"{right} of {len(tasks)}"
        done += progress.tries(lesson)
        undone = undone or (lesson if right < len(tasks) or "read" not in known else None)
        table.add_row(lesson.number, lesson.title, str(lesson.minutes), str(known.get("checks", "")), done)
    screen.print(table)
    then = f"next: scratchnet learn {int(undone.number)}." if undone else "All of it is done."
    screen.print(f"{then} What the concepts are: scratchnet learn --concepts", highlight=False)
    screen.print(f"{kernels.done()}: scratchnet learn --kernels", highlight=False)
    minutes = f"Minutes: to read it, {WORDS} words or {LINES} lines of code in each."
    screen.print(f"{minutes} Checks: that held when you read it.", highlight=False)


def _list_concepts(screen: Console) -> None:
    table = Table("", "concept", "lessons", "in the library: scratchnet...")
    index = course.index()
    for number, lessons in index.items():
        names = ", ".join(SERVED_BY.get(number, ()))
        table.add_row(str(number), CONCEPTS[number], ", ".join(lesson.number for lesson in lessons), names)
    screen.print(table)
    screen.print(f"{sum(map(bool, index.values()))} of {len(index)} concepts have a lesson", highlight=False)
    words = Table("word", "what it means", "lessons")
    for word, (number, meaning) in GLOSSARY.items():
        words.add_row(word, escape(meaning), ", ".join(lesson.number for lesson in index[number]))
    screen.print(words)


def _write_notebooks(screen: Console, lessons: list[Lesson], folder: Path) -> None:
    """One file a lesson; answers that stand beside them in `exercises` already are in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for lesson in lessons:
        answers = folder / progress.FOLDER / f"{lesson.name}.py"
        text = (answers if answers.exists() else lesson.stub).read_text(encoding="utf-8")
        path = folder / f"{lesson.name}.ipynb"
        written = json.dumps(course.notebook(lesson, text), indent=1, ensure_ascii=False)
        path.write_text(written + "\n", encoding="utf-8")
        screen.print(f"written: {path}", highlight=False)


def _heading(lesson: Lesson, asked: str) -> str:
    """The heading that was asked for or, if there is none of that name, the first that contains it."""
    contain = [heading for heading in lesson.headings if asked.lower() in heading.lower()]
    if contain:
        return asked if asked in contain else contain[0]
    there = "".join(f"\n  {heading}" for heading in lesson.headings)
    raise SystemExit(f"scratchnet learn {lesson.number}: no heading contains {asked!r}; the headings are{there}")


def _teach(screen: Console, lesson: Lesson, start: str | None, pause: bool) -> int:
    """Show prose, code and what the code prints, from the heading `start` on; wait at each heading if `pause`.

    The exit code: 130, as in a shell, if a cell was interrupted.
    """
    module = sys.modules[lesson.name] = ModuleType(lesson.name)  # torch.compile finds a function's globals by their module
    begun, here = start is None, start
    go_on = lambda: screen.print(f"Go on with: {_command(lesson, here)}", highlight=False, markup=False, soft_wrap=True)
    screen.print(f"[dim]{lesson.minutes} minutes to read[/dim]", highlight=False)
    for heading, cell in _pieces(lesson):
        if begun and heading:
            here = heading
            if pause and not _wait(screen, heading):
                go_on()
                return 0
        begun = begun or heading == start
        try:
            if not cell.prose:
                _run(screen, lesson, cell, module, begun)
            elif begun:
                screen.print(Markdown(cell.text), "")
        except KeyboardInterrupt:
            go_on()
            return 130
    (check,) = [value for value in vars(module).values() if isinstance(value, Checks)]
    progress.save_read(lesson, len(check.passed))
    following = lesson.next
    after = f"   next: scratchnet learn {int(following.number)}" if following else ""
    screen.print(f"Your turn: scratchnet check {int(lesson.number)}{after}", highlight=False)
    return 0


def _command(lesson: Lesson, heading: str | None) -> str:
    """What goes on with a lesson at a heading, None for its first lines; for the shell, to which backticks mean something."""
    return f"scratchnet learn {int(lesson.number)}" + (f" --from {shlex.quote(heading)}" if heading else "")


def _pieces(lesson: Lesson) -> Iterator[tuple[str | None, Cell]]:
    """Its cells, prose cut before every heading, with the heading that a piece begins with."""
    for cell in lesson.cells():
        for text in re.split(r"(?m)^(?=## )", cell.text) if cell.prose else [cell.text]:
            heading = re.match("## (.+)", text) if cell.prose else None
            if text:
                yield heading and heading[1], replace(cell, text=text)


def _run(screen: Console, lesson: Lesson, cell: Cell, module: ModuleType, shown: bool) -> None:
    """Run a cell of code; what is not shown prints nothing either."""
    code = compile("\n" * (cell.line - 1) + cell.text, lesson.path, "exec")  # tracebacks name the line of the file
    if not shown:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, vars(module))
        return
    if not cell.hidden:
        listing = Syntax(cell.text, "python", theme="ansi_dark", background_color="default", word_wrap=True)
        screen.print(Padding(listing, (0, 0, 1, 4)))
    exec(code, vars(module))
    if not cell.hidden:
        screen.print()


def _wait(screen: Console, title: str) -> bool:
    """Wait for Enter; False if the reader stops here."""
    try:
        answer = screen.input(f"[dim]Enter: {escape(title)}   q: stop here[/dim] ")
    except (EOFError, KeyboardInterrupt):
        screen.print()  # the cursor stands behind the question
        return False
    if screen.is_terminal:  # the question goes once it is answered
        screen.control(Control((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)))
    return not answer.strip().lower().startswith("q")
