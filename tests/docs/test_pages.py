"""Every code block of README.md, CONTRIBUTING.md and docs/ runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scratchnet import cli
from scratchnet.cli.markdown import split
from scratchnet.ops import PRIMITIVES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    (page.name, *block)
    for page in PAGES
    for block in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
]
SCRIPT = re.compile(r"# (\w+\.py)\n")  # the first line of a block that is a file, which a shell line runs
SCRIPTS = {found[1]: code for _, language, code in BLOCKS if language == "python" and (found := SCRIPT.match(code))}
PYTHON = [(page, code) for page, language, code in BLOCKS if language == "python" and code not in SCRIPTS.values()]
SHELL = list(dict.fromkeys(line for _, language, code in BLOCKS if language == "sh" for line in code.splitlines()))


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """A folder where commands find what they read, so that what they write does not end up in the clone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name, code in SCRIPTS.items():
        Path(name).write_text(code)


def test_every_block_is_of_a_kind_that_is_run():
    assert PYTHON and SHELL
    assert {language for _, language, _ in BLOCKS} == {"python", "sh"}


def test_every_file_is_run_by_a_shell_line():
    assert SCRIPTS and all(any(name in line.split() for line in SHELL) for name in SCRIPTS)


@pytest.mark.parametrize("page", PRIMITIVES)
def test_every_primitive_has_its_page_with_a_place_for_its_rungs(page):
    split("ladder", ROOT / "docs" / f"{page}.md")
    assert f"{page}.md" in {name for name, _ in PYTHON}


@pytest.mark.parametrize("page, code", PYTHON, ids=lambda text: text.strip().splitlines()[-1][:40])
def test_python(page, code):
    exec(compile(code, page, "exec"), {"__name__": "page"})


# A benchmark takes its time, and tests/cli runs the command at small sizes.
@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=pytest.mark.full if line.startswith("scratchnet bench") else ()) for line in SHELL]
)
def test_shell(line, capsys):
    command, *arguments = line.split()
    if arguments[0] == "check":  # a blank exercise, a blank kernel, a wrong one
        assert cli.main(arguments) == 1
        said = " ".join(capsys.readouterr().out.split())
        wrong = "the variance is the unbiased one, divided by D - 1; LayerNorm divides by D"
        answers = "shapes, hint 1 of 3", "K01_matmul_loops.cpp is still as you got it: fill it in", wrong
        assert any(answer in said for answer in answers)
    elif command == "scratchnet":
        assert cli.main(arguments) in (0, None)
    elif command == "make":  # what it would run: the suite cannot run itself
        plan = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert plan.returncode == 0 and plan.stdout
    elif command == ".venv/bin/python":  # a sample of the tests: the files named exist
        assert arguments[:2] == ["-m", "pytest"]
        found = subprocess.run([sys.executable, *arguments, "--collect-only"], cwd=ROOT, capture_output=True, text=True)
        assert found.returncode == 0 and "::" in found.stdout, found.stdout + found.stderr
    elif command == "torchrun":
        run = subprocess.run([sys.executable, "-m", "torch.distributed.run", *arguments], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        said = r"loss 0\.\d+ on 2 processes\n" if SCRIPTS.keys() & {*arguments} else r"(?s).*in each of 2 processes.*held-out.*"
        assert re.fullmatch(said, run.stdout)
    else:
        assert command == "pip" and (ROOT / arguments[-1] / "pyproject.toml").exists()  # tests/install runs it
