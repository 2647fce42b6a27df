"""A lesson as a Jupyter notebook: what to install, the lesson, its exercise with the grading, the way to the next lesson."""

from __future__ import annotations

from scratchnet.course.lesson import Cell, Lesson

SETUP = """\
# Once: scratchnet with the data of the lessons and matplotlib, from a wheel in this folder (in Colab, upload it at the left):
# PyPI's scratchnet is another project. `make wheels` builds one for each Python. Your answers go into the folder exercises.
import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("scratchnet") is None:
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = list(Path().glob(f"scratchnet-*-{python}-*.whl"))
    assert wheels, f"there is no wheel of scratchnet for {python} in {Path().resolve()}: make wheels"
    wheel = f"{wheels[0].resolve()}[data]"
    %pip install --quiet $wheel
Path("exercises").mkdir(exist_ok=True)
"""
EXERCISE = """\
## Exercise

Replace each `...` in the next cell and run it, which writes `exercises/{name}.py`. The cell after it grades what you
wrote. `--hint` at the end of its last line helps with the first task that is not right yet, `--hint NAME` with one of
your choice.
"""
GRADE = """\
import sys

!{{sys.executable}} -m scratchnet check {number}
"""


def notebook(lesson: Lesson, answers: str) -> dict:
    """The notebook (nbformat 4.4), not yet run. answers: the exercise, blank or as far as the reader has come."""
    head, *cells = lesson.cells()
    number = int(lesson.number)
    following = lesson.next
    after = (
        f"The next one: [{following.number}, {following.title}]({following.name}.ipynb)" if following else "The last lesson."
    )
    return {
        "cells": [
            _prose(f"{head.text}\n\nReading time: {lesson.minutes} minutes."),
            _code(SETUP),
            *[_prose(cell.text) if cell.prose else _code(cell.text, cell) for cell in cells],
            _prose(EXERCISE.format(name=lesson.name)),
            _code(f"%%writefile exercises/{lesson.name}.py\n{answers}"),
            _code(GRADE.format(number=number)),
            _prose(after),
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 4,
    }


def _prose(text: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": text.rstrip().splitlines(keepends=True)}


def _code(text: str, cell: Cell | None = None) -> dict:
    hidden = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}} if cell and cell.hidden else {}
    source = text.rstrip().splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": hidden, "outputs": [], "source": source}
