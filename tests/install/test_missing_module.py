"""Where the compiled module is missing, scratchnet says so at the line that imports it, and runs."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALL = "import torch; assert scratchnet.gelu(torch.zeros(3)).tolist() == [0, 0, 0]"


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A folder with only the package's Python files."""
    folder = tmp_path_factory.mktemp("bare")
    without = shutil.ignore_patterns("*.so", "__pycache__", "*_build_failure.txt")
    shutil.copytree(ROOT / "scratchnet", folder / "scratchnet", ignore=without)
    shutil.copytree(ROOT / "kernels", folder / "scratchnet" / "kernels", ignore=without, dirs_exist_ok=True)
    return folder


def run(bare: Path, *arguments: str) -> str:
    """What Python, run in the folder, writes to stderr; it must exit with 0. -S: no .pth file of an editable install counts."""
    path = {"PYTHONPATH": os.pathsep.join([str(bare), *site.getsitepackages()])}
    result = subprocess.run([sys.executable, "-S", *arguments], cwd=bare, env=path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stderr


@pytest.mark.parametrize(
    "line", ["import scratchnet", "from scratchnet import nn", "import importlib; importlib.import_module('scratchnet.nn')"]
)
def test_the_warning_points_at_the_line_that_imports(bare, line):
    (bare / "program.py").write_text(f"import torch\n\n{line}\n")
    (bare / "main.py").write_text("import program\n")
    said = run(bare, "main.py")
    assert said.count("RuntimeWarning") == 1
    assert f"{bare / 'program.py'}:3: RuntimeWarning: The compiled module of scratchnet is missing" in said
    assert f"  {line}" in said  # the source line


@pytest.mark.parametrize("how", [("-W", "error"), ("-W", "error::RuntimeWarning")])
def test_warnings_as_errors_do_not_stop_the_import(bare, how):
    said = run(bare, *how, "-c", f"import scratchnet; {CALL}")
    assert said.count("RuntimeWarning: The compiled module of scratchnet is missing") == 1 and "Traceback" not in said


def test_a_filter_silences_it(bare):
    assert run(bare, "-W", "ignore::RuntimeWarning", "-c", f"import scratchnet; {CALL}") == ""
    quiet = "import warnings; warnings.filterwarnings('ignore', 'The compiled module of scratchnet')"
    assert run(bare, "-c", f"{quiet}; import scratchnet; {CALL}") == ""


def test_the_warning_about_an_instruction_set_points_there_too(bare):
    """With the compiled module, if there is one."""
    if not [*(ROOT / "scratchnet").glob("_C*.so")]:
        pytest.skip("needs the compiled module: make build")
    (bare / "isa.py").write_text("import scratchnet\n")
    for how, where in (((), f"{bare / 'isa.py'}:1: "), (("-W", "error"), "")):
        environment = {"PYTHONPATH": str(ROOT), "SCRATCHNET_CPU_ISA": "none"}
        command = [sys.executable, *how, str(bare / "isa.py")]
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert f"{where}RuntimeWarning: SCRATCHNET_CPU_ISA=none: this build or CPU does not have it" in result.stderr
