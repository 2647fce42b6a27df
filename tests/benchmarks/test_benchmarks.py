"""benchmarks/: one file per primitive, others for steps, packages, pages and earlier measurements; each runs."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from scratchnet import backends
from scratchnet.measure import bench
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS, PRIMITIVES

OTHERS = (
    *("check", "glossary", "gpu", "hidden_states", "models", "optim", "pages", "peers", "run", "small_calls", "step"),
    "whole_models",
)
FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_every_primitive_has_its_file():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*PRIMITIVES, *OTHERS}


@pytest.mark.full
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_it_measures_the_operators_of_its_primitive(primitive, monkeypatch, capsys):
    path = str(FOLDER / f"{primitive}.py")
    sizes = runpy.run_path(path)["SIZES"]
    names = {op.name for op in OPS.values() if op.primitive == primitive}
    assert set(sizes) == names
    monkeypatch.setattr(bench, "timed", lambda call, repeat, device: 0.2 if backends.current() is None else 0.1)
    monkeypatch.setattr(Roof, "measure", lambda device, dtype: Roof(1e9, 1e10))
    monkeypatch.setattr(sys, "argv", [path, "--quick", "--backend", "reference"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(path, run_name="__main__")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for name in names:
        assert f"{name}, {next(iter(OPS[name].examples))}" in text


def test_the_steps_that_are_timed_learn_the_same():
    file = runpy.run_path(str(FOLDER / "step.py"))
    steps = {name: file["training_step"](name, **file["QUICK"]) for name in (file["TORCH"], file["OURS"], file["FUSED"])}
    losses = {name: [step() for _ in range(5)] for name, step in steps.items()}
    own = losses.pop(file["TORCH"])
    assert own[-1] < own[0]
    for ours in losses.values():
        torch.testing.assert_close(ours, own)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_the_peak_of_a_step_is_what_the_logits_take():
    file = runpy.run_path(str(FOLDER / "step.py"))
    sizes = {"tokens": 1024, "words": 4000, "width": 8}
    logits = sizes["tokens"] * sizes["words"] * 4
    assert logits <= file["peak"](file["TORCH"], sizes) < 8 * logits


@pytest.mark.full
def test_a_step_is_reported(tmp_path, capsys):
    path = tmp_path / "results.md"
    path.write_text("<!-- step -->\n<!-- /step -->\n")
    assert runpy.run_path(str(FOLDER / "step.py"))["main"](["--quick", "--readme", str(path)]) == 0
    lines = [line for line in path.read_text().splitlines() if line.startswith("| 1 |")]
    assert [line.split(" | ")[1] for line in lines] == ["torch.nn", "scratchnet.nn", "linear_cross_entropy"]
    assert "linear_cross_entropy" in capsys.readouterr().out


@pytest.mark.full
def test_what_each_setting_buys_is_reported(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # set by the user: not in the environment that is compared with
    path = tmp_path / "practice.md"
    path.write_text("<!-- run -->\n<!-- /run -->\n")
    file = runpy.run_path(str(FOLDER / "run.py"))
    two = dict(list(file["environments"]().items())[:2])  # each is a process that loads torch
    monkeypatch.setitem(file["main"].__globals__, "environments", lambda: two)
    assert file["main"](["--quick", "--turns", "2", "--readme", str(path)]) == 0
    lines = [line.split("|")[1:-1] for line in path.read_text().splitlines() if line.startswith("|")]
    assert [line[0].strip() for line in lines[2:]] == list(two) == ["nothing set", "OMP_WAIT_POLICY=passive"]
    assert lines[2][2].strip() == lines[2][4].strip() == "1.00 (1.00-1.00)"
    assert all(float(line[1]) > 0 and float(line[3]) > 0 for line in lines[2:])
    assert "A step of 64 tokens" in path.read_text()


def test_the_losses_of_hidden_states_that_are_timed_are_the_same():
    file = runpy.run_path(str(FOLDER / "hidden_states.py"))
    found, inputs = file["losses"](**file["QUICK"])
    for pair in found.values():
        own, ours = (file["step"](function, inputs)() for function in pair)
        torch.testing.assert_close(ours, own)
