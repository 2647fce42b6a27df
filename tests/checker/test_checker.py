"""The checker itself: right kernels of every kind pass, and each of the zoo's is caught with the diagnosis that fits."""

import json
import runpy
from importlib.util import find_spec
from pathlib import Path

import allclose
import pytest
import torch
from allclose import RIGHT, changed, operator
from zoo import ZOO

from scratchnet import checker
from scratchnet.checker import compiler, questions, speed
from scratchnet.checker.questions import Question
from scratchnet.cli import main
from scratchnet.measure.bench import KERNEL
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS, PRIMITIVES


def examine(path, direction="both", seed=0):
    if path.suffix == ".cpp" and not compiler.find_compiler():
        pytest.skip("needs a C++ compiler: install g++ or set CXX")
    if "triton" in path.stem and not find_spec("triton"):
        pytest.skip("needs Triton: pip install triton")
    return checker.check(checker.load(path, checker.Contract(operator(path))), direction, seed)


@pytest.fixture
def small(monkeypatch):
    """Fewer and smaller sizes, where those that remain tell enough."""
    monkeypatch.setattr(questions, "LARGE", (100, 30))
    monkeypatch.setattr(questions, "DRAWN", 2)
    monkeypatch.setattr(questions, "MOST", 128)


def sample(values, quick):
    """Parameters, of which `make test` runs some only."""
    return [
        pytest.param(v, marks=() if quick(i, v) else pytest.mark.full, id=getattr(v, "name", v)) for i, v in enumerate(values)
    ]


@pytest.mark.parametrize("path", sample(sorted(RIGHT.iterdir()), lambda i, path: path.stem in PRIMITIVES))
def test_right_kernels_pass(path, small):
    for verdict in examine(path):
        assert verdict.ok, checker.explain(verdict)
        assert {"sizes", "values", "empty", "repeats"} <= set(verdict.passed)


@pytest.mark.parametrize("name", sample(ZOO, lambda i, name: i % 5 == 0))
def test_wrong_kernels_are_explained(name, tmp_path, monkeypatch, small):
    if name.startswith("endless"):
        monkeypatch.setattr("scratchnet.checker.candidate.PATIENCE", 2)
    path, direction, words = changed(name, tmp_path)
    try:
        (verdict,) = examine(path, direction)
    except checker.KernelError as error:  # it does not even load
        text = str(error)
    else:
        assert not verdict.ok
        text = " ".join(checker.explain(verdict))
    assert words in text


def test_the_zoo_is_large_and_each_diagnosis_its_own():
    assert len(ZOO) >= 75 and len(list(RIGHT.iterdir())) >= 20
    assert len({words for *_, words in ZOO.values()}) == len(ZOO)
    assert {file.rpartition(".")[2] for file, *_ in ZOO.values()} == {"py", "cpp"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if i % 30 == 0 else pytest.mark.slow) for i, n in enumerate(ZOO)])
def test_what_the_usual_test_says_is_what_the_site_shows(name, tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.checker.candidate.PATIENCE", 2)
    said = json.loads(allclose.SAID.read_text())
    path, direction, _ = changed(name, tmp_path)
    if path.suffix == ".cpp" and not compiler.find_compiler() or "triton" in path.stem and not find_spec("triton"):
        pytest.skip("needs a C++ compiler or Triton")
    assert list(said) == list(ZOO) and allclose.passes(path, direction) is said[name]


def test_a_subclass_does_not_hide_where_its_memory_is(tmp_path):
    """Its attributes say what it likes, and a row that came in as a gradient is the gradient of the bias."""
    path, direction, words = changed("a gradient that came in", tmp_path)
    hidden = "\n\nclass Hidden(np.ndarray):\n    strides = property(lambda self: (self.itemsize,))\n"
    hidden += "    ctypes = property(lambda self: type('Elsewhere', (), {'data': 2**62})())\n"
    path.write_text(path.read_text().replace("(grad[0] if", "(grad[0].view(Hidden) if") + hidden)
    kernel = checker.load(path, checker.Contract(operator(path)))
    assert words in kernel.call(direction, Question("sizes", kernel.contract.plain, 1, 7).call(operator(path))).problem


SEARCH = """
{imports}
FIRST, SECOND = {first!r}, {second!r}  # two numbers that are right, the second with all of its bits the other way round


def known():
    with open("/proc/self/mem", "rb", 0) as memory:
        for line in open("/proc/self/maps"):
            place, rights, *_ = line.split()
            start, end = (int(number, 16) for number in place.split("-"))
            for piece in range(start, end if rights == "rw-p" else start, 2**24):
                memory.seek(piece)
                if within(memory.read(min(end - piece, 2**24 + 16))):
                    return True
    return False


def within(data):
    at = data.find(FIRST)
    while at >= 0:
        if bytes(255 - byte for byte in data[at + 8 : at + 16]) == SECOND:
            return True
        at = data.find(FIRST, at + 1)
    return False


def forward(x):
    return x * 0 + known()
"""


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="reads /proc")
@pytest.mark.parametrize("imports", ["", pytest.param("import torch", marks=pytest.mark.full)])
def test_what_is_right_is_nowhere_in_the_memory_of_a_kernel(imports, tmp_path):
    call = Question("sizes", "none", 17, 31).call(OPS["gelu"])
    right = call.exact[0].detach().numpy().tobytes()
    text = SEARCH.format(imports=imports, first=right[:8], second=bytes(255 - byte for byte in right[8:16]))
    (tmp_path / "gelu.py").write_text(text)
    kernel = checker.load(tmp_path / "gelu.py", checker.Contract(OPS["gelu"]))
    for _ in range(2):
        for _ in range(2):
            (result,) = kernel.call("forward", call).results
            assert not result.any()
        kernel.child.end()  # the next call is in another process
    assert runpy.run_path(str(tmp_path / "gelu.py"))["known"]()  # where it is, it is found


def test_what_is_right_is_computed_after_the_reply(small, monkeypatch):
    asked, ask = [], checker.Candidate.call

    def call(self, direction, call, *args, **kwargs):
        if not any(call is one for one in asked):
            assert not {"exact", "nudged"} & vars(call).keys()
            asked.append(call)
        return ask(self, direction, call, *args, **kwargs)

    monkeypatch.setattr(checker.Candidate, "call", call)
    questions.forget()
    (verdict,) = examine(RIGHT / "layer_norm_torch.py", "forward")
    assert verdict.ok and len(asked) > 60
    assert sum("exact" in vars(one) for one in asked) > 60


def test_one_number_may_have_any_stride(tmp_path):
    text = (RIGHT / "gelu_torch.py").read_text()
    text += "\n\nright = Gelu.apply\n\n\ndef forward(x):\n    return right(x).reshape(()).expand(x.shape)\n"
    (tmp_path / "gelu.py").write_text(text)
    call = Question("sizes", "none", 1, 1).call(OPS["gelu"])
    (result,) = checker.load(tmp_path / "gelu.py", checker.Contract(OPS["gelu"])).call("forward", call).results
    assert torch.allclose(result.double(), call.exact[0], rtol=1e-6)


def test_what_is_left_to_chance_may_be_declared(tmp_path, small):
    path, direction, _ = changed("left to chance", tmp_path)
    path.write_text(path.read_text() + "\ndeterministic = False\n")
    (verdict,) = examine(path, direction)
    assert verdict.ok


def test_a_slow_kernel_is_not_a_wrong_one(tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.checker.candidate.PATIENCE", 2)
    monkeypatch.setattr(questions, "LARGE", (100, 100))
    (tmp_path / "gelu.py").write_text((RIGHT / "gelu.py").read_text() + "\n\nquick = forward\n\n\ndef forward(x):\n")
    with (tmp_path / "gelu.py").open("a") as file:
        file.write("    while x.shape == (100, 100):\n        pass\n    return quick(x)\n")
    monkeypatch.setattr(questions, "BLOCKS", ())
    monkeypatch.setattr(questions, "DRAWN", 0)
    monkeypatch.setattr(questions, "MOST", 99)
    (verdict,) = examine(tmp_path / "gelu.py", "forward")
    assert verdict.ok
    assert "100x100, where it does not end: it was still running after 2 s" in verdict.left_out


# ---- speed --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def roof(monkeypatch):
    """A slow machine with patience for one small size."""
    monkeypatch.setattr(Roof, "measure", lambda device, dtype, moved: Roof(1e9, 1e10))
    monkeypatch.setattr(speed, "MOST", 2**16)
    monkeypatch.setattr(speed._Timed, "overhead", lambda self: 0.0)
    monkeypatch.setattr(speed, "SECONDS", 0.0)


def measure(path, seconds, monkeypatch, direction="forward"):
    """A kernel that is said to take so long, torch twice and our rungs three times a millisecond."""
    times = lambda name: seconds if name == KERNEL else 2e-3 if name is None else 3e-3
    monkeypatch.setattr(
        speed, "interleave", lambda calls, *_, **__: {name: [times(name)] * 3 for name in calls if [calls[name]()]}
    )
    return checker.measure(checker.load(path, checker.Contract(operator(path))), direction)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_speed_is_a_ratio_to_torch_and_to_our_rungs(direction, roof, monkeypatch):
    seen = measure(RIGHT / "layer_norm_torch.py", 1e-3, monkeypatch, direction)
    assert (seen.rows, seen.columns) == (64, 768)
    moved = (2 if direction == "forward" else 3) * 64 * 768 * 4
    assert seen.timing.share == pytest.approx(moved / 1e-3 / 1e9)
    assert {name: ratio.median for name, ratio in seen.ratios.items() if name in ("torch", "cpp:1")} == {
        "torch": pytest.approx(2),
        "cpp:1": pytest.approx(3),
    }
    assert str(seen).startswith("64x768: 1 ms, ") and "2 times as fast as torch, 3 times as fast as cpp:1" in str(seen)


def test_what_asking_takes_is_not_counted(monkeypatch):
    kernel = checker.load(RIGHT / "gelu.py", checker.Contract(OPS["gelu"]))
    assert 0 < speed._Timed(kernel, "forward").overhead() < 0.1


def test_faster_than_the_machine_is_a_failure(roof, monkeypatch):
    with pytest.raises(
        checker.KernelError, match="impossible speed: 16x4096 in 1 us. This machine needs 524 us to move its 0.524 MB"
    ):
        measure(RIGHT / "gelu.py", 1e-6, monkeypatch)


def test_a_remembered_result_is_impossibly_fast(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speed, "MOST", 2**18)
    monkeypatch.setattr(speed, "SECONDS", 0.1)
    cheat = "seen = {}\n\ndef forward(x):\n    if x.shape[1] != 4096:\n        return gelu(x)\n"
    cheat += "    key = x.data_ptr(), float(x[0, 0]), float(x[-1, -1])\n"
    cheat += "    if key not in seen:\n        seen[key] = x, gelu(x)\n    return seen[key][1]\n"
    (tmp_path / "gelu.py").write_text(f"from torch.nn.functional import gelu\n\n{cheat}")
    assert main(["check", str(tmp_path / "gelu.py"), "--primitive", "gelu", "--direction", "forward"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "impossible speed: 64x4096" in text or "64x4096 for new numbers in the memory of those that were timed" in text


def test_what_is_timed_is_judged(roof, tmp_path, monkeypatch):
    (tmp_path / "gelu.py").write_text(
        "import torch\n\ndef forward(x):\n    return torch.nn.functional.gelu(x) * (x.numel() < 9999)\n"
    )
    with pytest.raises(checker.KernelError, match="right at small sizes, wrong at 16x4096: output: error"):
        measure(tmp_path / "gelu.py", 1e-3, monkeypatch)


def test_it_is_still_right_after_it_was_timed(roof, tmp_path, monkeypatch):
    cheat = "large = 0\n\ndef forward(x):\n    global large\n    large += x.numel() > 9999\n"
    cheat += "    return torch.nn.functional.gelu(x) * (large < 7)\n"
    (tmp_path / "gelu.py").write_text(f"import torch\n\n{cheat}")
    with pytest.raises(checker.KernelError, match="different results after it was timed"):
        measure(tmp_path / "gelu.py", 1e-3, monkeypatch)


def test_a_call_is_judged_while_it_is_timed(roof, tmp_path, monkeypatch):
    monkeypatch.setattr(speed.random.Random, "random", lambda self: 0.0)
    cheat = "large = 0\n\ndef forward(x):\n    global large\n    large += x.numel() > 9999\n"
    cheat += "    return torch.nn.functional.gelu(x) * (large != 6)\n"
    (tmp_path / "gelu.py").write_text(f"import torch\n\n{cheat}")
    with pytest.raises(checker.KernelError, match="right before, wrong while it was timed at 16x4096"):
        measure(tmp_path / "gelu.py", 1e-3, monkeypatch)


def test_a_small_input_is_asked_many_times_after_timing(roof, tmp_path, monkeypatch):
    cheat = "calls = []\n\ndef forward(x):\n    calls.append(x.numel() == 527)\n"
    cheat += "    return torch.nn.functional.gelu(x) * (sum(calls) < 99)\n"
    (tmp_path / "gelu.py").write_text(f"import torch\n\n{cheat}")
    with pytest.raises(checker.KernelError, match="wrong in call 99 of one small input, after it was timed"):
        measure(tmp_path / "gelu.py", 1e-3, monkeypatch)


# ---- the command --------------------------------------------------------------------------------------------------------


def test_command_reports_a_right_kernel(capsys):
    argv = ["check", str(RIGHT / "gelu.py"), "--primitive", "gelu", "--direction", "forward", "--no-speed", "--seed", "0"]
    assert main(argv) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text == (
        "gelu.py: gelu in NumPy, --seed 0 ✓ forward passed sizes: 124 calls; strides: 21 calls; values: 40 calls; empty: 3 "
        "calls; dtypes: 2 calls; repeats: 31 calls not judged: 16 bits, approximate"
    )


def test_command_reports_a_wrong_kernel(tmp_path, capsys):
    path, _, words = changed("unbiased variance", tmp_path)
    argv = ["check", str(path), "--primitive", "layer_norm", "--no-speed", "--seed", "0"]
    assert main([*argv, "--json", str(tmp_path / "report.json"), "--report", str(tmp_path / "report.md")]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "✗ forward wrong at 1x1 (the smallest of 40 failures in 40 calls): output[0, 0] is nan, right is" in text
    assert f"probably: the variance is the {words} one, divided by D - 1; LayerNorm divides by D ✗ backward" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["ok"], report["operator"], report["kind"], report["seed"]) == (False, "layer_norm", "NumPy", 0)
    assert "## forward: wrong" in (tmp_path / "report.md").read_text()
    assert words in report["directions"]["forward"]["problem"][1] and report["directions"]["forward"]["speed"] is None


def test_the_page_has_the_verdict_and_the_times(roof, tmp_path, monkeypatch):
    measure(RIGHT / "gelu_torch.py", 1e-3, monkeypatch)
    page = checker.judge(RIGHT / "gelu_torch.py", OPS["gelu"], "forward").page()
    assert page.startswith(
        "# gelu_torch.py\n\n`gelu` in torch: right. Sizes were drawn with `--seed 0`.\n\n## forward: right\n"
    )
    assert "| sizes | 124 calls | ✓ |" in page and "Not judged: approximate." in page
    assert "| this kernel | 1 | 1 |\n| torch | 2 | 2 |\n" in page
    path, direction, _ = changed("last row", tmp_path)
    page = checker.judge(path, OPS["matmul"], direction, timed=False).page()
    assert "## forward: wrong\n\n> wrong at 1x1" in page and "| sizes | 40 calls | ✗ in 40 |" in page


def test_what_the_kernel_prints_comes_after_the_verdict(tmp_path, capsys):
    (tmp_path / "gelu.py").write_text("import os\n\ndef forward(x):\n    print('✓ forward')\n    os._exit(0)\n")
    assert main(["check", str(tmp_path / "gelu.py"), "--primitive", "gelu"]) == 1
    text = capsys.readouterr().out
    assert text.index("✗ forward") < text.index("The kernel printed:\n✓ forward")


@pytest.mark.parametrize("name", OPS)
def test_every_operator_has_a_contract_that_compiles_to_a_call(name):
    contract = checker.Contract(OPS[name])
    call = Question("sizes", contract.plain, 4, 6).call(OPS[name])
    for direction in checker.DIRECTIONS:
        assert contract.prototype(direction).startswith(f"void {direction}(const ")
        shapes = contract.shapes(direction, call)
        results = tuple(torch.zeros(shape) for shape in shapes)
        aligned = contract.aligned(call, direction, results)
        assert [r.shape for r in aligned if r is not None] == shapes
        assert len(aligned) == len(call.exact)


def test_help_says_what_every_primitive_takes(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    text = capsys.readouterr().out
    assert "  backward(grad_output, input, normalized_shape, weight, bias, eps) -> grad_input, grad_weight, grad_bias\n" in text
    assert "  void forward(const float* input, int64_t dim, const int64_t* index, float* output, int64_t rows, " in text


ERRORS = {
    "no function": ("gelu.py", "def gelu(x):\n    pass\n", "it has gelu. Expected one or both of forward(input) -> output"),
    "other arguments": (
        "gelu.py", "def forward(x, tanh):\n    pass\n",
        "forward(x, tanh) cannot be called: missing a required argument: 'tanh'. Expected forward(input) -> output",
    ),
    "one direction": ("gelu.py", "def backward(grad, x):\n    pass\n", "has no function forward(input) -> output"),
    "broken": ("gelu.py", "x = 1\ny = x + unknown\n", "does not run: NameError: name 'unknown' is not defined (line 2)"),
    "another file": ("gelu.txt", "", "a kernel is a Python file (.py) or a C++ file (.cpp)"),
    "C++ arguments": ("gelu.cpp", "void forward(const float* x) {}\n", "it has forward (with other arguments). Expected"),
    "C++ that does not compile": ("gelu.cpp", "void forward(\n", "rejects it:"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_teach(name, tmp_path, capsys):
    file, text, words = ERRORS[name]
    if file.endswith(".cpp") and not compiler.find_compiler():
        pytest.skip("needs a C++ compiler: install g++ or set CXX")
    (tmp_path / file).write_text(text)
    assert main(["check", str(tmp_path / file), "--primitive", "gelu", "--direction", "forward"]) == 1
    assert words in " ".join(capsys.readouterr().out.split())


def test_errors_about_the_command(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="what does gelu.py compute"):
        main(["check", "gelu.py"])
    assert main(["check", "gone.py", "--primitive", "gelu"]) == 1
    assert "there is no file gone.py" in capsys.readouterr().out
    monkeypatch.setenv("CXX", "/nonexistent/g++")
    assert main(["check", str(RIGHT / "gelu.cpp"), "--primitive", "gelu"]) == 1
    assert "there is no C++ compiler here" in capsys.readouterr().out
