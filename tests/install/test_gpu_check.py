"""tools/gpu_check.sh without a GPU, in the interpreter, for one primitive; and what it says of a stage that fails."""

import csv
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_emulation import build

FILES = {"summary.txt", "bench.csv", *(f"{name}.log" for name in "build verify sanitizers tests bench profile".split())}
SCRIPT = build.ROOT / "tools" / "gpu_check.sh"
pytestmark = pytest.mark.skipif(build.missing() is not None or not SCRIPT.exists(), reason=f"{build.missing()}, or no script")


def check(out: Path, **environment: str) -> tuple[int, list[str]]:
    """The exit status, and what summary.txt says about each stage."""
    for name in ("SCRATCHNET_BACKEND", "STAGES"):
        environment.setdefault(name, "")
    settings = {**os.environ, "DEVICE": "cpu", "OUT": str(out), "PYTHON": sys.executable, **environment}
    run = subprocess.run([SCRIPT, "rope"], env=settings, capture_output=True, text=True)
    assert not run.stderr, run.stderr
    return run.returncode, run.stdout.splitlines()


@pytest.mark.full
def test_the_stages_are_green(tmp_path):
    """Not those that build or run tests, which others do."""
    pytest.importorskip("triton", reason="needs Triton: pip install triton")
    status, lines = check(tmp_path, STAGES="environment verify bench profile step")
    assert [line[:24].strip() for line in lines] == ["environment", "verify triton", "bench", "profile", "step"], lines
    step = "ok" if importlib.util.find_spec("transformers") else "skipped"  # the package that has GPT-2
    said = [line[24:48].strip() for line in lines]
    assert (status, said) == (0, ["ok"] * 4 + [step]), [path.read_text() for path in tmp_path.glob("*.log")]
    assert {path.name for path in tmp_path.iterdir()} <= FILES
    rows = list(csv.DictReader((tmp_path / "bench.csv").open()))
    assert {(row["op"], row["what"], row["caches"]) for row in rows} == {("rope", "cpp", "warm"), ("rope", "cpp", "cold")}
    assert all(float(row["ms"]) > 0 and float(row["x_torch"]) > 0 for row in rows)
    for name, said in {"verify": " 0 failed", "profile": "rope on triton"}.items():
        assert said in (tmp_path / f"{name}.log").read_text(), name
    assert re.search(r"/nvcc\n.*release \d+\.\d.*\n(.*\n)*.*/g\+\+\n.* \d+\.\d", (tmp_path / "build.log").read_text())


def test_a_stage_that_fails_costs_no_other(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "FAIL $*"; exit 3\n')
    python.chmod(0o755)
    status, lines = check(tmp_path / "out", PYTHON=str(python), STAGES="verify bench profile")
    assert status == 1
    assert [line.split("  ")[0] for line in lines] == ["verify triton", "bench", "profile"]
    assert all(" FAILED with 3 " in line for line in lines), lines
    summary = (tmp_path / "out" / "summary.txt").read_text()
    assert "\nFAIL benchmarks/gpu.py rope --device cpu" in summary


def test_wheels_that_this_python_cannot_use_are_named(tmp_path):
    """Such as those that pip fetched for the Python of another machine."""
    (tmp_path / "one-1-cp30-none-any.whl").touch()
    status, lines = check(tmp_path / "out", CARRY=str(tmp_path), STAGES="no stage")
    said = "ERROR: one-1-cp30-none-any.whl is not a supported wheel on this platform."
    assert (status, lines) == (0, [f"none of the wheels in {tmp_path} is used: {said}"])
    assert lines[0] in (tmp_path / "out" / "summary.txt").read_text()
