"""A right answer passes, whatever its style: `right/<lesson>.py` holds at least three for every task."""

import runpy
from pathlib import Path

import pytest

from scratchnet import course

RIGHT = Path(__file__).parent / "right"
LESSONS = [lesson for lesson in course.all_lessons() if (RIGHT / f"{lesson.name}.py").exists()]
TASKS = [pytest.param(lesson, task, id=f"{lesson.number}-{task.name}") for lesson in LESSONS for task in course.tasks(lesson)]


def variants(lesson, task):
    """Style -> answer, from the functions and classes called `<task>__<style>`."""
    names = runpy.run_path(str(RIGHT / f"{lesson.name}.py"))
    return {name: answer for name, answer in names.items() if name.startswith(f"{task.name}__")}


@pytest.mark.parametrize(("lesson", "task"), TASKS)
def test_three_styles_are_right(lesson, task):
    answers = variants(lesson, task)
    assert len(answers) >= 3 and all(answer.__doc__ for answer in answers.values())
    assert {name: task.grade(answer) for name, answer in answers.items()} == dict.fromkeys(answers)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_every_variant_belongs_to_a_task(lesson):
    names = runpy.run_path(str(RIGHT / f"{lesson.name}.py"))
    styles = [name for name in names if "__" in name.strip("_")]
    assert not [name for name in styles if not any(name.startswith(f"{task.name}__") for task in course.tasks(lesson))]
