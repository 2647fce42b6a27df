"""CONTRIBUTING's "Add a primitive" is true to the letter: with the files that it lists, and two edited lines, it is complete.

toy_primitive/ mirrors the tree and has the files of `soft_clip`. Here they are laid over a copy of the tree.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_face import EDITED, NEW

from scratchnet import _compiled

ROOT = Path(__file__).resolve().parents[2]
TOY, NAME = Path(__file__).with_name("toy_primitive"), "soft_clip"
# File -> a line of it, and what stands there afterwards: one edited line each, a new one or one with a new word.
EDITS = {
    "scratchnet/__init__.py": (
        "from scratchnet.functions.matmul import mm as mm\n",
        "from scratchnet.functions.matmul import mm as mm\nfrom scratchnet.functions.soft_clip import soft_clip as soft_clip\n",
    ),
    "scratchnet/course/served_by.py": ('    56: ("nn.Sigmoid", "nn.Tanh", ', '    56: ("nn.Sigmoid", "nn.Tanh", "soft_clip", '),
}
UNWANTED = (".venv", ".git", "dist", "shared", "cuda_emulation-*", "planted-*", "*.egg-info", "*.so", "__pycache__", ".*_cache")

pytestmark = pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="the sources are in a clone")
needs_build = pytest.mark.skipif(
    _compiled.module is None or not all(importlib.util.find_spec(tool) for tool in ("setuptools", "ninja", "pybind11")),
    reason="the build needs a C++ compiler, setuptools, ninja and pybind11: pip install setuptools ninja pybind11",
)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.is_file() and path.suffix != ".pyc"}


def edited_lines(old: str, new: str) -> int:
    return sum(line.startswith("+ ") for line in difflib.ndiff(old.splitlines(), new.splitlines()))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


def test_the_files_are_those_that_contributing_lists():
    rung = re.compile(rf"(csrc/cpu|csrc/cuda|kernels)/{NAME}/(?!1_naive|naive|__init__)\w+\.(cpp|cu|py)")
    later_rungs = set(filter(rung.fullmatch, files(TOY)))
    assert files(TOY) - later_rungs == {name.replace("<p>", NAME) for name in NEW}
    assert set(EDITS) == set(EDITED)
    assert sum(edited_lines(old, new) for old, new in EDITS.values()) <= 2


class Copy:
    """A copy of the tree with the new primitive."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*UNWANTED))  # with build/: ninja compiles what is new
        assert not {name for name in files(TOY) if (folder / name).exists()}
        shutil.copytree(TOY, folder, dirs_exist_ok=True)
        (folder / "scratchnet" / "kernels").symlink_to(folder / "kernels")  # where an installed package has them
        for name, (old, new) in EDITS.items():
            replace(folder / name, old, new)
        self.python("setup.py", "-q", "build_ext", "--inplace", SCRATCHNET_REQUIRE_EXT="1", SCRATCHNET_CUDA="0")

    def python(self, *command: str, code: int = 0, **environment: str) -> str:
        """What a program prints that runs in the copy and ends with `code`."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SCRATCHNET_"))}
        variables |= {"PYTHONPATH": str(self.folder), "OMP_WAIT_POLICY": "passive", **environment}
        run = subprocess.run([sys.executable, *command], cwd=self.folder, env=variables, capture_output=True, text=True)
        assert run.returncode == code, run.stdout + run.stderr
        return " ".join(run.stdout.split())

    def scratchnet(self, *command: str, code: int = 0) -> str:
        return self.python("-m", "scratchnet", *command, code=code)

    def tests(self, *names: str, select: str = "") -> int:
        """How many pass."""
        options = ("-p", "no:cacheprovider", "-m", "not slow and not full", "-k", select)
        return int(re.search(r"(\d+) passed", self.python("-m", "pytest", *options, *(f"tests/{name}" for name in names)))[1])


@pytest.mark.full
@needs_build
def test_a_new_primitive_is_verified_measured_listed_documented_and_tested(tmp_path):
    copy = Copy(tmp_path / "scratchnet")

    verified = copy.scratchnet("verify", NAME)
    rungs = {"numpy", "reference", "cpp:1", "cpp:2", *(("triton:1", "triton:2") if importlib.util.find_spec("triton") else ())}
    assert rungs <= set(verified.split()) and ", 0 failed" in verified

    assert f"{NAME}, limit 1" in copy.scratchnet("bench", NAME, "--quick")
    assert f"{NAME}, limit 1" in copy.python(f"benchmarks/{NAME}.py", "--quick")
    assert "whole registers, split over the threads" in copy.scratchnet("ladder", NAME, "--diff", "cpp:1", "cpp:2")

    listed = copy.scratchnet("info")
    assert all(words in listed for words in ("x / (1 + |x| / limit) in one pass over memory", "SIMD, threads", "128-bit loads"))

    (copy.folder / "wrong.py").write_text("def forward(x):\n    return x.clip(-1, 1)\n")
    explained = copy.scratchnet("check", "wrong.py", "--primitive", NAME, "--direction", "forward", code=1)
    assert "it clips hard, at the limit" in explained

    rooms = ("columns", "grid", "kernels/test_triton.py", "kernels/test_triton_rungs.py", "composability", "real_sizes")
    assert copy.tests(*rooms, "checker", "benchmarks", "docs/test_pages.py", "cli/test_cli_ladder.py", select=NAME) > 250
    lists = ("project/test_face.py", "docs/test_docstrings.py", "cli/test_cli_info.py", "typing")
    copy.tests(f"primitives/test_{NAME}.py", *lists)
    assert copy.tests("errors/test_wrong_calls.py", select=NAME) >= 2

    build = runpy.run_path(str(copy.folder / "tests/cuda_emulation/build.py"))  # which judges CUDA kernels: they compile for it
    for source in () if build["missing"]() else (copy.folder / "csrc/cuda" / NAME).iterdir():
        compiler = ["g++", *build["FLAGS"], "-fsyntax-only", "-x", "c++", str(source)]
        run = subprocess.run(compiler, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
