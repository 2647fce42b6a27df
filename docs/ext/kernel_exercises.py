"""The kernels that a reader writes, and the puzzles, as pages: the task, the file to fill in, hints and solution, folded."""

from __future__ import annotations

from _made import LANGUAGES, MADE, write
from lessons import PAGES_BELOW, dropdown

from scratchnet.course.kernels import Exercise, all_exercises

PAGES = MADE / "kernels"

INDEX = """\
# Kernels to write, and puzzles

They are written in C++, Triton and CUDA C++. CUDA C++ runs in an emulation, so a C++ compiler is all that you need.
`scratchnet learn K01` writes the file to fill in. `scratchnet check K01` judges it, counts what it moves and draws its bar
beside those of the ladder. In a puzzle (from P1 on) the kernel is there and has a bug to find.

| | kernel | language | primitive |
| --- | --- | --- | --- |
{rows}
"""
PAGE = """\
{task}

## The file

`scratchnet learn {number}` writes it, `scratchnet check {number}` judges it.

```{colours}
{skeleton}
```

## Help

{hints}
"""


def setup(app):
    app.connect("builder-inited", lambda app: make())
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make() -> None:
    """A page for each exercise and puzzle, and the page that lists them."""
    exercises = all_exercises()
    for exercise in exercises:
        write(PAGES / f"{exercise.name}.md", page(exercise))
    names = "\n".join(exercise.name for exercise in exercises)
    write(PAGES / "index.md", INDEX.format(rows="\n".join(map(_row, exercises))) + PAGES_BELOW.format(names=names))


def page(exercise: Exercise) -> str:
    """The MyST Markdown of one page."""
    colours = LANGUAGES[exercise.stub.suffix]
    hints = [dropdown(f"Hint {number}", hint) for number, hint in enumerate(exercise.hints, 1)]
    hints.append(dropdown("Solution", f"```{colours}\n{exercise.solution.read_text(encoding='utf-8').rstrip()}\n```"))
    return PAGE.format(
        task=exercise.task,
        number=exercise.number,
        colours=colours,
        skeleton=exercise.stub.read_text(encoding="utf-8").rstrip(),
        hints="\n".join(hints),
    )


def _row(exercise: Exercise) -> str:
    title = f"[{exercise.title}]({exercise.name}.md)"
    return f"| {exercise.number} | {title} | {exercise.language} | {exercise.primitive}, {exercise.direction} |"
