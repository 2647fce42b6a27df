"""The lessons as pages. A lesson runs when its page is made for the first time, and again when its text has changed. With
`sphinx-build -D lessons_run=0` none runs: where the page was never made, it shows no outputs.

What runs is the notebook that `scratchnet learn --notebooks` writes, without the cells in which a reader works: on the page the
exercise folds out, task by task, with its hints and its solution.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from _made import MADE, ROOT, write

import scratchnet
from scratchnet import course
from scratchnet.course import CONCEPTS, Lesson
from scratchnet.course.notebook import notebook

PAGES = MADE / "lessons"
KEPT = ROOT / "build" / "lessons"  # the executed cells, by what they were made from
SECONDS = 600  # after which a cell is stuck
GRADES = 3  # of difficulty

PAGES_BELOW = """
```{{toctree}}
:maxdepth: 1
:hidden:

{names}
```
"""
INDEX = """\
# Lessons

{count} lessons, each a script that ran when its page was made. In a terminal, `scratchnet learn 1` shows the first one and
`scratchnet check 1` grades its exercise.

::::{{container}} lessons
| lesson | minutes | difficulty | builds on | what it teaches |
| --- | --: | --- | --- | --- |
{rows}
::::

The dots say how much of the course a lesson takes for granted, as [on the map](../../learn.md#the-map).
"""
EXERCISE = """\
## Exercise

`scratchnet check {number}` writes this file into the folder `exercises`, and grades what you put in place of each `...`.

```python
{stub}
```
"""
DOWNLOAD = """\
{{download}}`Download this lesson as a notebook <notebooks/{name}.ipynb>`: where scratchnet is missing, in Colab for example,
its first cell installs [a wheel](../../install.md#wheels) that lies beside it.
"""


def setup(app):
    app.add_config_value("lessons_run", True, "")
    app.connect("builder-inited", lambda app: make(app.config.lessons_run))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(run: bool) -> None:
    """Every lesson's page and notebook, and the page that lists them."""
    lessons = course.all_lessons()
    for lesson in lessons:
        write(
            PAGES / "notebooks" / f"{lesson.name}.ipynb",
            json.dumps(notebook(lesson, lesson.stub.read_text(encoding="utf-8")), indent=1),
        )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for lesson, page in zip(lessons, pool.map(lambda lesson: executed(lesson, run), lessons), strict=True):
            write(PAGES / f"{lesson.name}.ipynb", json.dumps(page, indent=1))
    rows, names = "\n".join(map(_row, lessons)), "\n".join(lesson.name for lesson in lessons)
    write(PAGES / "index.md", INDEX.format(count=len(lessons), rows=rows) + PAGES_BELOW.format(names=names))


def page(lesson: Lesson) -> dict:
    """The notebook of a lesson's page, not yet run: its cells, then the exercise, where everything but the stub is folded."""
    book = notebook(lesson, lesson.stub.read_text(encoding="utf-8"))
    count = len(lesson.cells())
    head, _, *cells = book["cells"][: count + 1]  # without what installs scratchnet
    head = {**head, "source": ["".join(head["source"]) + "\n\n" + DOWNLOAD.format(name=lesson.name)]}
    asked = EXERCISE.format(number=int(lesson.number), stub=lesson.stub.read_text(encoding="utf-8").rstrip())
    texts = [asked, *map(_folded, course.tasks(lesson))]
    prose = [{"cell_type": "markdown", "metadata": {}, "source": [text]} for text in texts]
    return {**book, "cells": [head, *cells, *prose]}


def executed(lesson: Lesson, run: bool) -> dict:
    """The page with what its cells print and draw, if it has run or may run. nbclient's CellExecutionError if a cell raises."""
    book = page(lesson)
    helpers = [path.read_bytes() for path in sorted(Path(course.__file__).parent.glob("*.py"))]
    made_from = [json.dumps(book).encode(), scratchnet.__version__.encode(), *helpers]
    kept = KEPT / f"{lesson.name}-{hashlib.sha256(b''.join(made_from)).hexdigest()[:16]}.json"
    if not kept.exists() and not run:
        return book
    if not kept.exists():
        for old in KEPT.glob(f"{lesson.name}-*.json"):
            old.unlink()
        write(kept, json.dumps(_run(book)))
    return json.loads(kept.read_text())


def _run(book: dict) -> dict:
    import nbformat  # only where something has changed
    from nbclient import NotebookClient

    run = nbformat.reads(json.dumps(book), as_version=4)
    with TemporaryDirectory() as folder:  # for the pictures that a lesson saves
        quiet = ["--log-level=ERROR"]  # each kernel warns of what is sent in plain text, to this machine alone
        NotebookClient(run, timeout=SECONDS, extra_arguments=quiet, resources={"metadata": {"path": folder}}).execute()
    for cell in run.cells:
        cell.metadata.pop("execution", None)  # when it ran: not the same twice
    return run


def _folded(task: course.Task) -> str:
    """What helps with a task, to be folded out one after the other."""
    hints = [dropdown(f"{task.name}: hint {number}", hint) for number, hint in enumerate(task.hints, 1)]
    return "\n".join([*hints, dropdown(f"{task.name}: solution", f"```python\n{task.source()}\n```")])


def dropdown(title: str, text: str) -> str:
    """MyST Markdown that shows the title, and the text when it is opened."""
    return f"::::{{dropdown}} {title}\n{text}\n::::\n"


def _row(lesson: Lesson) -> str:
    taught = "; ".join(CONCEPTS[number] for number in lesson.concepts)
    numbers, dots = ", ".join(before(lesson)), difficulty(lesson.number)
    return f"| [{lesson.number}. {lesson.title}]({lesson.name}.ipynb) | {lesson.minutes} | {dots} | {numbers} | {taught} |"


def before(lesson: Lesson) -> list[str]:
    """The numbers of the lessons that it builds on, from its first lines."""
    found = re.search(r"Builds on lessons? ([\d, and]+)", " ".join(lesson.cells()[0].text.split()))
    return re.findall(r"\d\d", found[1]) if found else []


@functools.cache
def below(number: str) -> frozenset[str]:
    """All lessons that one stands on, directly or not."""
    own = before(course.find(number))
    return frozenset(own).union(*map(below, own))


def grade(number: str) -> int:
    """How difficult a lesson is, from 1 to GRADES: how much of the course it takes for granted."""
    return 1 + GRADES * len(below(number)) // len(course.all_lessons())


def difficulty(number: str) -> str:
    """The grade as dots."""
    return "●" * grade(number) + "○" * (GRADES - grade(number))
