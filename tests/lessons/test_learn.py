"""The frame of the lessons: listing, notebooks, the index of concepts, grading, hints and progress."""

import json

import pytest

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course import CONCEPTS
from scratchnet.course.exercise import same, task

LESSON = course.find("1")


def answer(desk, text):
    """The reader's file for lesson 1."""
    (desk / "exercises").mkdir(exist_ok=True)
    (desk / "exercises" / f"{LESSON.name}.py").write_text(text)


def test_the_list_names_every_lesson(capsys):
    assert main(["learn"]) == 0
    text = capsys.readouterr().out
    assert all(f"│ {lesson.number} " in text for lesson in course.all_lessons())


def test_every_concept_has_a_lesson(capsys):
    index = course.index()
    assert list(index) == list(CONCEPTS) == list(range(1, 91))
    assert index[1] == [LESSON]
    assert all(index.values())
    assert main(["learn", "--concepts"]) == 0
    assert "90 of 90 concepts have a lesson" in capsys.readouterr().out


def test_a_notebook_holds_the_same_cells(desk, capsys):
    assert main(["learn", "1", "--notebook", "notebooks"]) == 0
    assert "written: notebooks/01_tensor.ipynb" in capsys.readouterr().out
    notebook = json.loads((desk / "notebooks" / "01_tensor.ipynb").read_text())
    assert notebook["nbformat"] == 4
    kinds = {"markdown": True, "code": False}
    cells = [(kinds[cell["cell_type"]], "".join(cell["source"])) for cell in notebook["cells"]]
    assert cells == [(cell.prose, cell.text) for cell in LESSON.cells()]
    names = {"__name__": "__main__"}
    for prose, text in cells:
        if not prose:
            exec(text, names)
    assert capsys.readouterr().out.endswith(" checks passed\n")


def test_a_claim_that_does_not_hold_stops_the_lesson():
    with pytest.raises(AssertionError, match="lesson 09: this does not hold here: one is two"):
        course.Checks("09")("one is two", 1 == 2)


@pytest.mark.parametrize("command", ["learn", "check"])
def test_a_lesson_that_is_not_there(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "99"])
    assert stop.value.code == 2
    assert "there is no lesson '99'; the lessons are 01" in capsys.readouterr().err


def test_the_first_check_brings_the_exercise(desk, capsys):
    assert main(["check", "1"]) == 1
    text = capsys.readouterr().out
    assert "This is your exercise: exercises/01_tensor.py" in text and "0 of 5 tasks right. Stuck?" in text
    assert (desk / "exercises" / "01_tensor.py").read_text() == LESSON.stub.read_text()


def test_what_the_reader_wrote_is_graded_kept_and_listed(desk, capsys):
    right = "\n\ndef megabytes(n, c, h, w, dtype):\n    return n * c * h * w * dtype.itemsize / 1e6\n"
    answer(desk, LESSON.stub.read_text() + right)
    assert main(["check", "1"]) == 1
    text = capsys.readouterr().out
    assert "✓ megabytes" in text and "✗ doubled" in text and "1 of 5 tasks right" in text
    assert main(["learn"]) == 0
    assert "│ 1 of 5 " in capsys.readouterr().out


def test_all_right(desk, capsys):
    answer(desk, LESSON.solution.read_text())
    assert main(["check", "1"]) == 0
    assert f"5 of 5 tasks right. Compare with ours: {LESSON.solution}" in capsys.readouterr().out
    assert main(["learn"]) == 0
    assert "│ done " in capsys.readouterr().out


def test_hints_come_one_by_one_for_the_first_task_that_is_wrong(capsys):
    shapes = course.tasks(LESSON)[0]
    for number in (1, 2, 3, 3):
        assert main(["check", "1", "--hint"]) == 1
        text = " ".join(capsys.readouterr().out.split())
        assert f"shapes, hint {number} of 3: {shapes.hints[number - 1]}" in text
        assert (str(LESSON.solution) in text) == (number == 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def megabytes(:", "exercises/01_tensor.py does not run: SyntaxError: "),
        ("import torch\n1 / 0\n", "does not run: ZeroDivisionError: division by zero (line 2 of exercises/01_tensor.py)"),
        ("", "exercises/01_tensor.py has no function megabytes"),
        ("def megabytes(*args):\n    x = 1\n    return x + ...\n", "still blank: fill in the `...` in line 3 of "),
        ("def megabytes(*args):\n    return args[9]\n", "megabytes raises IndexError: tuple index out of range (line 2 of"),
        ("def megabytes(*args):\n    return 1.0\n", "colour images of 28 x 28 in float32: yours is 1.0; it should be 0.301056"),
    ],
)
def test_what_a_wrong_file_is_told(text, message, desk):
    answer(desk, text)
    verdict = course.grade(LESSON, desk.relative_to(desk) / "exercises" / "01_tensor.py")["megabytes"]
    assert message in verdict


def test_dots_in_an_index_are_not_blank(desk):
    text = LESSON.solution.read_text().replace("x[:, 0]\n", "x[..., 0]\n")
    answer(desk, text)
    assert course.grade(LESSON, desk / "exercises" / "01_tensor.py")["first_column"] is None


def test_two_mistakes_at_once_are_told_one_by_one():
    @task(facts=lambda f: {"first": f()[0], "second": f()[1]}, hints=("", "", ""))
    def pair():
        return 1, 2

    @pair.mistake
    def wrong_first():
        """The first is wrong."""
        return 10, 2

    @pair.mistake
    def wrong_second():
        """The second is wrong."""
        return 1, 20

    assert pair.grade(lambda: (1, 2)) is None
    assert pair.grade(lambda: (10, 20)) == "The first is wrong."
    assert pair.grade(lambda: (1, 20)) == "The second is wrong."
    assert pair.grade(lambda: (1, 30)) == "second: yours is 30; it should be 2"


def test_facts_are_the_same_up_to_rounding_and_no_further():
    import numpy as np
    import torch

    assert same(torch.ones(2) + 1e-7, torch.ones(2)) and same(float("nan"), float("nan")) and same((1, 0.1 + 0.2), (1, 0.3))
    assert same(ValueError("a"), ValueError("a")) and not same(ValueError("a"), ValueError("b"))
    assert not same(torch.ones(2), torch.ones(2).double()) and not same(torch.ones(1), torch.ones(1, 1))
    assert not same(np.ones(2), np.ones(2, dtype=np.float32)) and not same(1, True) and not same((1,), [1])
    assert not same(None, 1.0) and not same(torch.ones(1), 1)
