"""`scratchnet learn`: the lessons: list them, run one in the terminal, or write it as a notebook."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table

from scratchnet import course
from scratchnet.cli import options
from scratchnet.course import CONCEPTS, SERVED_BY, Lesson, progress
from scratchnet.course.glossary import GLOSSARY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet learn`."""
    parser.add_argument("lesson", nargs="?", type=options.lesson, help="its number, e.g. 7; without it: the list of lessons")
    parser.add_argument("--notebook", metavar="DIR", type=Path, help="write the lesson into DIR as a Jupyter notebook")
    parser.add_argument("--concepts", action="store_true", help="every concept and word of the course, with its lessons")


def run(args: argparse.Namespace) -> int:
    """Do what the options say; an assertion that fails in a lesson is raised."""
    screen = options.page()
    if args.concepts:
        _list_concepts(screen)
    elif args.lesson is None:
        _list(screen)
    elif args.notebook:
        args.notebook.mkdir(parents=True, exist_ok=True)
        path = args.notebook / f"{args.lesson.name}.ipynb"
        path.write_text(json.dumps(args.lesson.notebook(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        screen.print(f"written: {path}", highlight=False)
    else:
        _teach(screen, args.lesson)
    return 0


def _list(screen: Console) -> None:
    table = Table("lesson", "topic", "concepts", "checks", "exercise")
    for lesson in course.all_lessons():
        tasks, passed = course.tasks(lesson), progress.load(lesson)["passed"]
        done = "[green]done[/green]" if len(passed) == len(tasks) else f"{len(passed)} of {len(tasks)}"
        concepts = ", ".join(map(str, lesson.concepts))
        table.add_row(lesson.number, lesson.title, concepts, str(lesson.checks), done)
    screen.print(table)
    screen.print("Start with: scratchnet learn 1. What the concepts are: scratchnet learn --concepts", highlight=False)


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


def _teach(screen: Console, lesson: Lesson) -> None:
    """Show prose, code and what the code prints, cell by cell."""
    module = sys.modules[lesson.name] = ModuleType(lesson.name)  # torch.compile finds a function's globals by their module
    for cell in lesson.cells():
        if cell.prose:
            screen.print(Markdown(cell.text), "")
            continue
        listing = Syntax(cell.text, "python", theme="ansi_dark", background_color="default", word_wrap=True)
        screen.print(Padding(listing, (0, 0, 1, 4)))
        code = compile("\n" * (cell.line - 1) + cell.text, lesson.path, "exec")  # tracebacks name the line of the file
        exec(code, vars(module))
        screen.print()
    screen.print(f"Your turn: scratchnet check {lesson.number}", highlight=False)
