"""A lesson: one percent-format script, its exercise and its solution, and the index of what the lessons cover."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from scratchnet.course.concepts import CONCEPTS

FOLDER = Path(__file__).parent
WORDS, LINES = 180, 12  # of prose, and of code with what it prints, that are read in a minute


@dataclass(frozen=True)
class Cell:
    """The text between two `# %%` lines: prose in Markdown, or code."""

    prose: bool
    text: str
    line: int  # line of the file where the text begins
    hidden: bool  # runs, but nothing is to be learned from its code: the cells that count the checks


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
    def minutes(self) -> int:
        """How long it takes to read."""
        shown = [cell for cell in self.cells() if not cell.hidden]
        words = sum(len(cell.text.split()) for cell in shown if cell.prose)
        return round(words / WORDS + sum(len(cell.text.splitlines()) for cell in shown if not cell.prose) / LINES)

    @property
    def next(self) -> Lesson | None:
        """The lesson after this one."""
        lessons = all_lessons()
        return next(iter(lessons[lessons.index(self) + 1 :]), None)

    @property
    def headings(self) -> list[str]:
        """Those of its parts, in order."""
        return [line[3:] for cell in self.cells() if cell.prose for line in cell.text.splitlines() if line.startswith("## ")]

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
            prose, hidden = lines[start] == "# %% [markdown]", lines[start] == '# %% tags=["hide-input"]'
            body = [re.sub("^# ?", "", line) for line in lines[start + 1 : end]] if prose else lines[start + 1 : end]
            cells.append(Cell(prose, "\n".join(body).rstrip(), start + 2, hidden))
        return cells


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

    def timed(self, claim: str, holds: object) -> None:
        """Print a claim about speed. Where it does not hold, other programs may have disturbed the clock: say so and go on."""
        if holds:
            self(claim, holds)
        else:
            print(f"✗ not this time: {claim}. Other programs use this machine too; run it again when they rest.")

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
