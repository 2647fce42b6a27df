"""The checker itself: right kernels of every kind pass, and each of the zoo's is caught with the diagnosis that fits."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from zoo import ZOO

from scratchnet import checker
from scratchnet.checker import compiler, speed
from scratchnet.cli import main
from scratchnet.measure.bench import KERNEL
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS, PRIMITIVES

RIGHT = Path(__file__).parent / "right"
needs_compiler = pytest.mark.skipif(not compiler.find_compiler(), reason="needs a C++ compiler: install g++ or set CXX")


def primitive(path):
    """What a file computes: its name begins with it."""
    return next(name for name in PRIMITIVES if path.stem.startswith(name))


def examine(path, direction="both"):
    if path.suffix == ".cpp" and not compiler.find_compiler():
        pytest.skip("needs a C++ compiler: install g++ or set CXX")
    if "triton" in path.stem and not find_spec("triton"):
        pytest.skip("needs Triton: pip install triton")
    return checker.check(checker.load(path, checker.Contract(OPS[primitive(path)])), direction)


@pytest.mark.parametrize("path", sorted(RIGHT.iterdir()), ids=lambda path: path.name)
def test_right_kernels_pass(path):
    verdicts = examine(path)
    assert [verdict.direction for verdict in verdicts] == ["forward", "backward"]
    assert all(verdict.ok for verdict in verdicts), [checker.explain(verdict) for verdict in verdicts if not verdict.ok]


@pytest.mark.parametrize("name", ZOO)
def test_wrong_kernels_are_explained(name, tmp_path):
    file, direction, old, new, words = ZOO[name]
    right = (RIGHT / file).read_text()
    assert old in right
    (tmp_path / file).write_text(right.replace(old, new, 1) if old else right + new)
    (verdict,) = examine(tmp_path / file, direction)
    assert not verdict.ok
    assert words in " ".join(checker.explain(verdict)), checker.explain(verdict)


def test_what_is_left_to_chance_may_be_declared(tmp_path):
    file, _, old, new, _ = ZOO["left to chance"]
    (tmp_path / file).write_text((RIGHT / file).read_text().replace(old, new, 1) + "\ndeterministic = False\n")
    (verdict,) = examine(tmp_path / file, "forward")
    assert verdict.ok


# ---- speed --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def roof(monkeypatch):
    """A slow machine with patience for one small size."""
    monkeypatch.setattr(Roof, "measure", lambda device, dtype, moved: Roof(1e9, 1e10))
    monkeypatch.setattr(speed, "MOST", 2**16)
    monkeypatch.setattr(speed, "SECONDS", 0.0)


def measure(path, seconds, monkeypatch, direction="forward"):
    """A kernel that is said to take so long, torch twice and our rungs three times a millisecond."""
    times = lambda name: seconds if name == KERNEL else 2e-3 if name is None else 3e-3
    monkeypatch.setattr(
        speed, "interleave", lambda calls, *_, **__: {name: [times(name)] * 3 for name in calls if calls[name]() is not None}
    )
    return checker.measure(checker.load(path, checker.Contract(OPS[primitive(path)])), direction)


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


def test_faster_than_the_machine_is_a_failure(roof, monkeypatch):
    with pytest.raises(
        checker.KernelError, match="impossible speed: 16x4096 in 1 us. This machine needs 524 us to move its 0.524 MB"
    ):
        measure(RIGHT / "gelu.py", 1e-6, monkeypatch)


def test_a_remembered_result_is_impossibly_fast(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speed, "MOST", 2**18)
    monkeypatch.setattr(speed, "SECONDS", 0.1)
    cheat = "seen = {}\n\ndef forward(x):\n    if x.numel() < 10**5:\n        return gelu(x)\n    key = x.data_ptr()\n"
    cheat += "    if key not in seen:\n        seen[key] = x, gelu(x)\n    return seen[key][1]\n"
    (tmp_path / "gelu.py").write_text(f"from torch.nn.functional import gelu\n\n{cheat}")
    assert main(["check", str(tmp_path / "gelu.py"), "--primitive", "gelu", "--direction", "forward"]) == 1
    assert "impossible speed: 64x4096" in capsys.readouterr().out


def test_what_is_timed_is_judged(roof, tmp_path, monkeypatch):
    (tmp_path / "gelu.py").write_text(
        "import torch\n\ndef forward(x):\n    return torch.nn.functional.gelu(x) * (x.numel() < 9999)\n"
    )
    with pytest.raises(checker.KernelError, match="right at small sizes, wrong at 16x4096: output: error"):
        measure(tmp_path / "gelu.py", 1e-3, monkeypatch)


def test_it_is_still_right_after_it_was_timed(roof, tmp_path, monkeypatch):
    cheat = "large = 0\n\ndef forward(x):\n    global large\n    large += x.numel() > 9999\n"
    cheat += "    return torch.nn.functional.gelu(x) * (large < 5)\n"
    (tmp_path / "gelu.py").write_text(f"import torch\n\n{cheat}")
    with pytest.raises(checker.KernelError, match="different results after it was timed"):
        measure(tmp_path / "gelu.py", 1e-3, monkeypatch)


# ---- the command --------------------------------------------------------------------------------------------------------


def test_command_reports_a_right_kernel(capsys):
    argv = ["check", str(RIGHT / "gelu.py"), "--primitive", "gelu", "--direction", "forward", "--no-speed"]
    assert main(argv) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text == (
        "gelu.py: gelu in NumPy ✓ forward passed sizes: 20 calls; strides: 9 calls; values: 10 calls; empty: 3 calls"
    )


def test_command_reports_a_wrong_kernel(tmp_path, capsys):
    file, direction, old, new, words = ZOO["unbiased variance"]
    (tmp_path / file).write_text((RIGHT / file).read_text().replace(old, new, 1))
    assert main(["check", str(tmp_path / file), "--primitive", "layer_norm", "--no-speed"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "✗ forward wrong at 1x1 (the smallest of 20 failures in 20 calls): output[0, 0] is nan, right is" in text
    assert f"probably: the variance is the {words} one, divided by D - 1; LayerNorm divides by D ✗ backward" in text


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


@needs_compiler
def test_a_crash_and_an_endless_loop_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.checker.candidate.PATIENCE", 0.2)
    contract = checker.Contract(OPS["gelu"])
    for body, words in (
        ("*(volatile int*)8 = 1;", r"it crashed \(Segmentation fault\)"),
        ("for (volatile int i = 0;;) i;", "does not end"),
    ):
        path = tmp_path / "gelu.cpp"
        path.write_text(f"void forward(const float* x, float* y, int64_t rows, int64_t columns) {{ {body} }}\n")
        with pytest.raises(checker.KernelError, match=words):
            checker.load(path, contract).run("forward", torch.ones(2, 3))
