"""Every code block of README.md runs."""

import re
import subprocess
from pathlib import Path

import pytest

from scratchnet import cli

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """What a command writes is not written into the clone."""
    monkeypatch.chdir(tmp_path)


def test_every_block_is_of_a_kind_that_is_run():
    assert PYTHON and SHELL
    assert {language for language, _ in BLOCKS} == {"python", "sh"}


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.strip().splitlines()[-1][:40])
def test_python(code):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("line", SHELL)
def test_shell(line):
    command, *arguments = line.split()
    if command == "scratchnet":
        assert cli.main(arguments) in (0, None)
    elif command == "make":  # what it would run: the suite cannot run itself
        plan = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert plan.returncode == 0 and plan.stdout
    else:
        assert command == "pip" and (ROOT / arguments[-1] / "pyproject.toml").exists()  # tests/install runs it
