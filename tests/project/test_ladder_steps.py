"""A rung is a step: what its file adds to the rung below is one idea, on two screens at most.

Headers that several rungs share are not counted, although some of them come with a rung: its page on the site shows them.
"""

import ast
import functools
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from scratchnet.measure.ladder import rungs
from scratchnet.ops import OPS

CSRC = Path(__file__).parents[2] / "csrc"
MOST = 80  # new lines of a rung


def code(path: Path) -> list[str]:
    """The lines of a source without blank ones, comments and docstrings, and without what follows a line's code."""
    text = path.read_text()
    lines = text.splitlines()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    mark = r"\s*#.*" if path.suffix == ".py" else r"\s*//.*"
    return [line for line in (re.sub(mark, "", line).strip() for line in lines) if line]


@functools.cache
def headers(source: Path) -> set[Path]:
    """The headers of csrc that a C++ or CUDA source includes, itself or through others; for Python none."""
    found: set[Path] = set()
    for name in re.findall(r'^#include "(.+)"', source.read_text(), re.MULTILINE):
        path = next(path for path in (source.parent / name, CSRC / name) if path.exists())
        found |= {path.resolve()} | (headers(path) if path not in found else set())
    return found


@functools.cache
def users(header: Path) -> int:
    """How many rungs, of any operator, include a header."""
    return sum(header in headers(source) for source in header.parents[1].glob("*/[0-9]_*"))


def new_lines(below: Path, source: Path) -> list[str]:
    """What a reader of the rung below, and of headers that several rungs share, has not seen: in the file of the rung and in
    headers that it alone includes."""
    low, high = headers(below), headers(source)
    known = {line for path in (below, *(low & high)) for line in code(path)}
    own = [path for path in high - low if path.parent == source.parent and users(path) == 1]
    return [line for path in (source, *own) for line in code(path) if line not in known]


def ladders() -> Iterator[tuple[str, list[Path]]]:
    """The files of each ladder, from the first rung to the last."""
    for folder in sorted({source.parent for column in ("cpu", "cuda") for source in (CSRC / column).glob("*/[0-9]_*")}):
        yield f"{folder.parent.name} {folder.name}", sorted(folder.glob("[0-9]_*"))
    for name in OPS:
        yield f"triton {name}", [rung.source for rung in rungs(name, ("triton",))]


STEPS = [
    pytest.param(below, source, id=f"{name} {source.stem}") for name, files in ladders() for below, source in pairwise(files)
]


@pytest.mark.parametrize("below, source", STEPS)
def test_a_rung_is_a_step(below, source):
    count = len(new_lines(below, source))
    assert count <= MOST, f"{source.name} adds {count} lines to {below.name}: cut it, one idea a rung"


def test_code_is_what_is_left_without_prose(tmp_path):
    python, cpp = tmp_path / "a.py", tmp_path / "a.cpp"
    python.write_text('"""What it is."""\n\n# why\ndef f():  # so\n    """Two\n    lines."""\n    return 1\n')
    cpp.write_text("// What it is.\n\nint f() {  // so\n  return 1;\n}\n")
    assert code(python) == ["def f():", "return 1"]
    assert code(cpp) == ["int f() {", "return 1;", "}"]


def test_a_header_that_one_rung_alone_includes_counts_as_its_own(tmp_path):
    folder = tmp_path / "op"
    folder.mkdir()
    files = {"1_a.cpp": "f();\n", "2_b.cpp": '#include "b.h"\nf();\n', "b.h": "g();\n"}
    for name, text in files.items():
        (folder / name).write_text(text)
    below, source = folder / "1_a.cpp", folder / "2_b.cpp"
    assert new_lines(below, source) == ['#include "b.h"', "g();"]
    (folder / "3_c.cpp").write_text('#include "b.h"\n')
    users.cache_clear()
    assert new_lines(below, source) == ['#include "b.h"']
