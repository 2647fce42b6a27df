"""The frame of the lessons: listing, the index of concepts, grading and hints."""

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
    assert "next: scratchnet learn 1." in text
    assert len(text.splitlines()) < 1.5 * len(course.all_lessons())  # a line for most of them


def test_every_concept_has_a_lesson(capsys):
    index = course.index()
    assert list(index) == list(CONCEPTS) == list(range(1, 91))
    assert index[1] == [LESSON]
    assert all(index.values())
    assert main(["learn", "--concepts"]) == 0
    assert "90 of 90 concepts have a lesson" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_stops_the_lesson():
    with pytest.raises(AssertionError, match="lesson 09: this does not hold here: one is two"):
        course.Checks("09")("one is two", 1 == 2)


def test_a_claim_about_speed_may_fail_where_the_machine_is_busy(capsys):
    check = course.Checks("09")
    check.timed("one is quick", True)
    check.timed("two is quicker", False)
    check.done()
    text = capsys.readouterr().out
    assert "✓ one is quick\n✗ not this time: two is quicker. Other programs" in text
    assert text.endswith("lesson 09: 1 checks passed\n")


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


def test_all_right(desk, capsys):
    answer(desk, LESSON.solution.read_text())
    assert main(["check", "1"]) == 0
    text = capsys.readouterr().out
    assert f"5 of 5 tasks right. Compare with ours: {LESSON.solution}. next: scratchnet learn 2" in text


def test_hints_come_one_by_one_for_the_first_task_that_is_wrong(capsys):
    shapes = course.tasks(LESSON)[0]
    for number in (1, 2, 3, 3):
        assert main(["check", "1", "--hint"]) == 1
        text = " ".join(capsys.readouterr().out.split())
        assert f"shapes, hint {number} of 3: {shapes.hints[number - 1]}" in text
        assert ("def shapes():" in text and "torch.zeros(2, 3).T" in text) == (number == 3)
        assert "def dtypes" not in text  # of the other tasks nothing is given away


def test_a_hint_for_a_task_of_ones_choice(capsys):
    for number in (1, 2):
        assert main(["check", "1", "--hint", "megabytes"]) == 1
        assert f"megabytes, hint {number} of 3" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no task 'bytes'; the tasks are shapes, dtypes, megabytes, first_column"):
        main(["check", "1", "--hint", "bytes"])
