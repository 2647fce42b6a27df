"""`scratchnet new`: the scaffold works before any change."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import scratchnet
from scratchnet.checker.compiler import find_compiler
from scratchnet.cli import main


def run(folder, *command):
    # Any folder: the package is found where this process has it.
    environment = os.environ | {"PYTHONPATH": str(Path(scratchnet.__file__).parents[1])}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def swish(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "swish"]) == 0
    assert "written: swish/swish.cpp" in capsys.readouterr().out
    return tmp_path / "swish"


@pytest.mark.full
@pytest.mark.skipif(not find_compiler(), reason="needs a C++ compiler: install g++ or set CXX")
def test_the_scaffold_passes_its_tests_and_measures(swish):
    assert not any("my_op" in path.name + path.read_text() for path in swish.iterdir())
    tests = run(swish, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert tests.returncode == 0 and "5 passed" in tests.stdout.replace("4 passed, 1 skipped", "5 passed"), tests.stdout
    bench = run(swish, "bench_swish.py")
    assert bench.returncode == 0 and bench.stdout.count("torch's time / ours") == 3, bench.stderr


def test_without_a_compiler_it_says_so(swish, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "/nonexistent/g++")
    tests = run(swish, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-k", "cpp or gradient")
    assert tests.returncode == 0 and "swish.cpp needs a C++ compiler: install g++ or set CXX" in tests.stdout
    assert main(["new", "other"]) == 0
    assert "There is no C++ compiler here" in capsys.readouterr().out


def test_names_that_will_not_do(swish, capsys):
    assert main(["new", "swish"]) == 1
    assert "swish exists already: nothing was written" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["new", "my-primitive"])
    assert "a name in lower case that Python can import, e.g. my_primitive, got 'my-primitive'" in capsys.readouterr().err
