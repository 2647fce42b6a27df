"""The track of kernels: every solution is accepted, every usual mistake gets its own words, every text is whole."""

import pytest

from scratchnet import cli, emulation
from scratchnet.course import kernels
from scratchnet.course.kernels.grade import grade

pytestmark = pytest.mark.skipif(emulation.missing() is not None, reason=str(emulation.missing()))
EXERCISES = kernels.all_exercises()
SMALL = ("K01", "K05", "K22")  # one of each language
some = lambda number: () if number in SMALL else pytest.mark.full
SOLUTIONS = [pytest.param(exercise, id=exercise.name, marks=some(exercise.number)) for exercise in EXERCISES]
MISTAKES = [  # g++ and the exam take a second each: the first of every exercise always, the others with all sweeps
    pytest.param(
        exercise, mistake, id=f"{exercise.number} {mistake.name}", marks=pytest.mark.slow if n else some(exercise.number)
    )
    for exercise in EXERCISES
    for n, mistake in enumerate(exercise.mistakes)
]


def graded(exercise, text, tmp_path):
    path = tmp_path / f"mine{exercise.skeleton.suffix}"
    path.write_text(text, encoding="utf-8")
    return grade(exercise, path)


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_the_solution_is_accepted_and_the_skeleton_is_not(exercise, tmp_path):
    if exercise.language == "Triton":
        pytest.importorskip("triton")
    assert graded(exercise, exercise.solution.read_text(encoding="utf-8"), tmp_path) == []
    assert "still" in graded(exercise, exercise.skeleton.read_text(encoding="utf-8"), tmp_path)[0]


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_usual_mistake_is_named(exercise, mistake, tmp_path):
    if exercise.language == "Triton":
        pytest.importorskip("triton")
    told = graded(exercise, mistake.planted(exercise.solution.read_text(encoding="utf-8")), tmp_path)
    assert any(mistake.told in line for line in told), told


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_the_text_of_an_exercise_is_whole(exercise):
    assert len(exercise.hints) == 3 and all(exercise.hints)
    assert len(exercise.mistakes) >= 2
    assert "## What moves\n\n```text\n" in exercise.task and "Proof:" not in exercise.task
    assert max(map(len, exercise.solution.read_text(encoding="utf-8").splitlines())) <= 128


def test_a_kernel_from_the_first_command_to_the_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = lambda *command: (cli.main(list(command)), capsys.readouterr().out)
    listed = run("learn", "--kernels")[1]
    assert all(exercise.number in listed for exercise in EXERCISES)
    code, task = run("learn", "k5")
    assert code == 0 and "exercises/K05_matmul_cuda.cu" in task and "scratchnet check K05" in task
    code, told = run("check", "K05")
    assert code == 1 and "still as you got it" in told
    code, hints = run("check", "K05", "--hint")
    assert code == 1 and "hint 3 of 3" in hints
    mine = tmp_path / "exercises" / "K05_matmul_cuda.cu"
    mine.write_text(kernels.find("K05").solution.read_text(encoding="utf-8"), encoding="utf-8")
    code, told = run("check", "K05")
    assert code == 0 and "input          60 numbers  6 / 0" in told and "output         36 numbers  0 / 1" in told


def test_a_number_that_does_not_exist(capsys):
    with pytest.raises(SystemExit):
        cli.main(["learn", "K99"])
    assert "there is no kernel exercise 'K99'; they are K01" in capsys.readouterr().err
