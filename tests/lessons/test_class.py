"""Grading a whole folder, somebody else's file, and verdicts as JSON."""

import json

import pytest

from scratchnet import course
from scratchnet.cli import grade, main
from scratchnet.course import kernels, progress

FIRST, SECOND = course.all_lessons()[:2]


@pytest.fixture
def ada(tmp_path):
    """A student's folder: the first exercise is right, the second blank."""
    folder = tmp_path / "ada"
    folder.mkdir()
    (folder / f"{FIRST.name}.py").write_text(FIRST.solution.read_text())
    (folder / f"{SECOND.name}.py").write_text(SECOND.stub.read_text())
    return folder


@pytest.mark.full
def test_a_folder(ada, tmp_path, capsys):
    report = tmp_path / "ada.json"
    assert main(["check", "--all", "--file", str(ada), "--json", str(report)]) == 1
    text = capsys.readouterr().out
    tasks = {lesson: [task.name for task in course.tasks(lesson)] for lesson in course.all_lessons()}
    right, of = len(tasks[FIRST]), sum(map(len, tasks.values()))
    assert f"{right} of {of} tasks right" in text and text.count("no file") == len(tasks) - 2
    written = json.loads(report.read_text())
    assert (written["right"], written["of"]) == (right, of)
    assert written["lessons"]["01"] == {
        "name": FIRST.name,
        "file": str(ada / f"{FIRST.name}.py"),
        "tasks": dict.fromkeys(tasks[FIRST]),
    }
    assert all(problem.startswith("still blank") for problem in written["lessons"]["02"]["tasks"].values())
    assert written["lessons"]["03"]["file"] is None and list(written["lessons"]["03"]["tasks"]) == tasks[course.find("3")]
    assert progress.load(FIRST) == {}  # it is the student's


def test_one_file(ada, tmp_path, desk):
    report = tmp_path / "one.json"
    assert main(["check", "1", "--file", str(ada / f"{FIRST.name}.py"), "--json", str(report)]) == 0
    assert json.loads(report.read_text())["lessons"].keys() == {"01"}
    assert progress.load(FIRST) == {} and not list(desk.iterdir())


def test_kernels_that_are_there_count(ada, tmp_path, monkeypatch, capsys):
    right, wrong = map(kernels.find, ("K05", "K22"))
    for exercise in (right, wrong):
        (ada / f"{exercise.name}{exercise.stub.suffix}").write_text(exercise.stub.read_text())
    monkeypatch.setattr(grade.course, "all_lessons", lambda: [])
    monkeypatch.setattr(grade, "grade_kernel", lambda exercise, path: ["it leaks", "much"] if exercise == wrong else [])
    assert main(["check", "--all", "--file", str(ada), "--json", str(tmp_path / "ada.json")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["K05  1 of 1", "K22  0 of 1  wrong: K22_gelu_triton", "1 of 2 tasks right"]
    written = json.loads((tmp_path / "ada.json").read_text())
    assert (written["right"], written["of"], written["lessons"]) == (1, 2, {})
    tasks = {number: kernel["tasks"] for number, kernel in written["kernels"].items()}
    assert tasks == {"K05": {right.name: None}, "K22": {wrong.name: "it leaks\nmuch"}}


def test_the_verdict_on_a_kernel_as_json(tmp_path):
    exercise, report = kernels.find("K19"), tmp_path / "k19.json"
    assert main(["check", "K19", "--file", str(exercise.stub), "--json", str(report)]) == 1
    (told,) = json.loads(report.read_text())["kernels"].values()
    assert (told["name"], told["file"]) == (exercise.name, str(exercise.stub))
    assert "is still as you got it" in told["tasks"][exercise.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a lesson .its number., a file with a kernel, or --all"),
        (["--all"], "there is no folder exercises; `scratchnet check 1` begins one"),
        (["1", "--file", "nobody.py"], "there is no file nobody.py"),
        (["mine.py", "--primitive", "gelu", "--file", "mine.py"], "--file are for exercises, and this is a kernel"),
        (["1", "--report", "page.md"], "--report are for kernels of your own, and this is an exercise"),
        (["K19", "--primitive", "gelu"], "--primitive and --report are for kernels of your own"),
        (["1", "--all"], "--all grades every exercise: it goes with no number, no file and no --hint"),
        (["--all", "--hint"], "it goes with no number, no file and no --hint"),
        (["K19", "--hint", "gelu"], "it is one task, K19_gelu: --hint needs no name"),
        (["1", "--json", "there/ada.json"], "there is no folder there for ada.json"),
        (["mine.py", "--primitive", "gelu", "--report", "there/page.md"], "there is no folder there for page.md"),
    ],
)
def test_what_is_missing_is_said(arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(["check", *arguments])


def test_a_kernel_that_cannot_be_called_is_reported_too(desk):
    """A script that grades must not find the verdict on the file before."""
    mine, verdict, page = desk / "mine.cpp", desk / "verdict.json", desk / "page.md"
    mine.write_text("void forward(\n")
    command = ["check", str(mine), "--primitive", "gelu", "--seed", "7", "--json", str(verdict), "--report", str(page)]
    assert main(command) == 1
    told = json.loads(verdict.read_text())
    assert (told["file"], told["operator"], told["seed"], told["ok"]) == ("mine.cpp", "gelu", 7, False)
    assert "rejects it" in told["problem"] and f"```text\n{told['problem']}\n```" in page.read_text()
