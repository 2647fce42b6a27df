"""benchmarks/: one file a primitive, each of which runs."""

import runpy
import sys
from pathlib import Path

import pytest

from scratchnet import backends, bench
from scratchnet.registry import OPS, PRIMITIVES
from scratchnet.roof import Roof

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_every_primitive_has_its_file():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(PRIMITIVES)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_it_measures_the_operators_of_its_primitive(primitive, monkeypatch, capsys):
    path = str(FOLDER / f"{primitive}.py")
    sizes = runpy.run_path(path)["SIZES"]
    names = {op.name for op in OPS.values() if op.primitive == primitive}
    assert set(sizes) == names
    monkeypatch.setattr(bench, "timed", lambda call, repeat, device: 0.2 if backends.current() is None else 0.1)
    monkeypatch.setattr(Roof, "measure", lambda device, dtype: Roof(1e9, 1e10))
    monkeypatch.setattr(sys, "argv", [path, "--quick", "--backend", "torch"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(path, run_name="__main__")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for name in names:
        assert f"{name}, {next(iter(OPS[name].examples))}" in text
