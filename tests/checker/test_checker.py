"""The checker itself: right kernels of every kind pass, and each of the zoo's is caught with the diagnosis that fits."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from zoo import ZOO

from scratchnet import checker, verify
from scratchnet.checker.compiler import find_compiler
from scratchnet.cli import main
from scratchnet.registry import OPS, PRIMITIVES

RIGHT = sorted((Path(__file__).parent / "right").iterdir())


def examine(path, direction="both"):
    """The verdicts on a file whose name begins with what it computes."""
    if path.suffix == ".cpp" and not find_compiler():
        pytest.skip("needs a C++ compiler")
    if "triton" in path.stem and not find_spec("triton"):
        pytest.skip("needs Triton: pip install triton")
    contract = checker.Contract(OPS[next(name for name in PRIMITIVES if path.stem.startswith(name))])
    kernel = checker.load(path, contract)
    return kernel, contract, checker.check(kernel, contract, direction)


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.name)
def test_right_kernels_pass(path):
    _, _, verdicts = examine(path)
    assert [verdict.direction for verdict in verdicts] == ["forward", "backward"]
    assert all(verdict.ok for verdict in verdicts), [checker.explain(verdict) for verdict in verdicts if not verdict.ok]


@pytest.mark.parametrize("name", ZOO)
def test_wrong_kernels_are_explained(name, tmp_path):
    file, direction, old, new, words = ZOO[name]
    right = (RIGHT[0].parent / file).read_text()
    assert old in right
    (tmp_path / file).write_text(right.replace(old, new, 1) if old else right + new)
    _, _, (verdict,) = examine(tmp_path / file, direction)
    assert not verdict.ok
    assert words in " ".join(checker.explain(verdict)), checker.explain(verdict)
