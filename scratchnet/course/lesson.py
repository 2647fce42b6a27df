"""A lesson: one percent-format script, its exercise and its solution, and the index of what the lessons cover."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from scratchnet.course.concepts import CONCEPTS

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """The text between two `# %%` lines: prose in Markdown, or code."""

    prose: bool
    text: str
    line: int  # line of the file where the text begins


@dataclass(frozen=True)
class Lesson:
    """`lessons/<name>.py`, and its exercise and solution under the same name in `exercises/` and `solutions/`."""

    name: str

    @property
    def number(self) -> str:
        return self.name[:2]

    @property
    def path(self) -> Path:
        return FOLDER / "lessons" / f"{self.name}.py"

    @property
    def stub(self) -> Path:
        """The exercise as the reader gets it."""
        return FOLDER / "exercises" / f"{self.name}.py"

    @property
    def solution(self) -> Path:
        return FOLDER / "solutions" / f"{self.name}.py"

    @property
    def title(self) -> str:
        return self._header(r"# Lesson \d\d: (.+)")

    @property
    def concepts(self) -> list[int]:
        """The numbers in its line "Concepts: ..."."""
        return [int(number) for number in self._header(r"Concepts: ([\d, ]+)\.").split(",")]

    @property
    def checks(self) -> int:
        """How many of its claims are checked while it runs."""
        return sum(len(re.findall(r"^ *check\(", cell.text, re.MULTILINE)) for cell in self.cells() if not cell.prose)

    def _header(self, pattern: str) -> str:
        header = self.cells()[0].text
        if not (found := re.search(pattern, header)):
            raise ValueError(f"{self.path}: its first cell has no line {pattern!r}")
        return found[1]

    def cells(self) -> list[Cell]:
        """Prose without its comment signs, code unchanged."""
        cells, start = [], 0
        lines = self.path.read_text(encoding="utf-8").splitlines()
        marks = [i for i, line in enumerate(lines) if line.startswith("# %%")] + [len(lines)]
        for start, end in zip(marks, marks[1:], strict=False):
            prose = lines[start] == "# %% [markdown]"
            body = [re.sub("^# ?", "", line) for line in lines[start + 1 : end]] if prose else lines[start + 1 : end]
            cells.append(Cell(prose, "\n".join(body).rstrip(), start + 2))
        return cells

    def notebook(self) -> dict:
        """The lesson as a Jupyter notebook (nbformat 4.4), not yet run."""
        code = {"cell_type": "code", "execution_count": None, "outputs": []}
        return {
            "cells": [
                ({"cell_type": "markdown"} if cell.prose else code)
                | {"metadata": {}, "source": cell.text.splitlines(keepends=True)}
                for cell in self.cells()
            ],
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
            "nbformat": 4,
            "nbformat_minor": 4,
        }


class Checks:
    """Counts the claims of a lesson that hold: `check("a view shares memory", condition)`, and `check.done()` at the end."""

    def __init__(self, number: str):
        self.number = number
        self.passed: set[str] = set()  # a cell that is run twice counts once

    def __call__(self, claim: str, holds: object) -> None:
        """Print the claim with a tick; AssertionError if it does not hold."""
        if not holds:
            raise AssertionError(f"lesson {self.number}: this does not hold here: {claim}")
        self.passed.add(claim)
        print(f"✓ {claim}")

    def done(self) -> None:
        print(f"lesson {self.number}: {len(self.passed)} checks passed")


def all_lessons() -> list[Lesson]:
    """Every lesson, in order."""
    return [Lesson(path.stem) for path in sorted((FOLDER / "lessons").glob("[0-9][0-9]_*.py"))]


def find(number: str) -> Lesson:
    """The lesson with a number such as "7" or "07"; ValueError if there is none."""
    there = {lesson.number: lesson for lesson in all_lessons()}
    if number.zfill(2) not in there:
        raise ValueError(f"there is no lesson {number!r}; the lessons are {', '.join(there)}")
    return there[number.zfill(2)]


def index() -> dict[int, list[Lesson]]:
    """Concept -> the lessons that teach it."""
    taught = {lesson: lesson.concepts for lesson in all_lessons()}
    return {number: [lesson for lesson in taught if number in taught[lesson]] for number in CONCEPTS}
