"""setup.py finds operators and rungs in csrc/ by their files; C++ keeps no list of them."""

import runpy
import shutil
from pathlib import Path

import pytest

from scratchnet.ops import OPS

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="the sources are in a clone")


@pytest.fixture
def setup():
    return runpy.run_path(str(ROOT / "setup.py"))


@pytest.mark.parametrize("room, column", (("cpu", "cpp"), ("cuda", "cuda")))
def test_the_rungs_that_are_described_are_the_files_that_exist(setup, room, column):
    files = setup["rungs"](room)
    described = {name: len(op.rungs(column)) for name, op in OPS.items() if name in files}
    assert described and described == {name: len(files[name]) for name in described}
    assert all(file.name.startswith(f"{n}_") for own in files.values() for n, file in enumerate(own, 1))


def test_a_new_operator_is_new_files(setup, tmp_path, monkeypatch):
    csrc = shutil.copytree(ROOT / "csrc", tmp_path / "csrc")
    monkeypatch.setitem(setup["rungs"].__globals__, "CSRC", csrc)
    for folder, suffix in (("cpu", "cpp"), ("cuda", "cu")):
        (csrc / folder / "my_toy").mkdir()
        (csrc / folder / "my_toy" / f"1_naive.{suffix}").touch()
    (csrc / "cpu" / "my_toy" / "2_simd.cpp").touch()
    (csrc / "bindings" / "my_toy_ops.h").write_text(
        "#define SN_MY_TOY_OPS(X) X(my_toy_forward)\n#define SN_MY_TOY_HOST_OPS(X) X(my_toy_backward)\n"
    )
    first = next(iter(setup["ISA_FLAGS"]))
    assert f"\nextern const MyToyKernels my_toy_1_{first}, my_toy_2_{first}" in setup["ladders"]("cpu")
    assert "\nextern const MyToyKernels my_toy_1_cuda;\n" in setup["ladders"]("cuda")
    assert "SN_MY_TOY_OPS(X) SN_MY_TOY_HOST_OPS(X)" in setup["operators"]("cpu")
    assert "SN_MY_TOY_OPS(X)" in setup["operators"]("cuda") and "SN_MY_TOY_HOST_OPS(X)" not in setup["operators"]("cuda")
    assert '#include "bindings/my_toy_ops.h"' in setup["operators"]("cuda")
