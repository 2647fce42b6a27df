"""A rung is a step: what it adds to the rungs below is one idea, on two screens at most, with the headers that it brings."""

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from scratchnet.measure.ladder import rungs
from scratchnet.ops import OPS

CSRC = Path(__file__).parents[2] / "csrc"
IN_THE_FILE = 80  # new lines of a rung's own file
IN_ALL = 100  # with those of its operator's headers that no rung below includes


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


def new_lines(below: Sequence[Path], source: Path) -> list[int]:
    """What a reader of the rungs below has not seen: how many lines of the file, then of each header that comes with it."""
    low = set().union(*map(headers, below))
    own = [path for path in headers(source) - low if path.parent == source.parent]
    known = {line for path in (*below, *low) for line in code(path)}
    return [sum(line not in known for line in code(path)) for path in (source, *own)]


def ladders() -> Iterator[tuple[str, list[Path]]]:
    """The files of each ladder, from the first rung to the last."""
    for folder in sorted({source.parent for column in ("cpu", "cuda") for source in (CSRC / column).glob("*/[0-9]_*")}):
        yield f"{folder.parent.name} {folder.name}", sorted(folder.glob("[0-9]_*"))
    for name in OPS:
        yield f"triton {name}", [rung.source for rung in rungs(name, ("triton",))]


STEPS = [
    pytest.param(files[:place], files[place], id=f"{name} {files[place].stem}")
    for name, files in ladders()
    for place in range(1, len(files))
]


@pytest.mark.parametrize("below, source", STEPS)
def test_a_rung_is_a_step(below, source):
    counts = new_lines(below, source)
    assert counts[0] <= IN_THE_FILE and sum(counts) <= IN_ALL, f"{source.name} adds {counts} lines: cut it, one idea a rung"


def test_code_is_what_is_left_without_prose(tmp_path):
    python, cpp = tmp_path / "a.py", tmp_path / "a.cpp"
    python.write_text('"""What it is."""\n\n# why\ndef f():  # so\n    """Two\n    lines."""\n    return 1\n')
    cpp.write_text("// What it is.\n\nint f() {  // so\n  return 1;\n}\n")
    assert code(python) == ["def f():", "return 1"]
    assert code(cpp) == ["int f() {", "return 1;", "}"]


def test_a_header_counts_where_it_first_appears(tmp_path):
    folder = tmp_path / "op"
    folder.mkdir()
    files = {"1_a.cpp": "f();\n", "2_b.cpp": '#include "b.h"\nf();\n', "b.h": "g();\n", "3_c.cpp": '#include "b.h"\nh();\n'}
    for name, text in files.items():
        (folder / name).write_text(text)
    first, second, third = (folder / name for name in ("1_a.cpp", "2_b.cpp", "3_c.cpp"))
    assert new_lines([first], second) == [1, 1]
    assert new_lines([first, second], third) == [1]
