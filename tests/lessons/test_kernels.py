"""The track of kernels: every solution is accepted, every usual mistake gets its own words, every text is whole."""

import pytest

from scratchnet import backends, cli, emulation
from scratchnet.checker import Contract, Speed, check, explain, load, measure
from scratchnet.cli.kernels import bars
from scratchnet.course import kernels, progress
from scratchnet.course.kernels.grade import grade
from scratchnet.measure.bench import Spread
from scratchnet.ops import OPS

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
    path = tmp_path / f"mine{exercise.stub.suffix}"
    path.write_text(text, encoding="utf-8")
    return grade(exercise, path)


@pytest.mark.parametrize("exercise", SOLUTIONS)
def test_the_solution_is_accepted_and_the_skeleton_is_not(exercise, tmp_path):
    if exercise.language == "Triton":
        pytest.importorskip("triton")
    assert graded(exercise, exercise.solution.read_text(encoding="utf-8"), tmp_path) == []
    assert "still" in graded(exercise, exercise.stub.read_text(encoding="utf-8"), tmp_path)[0]


@pytest.mark.slow
@pytest.mark.parametrize("exercise", [e for e in EXERCISES if e.language == "Triton"], ids=lambda exercise: exercise.name)
def test_a_solution_in_triton_passes_all_that_the_checker_asks(exercise):
    pytest.importorskip("triton")
    (verdict,) = check(load(exercise.solution, Contract(OPS[exercise.primitive])), exercise.direction)
    assert verdict.ok, explain(verdict)


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_usual_mistake_is_named(exercise, mistake, tmp_path):
    if exercise.language == "Triton":
        pytest.importorskip("triton")
    told = graded(exercise, mistake.planted(exercise.solution.read_text(encoding="utf-8")), tmp_path)
    assert any(mistake.told in line for line in told), told


WRAPPERS = {  # a number, and what the reader's file does with our solution or with torch's own
    "included": ("K19", '#include "{solution}"\n', "uses kernels/K19_gelu/solution.cpp: that is scratchnet's kernel"),
    "run": (
        "K22",
        "import runpy\n\nours = runpy.run_path('{solution}')\n\n\ndef forward(x):\n    return ours['forward'](x)\n",
        "uses kernels/K22_gelu_triton/solution.py: that is scratchnet's kernel, not one of yours: write your own",
    ),
    "executed": ("K22", "exec(open('{solution}').read())\n", "uses kernels/K22_gelu_triton/solution.py"),
    "torch's": (
        "K22", "import torch\n\n\ndef forward(input):\n    return torch.nn.functional.gelu(input)\n",
        "right, but it calls aten::gelu: that is torch's kernel",
    ),
    "ours": (
        "K22", "from scratchnet.nn import functional as F\n\n\ndef forward(input):\n    return F.gelu(input)\n",
        "that is scratchnet's kernel",
    ),
    "an answer in the frames": (
        "K22",
        "import sys\n\n\ndef forward(input):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in frame.f_locals.values():\n            if hasattr(value, 'exact'):\n"
        "                return value.exact[0].float()\n        frame = frame.f_back\n"
        "    raise LookupError('no frame knows it')\n",
        "it raised LookupError: no frame knows it",
    ),
    "an answer among the objects": (
        "K21",
        'extern "C" int PyGILState_Ensure();\nextern "C" void PyGILState_Release(int);\n'
        'extern "C" int PyRun_SimpleString(const char*);\n\n'
        "__global__ void copy(const float* x, float* y, int64_t n) {\n  if (threadIdx.x == 0) y[0] = x[0];\n}\n\n"
        "void forward(const float* input, float* output, int64_t rows, int64_t columns) {\n"
        "  const int state = PyGILState_Ensure();\n"
        '  const int found = PyRun_SimpleString("import gc\\nfrom scratchnet.measure.verify import Call\\ngc.collect()\\n"\n'
        '      "calls = [o for o in gc.get_objects() if isinstance(o, Call)]\\n"\n'
        '      "assert calls and not any({\'exact\', \'nudged\'} & vars(c).keys() for c in calls)\\n");\n'
        "  PyGILState_Release(state);\n  if (found) __builtin_trap();\n"
        "  copy<<<1, 1>>>(input, output, rows * columns);\n}\n",
        "wrong, ",
    ),
    "code for the grader": (
        "K22",
        "class Bomb:\n    def __reduce__(self):\n        return exit, (0,)\n\n\ndef forward(input):\n    return Bomb()\n",
        "it returned Bomb for output",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == "run" else pytest.mark.full) for name in WRAPPERS])
def test_a_wrapper_is_not_a_kernel(name, tmp_path):
    number, text, words = WRAPPERS[name]
    exercise = kernels.find(number)
    if exercise.language == "Triton":
        pytest.importorskip("triton")
    (told,) = graded(exercise, text.replace("{solution}", str(exercise.solution)), tmp_path)
    assert words in told


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
    assert f"0 of {len(EXERCISES)} kernels right" in run("learn")[1]
    mine = tmp_path / "exercises" / "K05_matmul_cuda.cu"
    mine.write_text(kernels.find("K05").solution.read_text(encoding="utf-8"), encoding="utf-8")
    code, told = run("check", "K05")
    assert code == 0 and "input          60 numbers  6 / 0" in told and "output         36 numbers  0 / 1" in told
    mine.write_text("// it was right once\n", encoding="utf-8")
    known = progress.load(kernels.find("K05"))
    task = known["tasks"]["K05_matmul_cuda"]
    assert known["begun"] <= task["passed"] and (task["tries"], task["hints"]) == (1, 1)
    assert f"1 of {len(EXERCISES)} kernels right" in run("learn")[1]
    row = next(line for line in run("learn", "--kernels")[1].splitlines() if "K05" in line)
    assert "done, 1 try" in row


def test_a_try_is_another_kernel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exercise, mine = kernels.find("K01"), tmp_path / "K01_matmul_loops.cpp"
    skeleton = exercise.stub.read_text(encoding="utf-8")
    for text, problem, tries in (
        (skeleton, "still as you got it", 0),
        ("void forward() {}", "wrong", 1),
        ("void  forward()\n{}  // shorter", "wrong", 1),
        ("void forward() { ; }", "wrong", 2),
        ("void forward() { ;; }", None, 3),
        ("void forward() { ;;; }", None, 3),  # it was right already
    ):
        mine.write_text(text, encoding="utf-8")
        progress.save_graded(exercise, mine, {exercise.name: problem})
        assert progress.load(exercise)["tasks"][exercise.name]["tries"] == tries
    assert progress.passed(exercise) == [exercise.name] and progress.tries(exercise) == ", 3 tries"


def test_the_readers_bar_is_among_those_of_the_rungs():
    times = {"torch": 0.5, "cpp:1": 8.0, "cpp:2": 2.0}  # as multiples of the reader's
    ratios = {name: Spread(time, time, time) for name, time in times.items()}
    head, *lines = bars(Speed(48, 64, None, ratios))
    assert head == "speed at 48x64, yours is 1:"
    assert [line.split()[0] for line in lines] == ["cpp:1", "cpp:2", "yours", "torch"]  # the fastest last
    assert [line.count("█") for line in lines] == [2, 10, 20, 40]
    assert lines[2].endswith(" 1 ←") and lines[3].endswith(" 2") and lines[0].endswith(" 0.125")


@pytest.mark.full
def test_the_plot_has_a_bar_for_torch_and_every_rung():
    exercise = kernels.find("K19")
    op = OPS[exercise.primitive]
    lines = bars(measure(load(exercise.solution, Contract(op)), exercise.direction))
    rungs = [name for name in backends.runnable(op, "cpu") if name.startswith("cpp")]
    assert {line.split()[0] for line in lines[1:]} == {"yours", "torch", *rungs}
    assert max(line.count("█") for line in lines) == 40 and all("█" in line for line in lines[1:])


def test_a_number_that_does_not_exist(capsys):
    with pytest.raises(SystemExit):
        cli.main(["learn", "K99"])
    assert "there is no kernel exercise 'K99'; they are K01" in capsys.readouterr().err
