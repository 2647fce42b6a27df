"""The frame of the lessons: listing, notebooks, the index of concepts, grading, hints and progress."""

import json

import pytest

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course import CONCEPTS

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
