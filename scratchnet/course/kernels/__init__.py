"""The kernels that a reader writes: one folder for each exercise, K01 and so on, and for each puzzle, P1 and so on.

K01_matmul_loops/
    exercise.md    what to write, what moves, three hints, the usual mistakes; how it is read: `Exercise`
    skeleton.cpp   what the reader fills in, or the file with a bug that the reader mends; .py is Triton, .cu is CUDA C++
    solution.cpp
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent
PRIMITIVE = r"Primitive: (\w+)(?: \((.+?)\))?, (\w+)\."  # Primitive: softmax (last dim), forward.
LANGUAGES = {".cpp": "C++", ".py": "Triton", ".cu": "CUDA C++"}


@dataclass(frozen=True)
class Proof:
    """What the trace of a call has to show: `expression` of its counts at one size, and what is said if it is false."""

    expression: str
    rows: int
    columns: int
    times: float  # what all numbers of the call are multiplied with
    otherwise: str


@dataclass(frozen=True)
class Mistake:
    """A usual mistake: the solution with some lines replaced, and a part of what the reader is told."""

    name: str
    changes: list[tuple[str, str]]  # lines, and what is in their place
    told: str

    def planted(self, solution: str) -> str:
        """The solution with the mistake."""
        for old, new in self.changes:
            if solution.count(old) != 1:
                raise ValueError(f"{self.name}: the solution has {solution.count(old)} places like\n{old}")
            solution = solution.replace(old, new)
        return solution


@dataclass(frozen=True)
class Exercise:
    """One folder: `exercise.md` has a title, a line for PRIMITIVE, proofs, and sections under the headings below."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def number(self) -> str:
        return self.name.split("_")[0]

    @property
    def stub(self) -> Path:
        """The file as the reader gets it: the skeleton."""
        return next(self.folder.glob("skeleton.*"))

    @property
    def solution(self) -> Path:
        return self.stub.with_stem("solution")

    @property
    def language(self) -> str:
        return LANGUAGES[self.stub.suffix]

    @cached_property
    def text(self) -> str:
        return (self.folder / "exercise.md").read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        return self._header(r"# \w\d+: (.+)")[1]

    @property
    def primitive(self) -> str:
        return self._header(PRIMITIVE)[1]

    @property
    def example(self) -> str | None:
        """The one example call of the operator that is meant, if not all that have the same arguments."""
        return self._header(PRIMITIVE)[2]

    @property
    def direction(self) -> str:
        """ "forward" or "backward"."""
        return self._header(PRIMITIVE)[3]

    @property
    def proofs(self) -> list[Proof]:
        """Lines such as: Proof: `misses < 5000` at 48 x 48 (times 30), or else: the reason."""
        found = re.findall(r"^Proof: `(.+?)` at (\d+) x (\d+)(?: \(times (\d+)\))?, or else: (.+)$", self.text, re.MULTILINE)
        return [Proof(what, int(rows), int(columns), float(times or 1), reason) for what, rows, columns, times, reason in found]

    @property
    def needs(self) -> list[tuple[str, str]]:
        """Lines such as: Needs: `tl.dot`, or else: the reason."""
        return re.findall(r"^Needs: `(.+?)`, or else: (.+)$", self.text, re.MULTILINE)

    @property
    def task(self) -> str:
        """What the reader is to do, with the picture of what moves: all before the hints."""
        before = self.text.split("\n## Hints")[0]
        return re.sub(r"^(Primitive|Proof|Needs): .*\n+", "", before, flags=re.MULTILINE).rstrip()

    @property
    def hints(self) -> list[str]:
        """Three: the idea, the tool, the line."""
        return [" ".join(hint.split()) for hint in re.split(r"^\d\. ", self._section("Hints"), flags=re.MULTILINE)[1:]]

    @property
    def mistakes(self) -> list[Mistake]:
        """Each has a heading, a line `Told: ...` and a diff of the solution."""
        found = []
        for part in re.split(r"^### ", self._section("Usual mistakes"), flags=re.MULTILINE)[1:]:
            diff = re.search(r"```diff\n(.*?)```", part, re.DOTALL)[1]
            plain = lambda lines: re.sub(r"^.", "", lines, flags=re.MULTILINE)
            changes = [(plain(old), plain(new)) for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)*)", diff, re.MULTILINE)]
            found.append(Mistake(part.splitlines()[0], changes, re.search(r"^Told: (.+)$", part, re.MULTILINE)[1]))
        return found

    def _header(self, pattern: str) -> re.Match:
        if not (found := re.search(pattern, self.text)):
            raise ValueError(f"{self.folder / 'exercise.md'} has no line {pattern!r}")
        return found

    def _section(self, heading: str) -> str:
        return re.split(r"^## ", self._header(rf"(?s)\n## {heading}\n(.*)")[1], flags=re.MULTILINE)[0]


def without_comments(text: str, suffix: str) -> str:
    """The code in a Triton (.py), C++ or CUDA file."""
    return re.sub("#.*" if suffix == ".py" else r"//.*|/\*.*?\*/", "", text)


def all_exercises() -> list[Exercise]:
    """Every exercise in order, then every puzzle."""
    return [Exercise(path.parent) for path in sorted(FOLDER.glob("[KP][0-9]*_*/exercise.md"))]


def find(number: str) -> Exercise:
    """The exercise with a number such as K01 or k1; ValueError if there is none."""
    there = {exercise.number: exercise for exercise in all_exercises()}
    asked = number[:1].upper() + (number[1:].zfill(2) if number[:1] in "Kk" else number[1:])
    if asked not in there:
        raise ValueError(f"there is no kernel exercise {number!r}; they are {', '.join(there)}")
    return there[asked]
