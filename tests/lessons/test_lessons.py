"""Every lesson runs; the stub of its exercise is blank, the solution passes, and every mistake is called by its name."""

import ast
import re

import pytest

from scratchnet import course
from scratchnet.cli import main
from scratchnet.cli.options import PAGE
from scratchnet.course import CONCEPTS, progress

LESSONS = course.all_lessons()
MISTAKES = [
    pytest.param(task, mistake, id=f"{lesson.number}-{task.name}-{mistake.__name__}")
    for lesson in LESSONS
    for task in course.tasks(lesson)
    for mistake in task.mistakes
]
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


@each_lesson
def test_it_runs_and_counts_its_checks(lesson, capsys):
    assert main(["learn", lesson.number]) == 0
    text = capsys.readouterr().out
    (passed,) = re.findall(rf"^lesson {lesson.number}: (\d+) checks passed$", text, re.MULTILINE)
    assert int(passed) == progress.load(lesson)["checks"] > 0


@each_lesson
def test_its_header_and_its_width(lesson):
    assert lesson.title and set(lesson.concepts) <= set(CONCEPTS)
    lines = [(cell.prose, line) for cell in lesson.cells() for line in cell.text.splitlines()]
    assert not [line for prose, line in lines if len(line) > (PAGE if prose else PAGE - 4)]  # code is indented


@each_lesson
def test_the_stub_is_blank(lesson):
    verdicts = course.grade(lesson, lesson.stub)
    assert verdicts and all(problem.startswith("still blank: fill in the `...` in line ") for problem in verdicts.values())


@each_lesson
def test_the_stub_asks_for_what_the_solution_has(lesson):
    def signatures(path):
        functions = [part for part in ast.parse(path.read_text()).body if isinstance(part, (ast.FunctionDef, ast.ClassDef))]
        return {f.name: [a.arg for a in f.args.args] if isinstance(f, ast.FunctionDef) else None for f in functions}

    asked, given = signatures(lesson.stub), signatures(lesson.solution)
    assert list(asked) == [task.name for task in course.tasks(lesson)]
    assert asked == {name: given[name] for name in asked}


@each_lesson
def test_the_solution_passes(lesson):
    assert not any(course.grade(lesson, lesson.solution).values())


@each_lesson
def test_every_task_has_three_hints_and_mistakes(lesson):
    assert all(len(task.hints) == 3 and all(task.hints) and task.mistakes for task in course.tasks(lesson))


@pytest.mark.parametrize(("task", "mistake"), MISTAKES)
def test_a_mistake_gets_the_message_of_its_own(task, mistake):
    verdict, message = task.grade(mistake), " ".join(mistake.__doc__.split())
    unseen = " raises " in verdict or " returns" in verdict  # no fact could be seen: the mistake is a guess
    assert verdict == message or (unseen and verdict.endswith(f". Perhaps: {message}"))
