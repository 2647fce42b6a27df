"""A right answer passes, whatever its style, and a wrong one that is not planted is told what is true.

`right/<lesson>.py` and `wrong/<lesson>.py` hold functions and classes called `<task>__<what>`; the docstring of a wrong one is
part of its verdict.
"""

import runpy
from pathlib import Path

import pytest

from scratchnet import course

FOLDER = Path(__file__).parent


def answers(kind, lesson):
    """Pairs of a task and an answer to it, from the file for a lesson if there is one."""
    path = FOLDER / kind / f"{lesson.name}.py"
    names = runpy.run_path(str(path)) if path.exists() else {}
    tasks = {task.name: task for task in course.tasks(lesson)}
    written = [name for name in names if "__" in name.strip("_")]
    return [(tasks[name[: name.rindex("__")]], names[name]) for name in written]


def parameters(kind):
    pairs = [(lesson.number, *pair) for lesson in course.all_lessons() for pair in answers(kind, lesson)]
    return [pytest.param(task, answer, id=f"{number}-{answer.__name__}") for number, task, answer in pairs]


@pytest.mark.parametrize(("task", "answer"), parameters("right"))
def test_a_right_answer_passes(task, answer):
    assert task.grade(answer) is None and answer.__doc__


@pytest.mark.parametrize("lesson", course.all_lessons(), ids=lambda lesson: lesson.name)
def test_every_task_has_three_right_answers(lesson):
    styles = [task for task, _ in answers("right", lesson)]
    assert all(styles.count(task) >= 3 for task in course.tasks(lesson))


@pytest.mark.parametrize(("task", "answer"), parameters("wrong"))
def test_a_wrong_answer_is_told_what_is_true(task, answer):
    assert " ".join(answer.__doc__.split()) in task.grade(answer)
