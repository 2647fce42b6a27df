"""Every code block of README.md and docs/ runs."""

import re
import subprocess
from pathlib import Path

import pytest

from scratchnet import cli
from scratchnet.cli.markdown import split
from scratchnet.registry import PRIMITIVES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    (page.name, *block)
    for page in PAGES
    for block in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
]
PYTHON = [(page, code) for page, language, code in BLOCKS if language == "python"]
SHELL = [line for _, language, code in BLOCKS if language == "sh" for line in code.splitlines()]


def test_every_block_is_of_a_kind_that_is_run():
    assert PYTHON and SHELL
    assert {language for _, language, _ in BLOCKS} == {"python", "sh"}


@pytest.mark.parametrize("page", PRIMITIVES)
def test_every_primitive_has_its_page_with_a_place_for_its_rungs(page):
    split("ladder", ROOT / "docs" / f"{page}.md")
    assert f"{page}.md" in {name for name, _ in PYTHON}


@pytest.mark.parametrize("page, code", PYTHON, ids=lambda text: text.strip().splitlines()[-1][:40])
def test_python(page, code):
    exec(compile(code, page, "exec"), {"__name__": "page"})


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
