"""What a reader has read and done is known in every folder, and nothing takes it away."""

import json
import sys
from pathlib import Path

import pytest

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course import progress

LESSON = course.find("1")
MEGABYTES = "\n\ndef megabytes(n, c, h, w, dtype):\n    return n * c * h * w * dtype.itemsize / 1e6\n"


@pytest.fixture
def write(desk):
    """Write the reader's file for lesson 1."""

    def write(text):
        (desk / "exercises").mkdir(exist_ok=True)
        (desk / "exercises" / f"{LESSON.name}.py").write_text(text)

    return write


def listed(capsys):
    """Lesson 1 in the list: its cells."""
    capsys.readouterr()
    assert main(["learn"]) == 0
    return [cell.strip() for cell in next(line for line in capsys.readouterr().out.splitlines() if "│ 01 " in line).split("│")]


def test_it_is_in_the_users_data_folder(tmp_path, monkeypatch):
    assert progress.path() == tmp_path / "data" / "scratchnet" / "progress.json"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    assert progress.path() == tmp_path / ".local/share/scratchnet/progress.json"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert progress.path() == tmp_path / "Library/Application Support/scratchnet/progress.json"


def test_what_was_right_once_stays_done_in_every_folder(write, tmp_path, monkeypatch, capsys):
    write(LESSON.stub.read_text() + MEGABYTES)
    assert main(["check", "1"]) == 1
    text = capsys.readouterr().out
    assert "✓ megabytes" in text and "✗ doubled" in text and "1 of 5 tasks right" in text
    write("def megabytes(:")
    assert main(["check", "1"]) == 1
    monkeypatch.chdir(tmp_path)
    assert progress.passed(LESSON) == ["megabytes"]
    assert "1 of 5, 1 try" in listed(capsys)


def test_a_try_is_another_answer(write):
    file = progress.exercise(LESSON)
    for text, problem, tries in (
        ("", "still blank", 0),
        (MEGABYTES.replace("1e6", "1e3"), "wrong", 1),
        (MEGABYTES.replace("1e6", "1e3  # thousands?"), "wrong", 1),
        (MEGABYTES.replace("1e6", "2**20"), "wrong", 2),
        (MEGABYTES, None, 3),
        (MEGABYTES.replace("1e6", "1_000_000"), None, 3),  # it was right already
        ("def megabytes(:", "does not run", 3),
    ):
        write(LESSON.stub.read_text() + text)
        progress.save_graded(LESSON, file, {"shapes": "still blank", "megabytes": problem})
        assert progress.load(LESSON)["tasks"]["megabytes"]["tries"] == tries
    known = progress.load(LESSON)
    assert known["begun"] <= known["tasks"]["megabytes"]["passed"] and "passed" not in known["tasks"]["shapes"]


def test_the_exercise_is_found_from_another_folder(write, desk, tmp_path, monkeypatch, capsys):
    write(LESSON.solution.read_text())
    progress.save_graded(LESSON, progress.exercise(LESSON), {task.name: None for task in course.tasks(LESSON)})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert progress.exercise(LESSON) == desk / "exercises" / "01_tensor.py"
    assert "done, 5 tries" in listed(capsys)
    (desk / "exercises" / "01_tensor.py").unlink()
    assert progress.exercise(LESSON) == Path("exercises/01_tensor.py")


def test_a_lesson_that_was_read_shows_how_many_checks_held(capsys):
    assert main(["learn", "1"]) == 0
    (passed,) = [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("lesson 01: ")]
    assert listed(capsys)[3:5] == [str(LESSON.minutes), passed]


def test_a_broken_file_is_kept(capsys):
    progress.save_read(LESSON, 3)
    progress.path().write_text("{")
    with pytest.warns(UserWarning, match=r"progress\.json was not JSON: it is kept as .*progress\.broken"):
        assert progress.load(LESSON) == {}
    assert progress.path().with_suffix(".broken").read_text() == "{"
    progress.save_read(LESSON, 4)
    assert json.loads(progress.path().read_text())["01"]["checks"] == 4
