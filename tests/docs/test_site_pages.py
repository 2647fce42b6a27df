"""What the web site shows of the course: every cell of a lesson, and its exercise with hints and solutions to fold out."""

import sys
from pathlib import Path

import pytest

from scratchnet import course
from scratchnet.course.kernels import all_exercises

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "ext"))

import kernel_exercises  # noqa: E402
import lessons  # noqa: E402


@pytest.mark.parametrize("lesson", course.all_lessons(), ids=lambda lesson: lesson.name)
def test_a_lessons_page(lesson):
    head, *cells = ("".join(cell["source"]) for cell in lessons.page(lesson)["cells"])
    told = lesson.cells()
    assert head.startswith(told[0].text) and f"Reading time: {lesson.minutes} minutes." in head
    assert f"<notebooks/{lesson.name}.ipynb>" in head
    assert cells[: len(told) - 1] == [cell.text.rstrip() for cell in told[1:]]
    exercise, *folded = cells[len(told) - 1 :]
    assert lesson.stub.read_text().rstrip() in exercise
    tasks = course.tasks(lesson)
    assert len(folded) == len(tasks)
    for task, text in zip(tasks, folded, strict=True):
        assert text.count("::::{dropdown}") == 4 and task.source() in text
        assert all(f"{task.name}: hint {n}\n{hint}\n" in text for n, hint in enumerate(task.hints, 1))


@pytest.mark.parametrize("exercise", all_exercises(), ids=lambda exercise: exercise.name)
def test_a_kernel_exercises_page(exercise):
    text = kernel_exercises.page(exercise)
    assert text.startswith(exercise.task) and exercise.stub.read_text().rstrip() in text
    folded = text.partition("## Help")[2]
    assert folded.count("::::{dropdown}") == 4 and exercise.solution.read_text().rstrip() in folded
    assert all(f"Hint {n}\n{hint}\n" in folded for n, hint in enumerate(exercise.hints, 1))
