"""The wheels that CI builds are those that pyproject.toml promises; what is compiled anew for each Python; the oldest torch."""

import argparse
import importlib
import importlib.util
import os
import re
import runpy
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import torch

from scratchnet import _compiled

ROOT = Path(__file__).resolve().parents[2]
tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
needs_module = pytest.mark.skipif(_compiled.module is None, reason=_compiled.reason)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETTINGS = PROJECT["tool"]["cibuildwheel"]
WORKFLOW = (ROOT / ".github" / "workflows" / "wheels.yml").read_text()
PINNED = [re.match(r"cibuildwheel==([\d.]+)", name) for name in PROJECT["project"]["optional-dependencies"]["test"]]
MACHINES = {  # of the workflow -> system and processor for which it builds
    "ubuntu-latest": ("linux", "x86_64", "manylinux_x86_64"),
    "ubuntu-24.04-arm": ("linux", "aarch64", "manylinux_aarch64"),
    "macos-15": ("macos", "arm64", "macosx_arm64"),
}


THROUGH_NUMPY = """
import importlib.util, itertools, math, sys
import numpy as np

spec = importlib.util.spec_from_file_location("scratchnet._C", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
x = np.linspace(-3, 3, 1000, dtype="float32").reshape(20, 50)
gelu = np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel().tolist()]).reshape(x.shape)
product = x @ x.T
gelus, products = lambda rung: module.gelu_forward(x, False, rung), lambda rung: module.matmul_forward(x, x.T, rung)
for call, exact in ((gelus, gelu), (products, product)):
    for rung in itertools.count(1):
        try:
            result = call(rung)
        except RuntimeError as error:
            assert "there is no rung" in str(error) and rung > 2, error
            break
        np.testing.assert_allclose(result, exact, rtol=1e-5, atol=1e-5)
"""


def promised() -> list[str]:
    """The versions of Python in the classifiers, which begin with the oldest that may install."""
    versions = [re.fullmatch(r".*Python :: (3\.\d+)", name) for name in PROJECT["project"]["classifiers"]]
    versions = [found[1] for found in versions if found]
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    return versions


@pytest.mark.skipif(not importlib.util.find_spec("cibuildwheel"), reason="pip install cibuildwheel")
@pytest.mark.parametrize("machine", MACHINES)
def test_ci_builds_one_wheel_for_each_promised_python(machine):
    assert re.search(r"os: \[(.*)\]", WORKFLOW)[1].split(", ") == list(MACHINES)
    system, processor, tag = MACHINES[machine]
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", system, "--archs", processor]
    plan = subprocess.run([*command, ROOT], capture_output=True, text=True)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.split() == [f"cp{version.replace('.', '')}-{tag}" for version in promised()]


def test_ci_runs_the_cibuildwheel_that_reads_its_settings_here():
    (version,) = filter(None, PINNED)
    assert re.findall(r"pypa/cibuildwheel@v([\d.]+)", WORKFLOW) == [version[1]]


def test_no_wheel_leaves_without_kernels_or_with_torch_in_it():
    assert SETTINGS["environment"]["SCRATCHNET_REQUIRE_EXT"] == "1"
    for system in ("linux", "macos"):
        assert "--exclude libtorch_cpu" in SETTINGS[system]["repair-wheel-command"]
    assert set(SETTINGS["test-extras"]) <= set(PROJECT["project"]["optional-dependencies"])
    for module in ("module.cpp", "cuda_module.cpp"):  # so free-threaded Python, which gets no wheel, takes its lock back
        assert "gil_not_used" not in (ROOT / "csrc" / "bindings" / module).read_text()


def test_a_wheel_with_a_path_of_this_machine_or_without_kernels_is_refused(tmp_path):
    check = runpy.run_path(str(ROOT / "tools" / "wheels.py"))["check"]

    def wheel(**contents: str) -> Path:
        with zipfile.ZipFile(tmp_path / "one.whl", "w") as archive:
            for name, text in contents.items():
                archive.writestr(f"scratchnet/{name}.cpython-313-x86_64-linux-gnu.so", text)
        return tmp_path / "one.whl"

    check(wheel(_C="csrc/cpu/gelu/4_threads.cpp"))
    with pytest.raises(SystemExit, match=f"{ROOT} is a path of this machine, and is in scratchnet/_C.cpython-313"):
        check(wheel(_C=f"{ROOT}/csrc/cpu/gelu/4_threads.cpp"))
    for contents in ({}, {"_cuda": ""}, {"_C": "", "_cuda": "", "libtorch_cpu": ""}):
        with pytest.raises(SystemExit, match="scratchnet/_C and perhaps _cuda are wanted"):
            check(wheel(**contents))


@needs_module
@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("auditwheel", "uv"))), reason="pip install 'scratchnet[wheels]'")
def test_a_wheel_for_this_python_is_built_audited_and_tested():
    made = subprocess.run([sys.executable, ROOT / "tools" / "wheels.py", sys.executable], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    tag = f"cp3{sys.version_info.minor}"
    assert re.search(rf"MB, works: dist/scratchnet-\S+-{tag}-{tag}-manylinux_2_\d+_\w+.whl\n", made.stdout)


@needs_module
@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("uv"), reason="pip install 'scratchnet[wheels]'")
@pytest.mark.parametrize("version", promised())
def test_every_python_here_runs_the_kernels_through_numpy(version, tmp_path, monkeypatch):
    """Without a torch for it: its libraries do not depend on Python, and are those of the torch that runs this."""
    wheels = runpy.run_path(str(ROOT / "tools" / "wheels.py"))
    python = wheels["pythons"]().get(version)
    if python is None:
        pytest.skip(f"Python {version} is not here, or not its headers")
    # As make() does: a ninja of another version would compile everything anew, and so would the next build here.
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
    with zipfile.ZipFile(wheels["build"](python, tmp_path / "wheel")) as wheel:
        wheel.extractall(tmp_path / "site")
    own = (sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", python, "--target", tmp_path / "site", "numpy")
    subprocess.run(own, check=True)
    environment = {"PYTHONPATH": str(tmp_path / "site"), "LD_LIBRARY_PATH": str(Path(torch.__file__).parent / "lib")}
    module = next(tmp_path.glob("site/scratchnet/_C.*.so"))
    for command in (("-c", THROUGH_NUMPY, module), ("-m", "compileall", "-q", tmp_path / "site" / "scratchnet")):
        said = subprocess.run([python, *command], env=environment, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr


@needs_module
@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("auditwheel", "uv"))), reason="pip install 'scratchnet[wheels]'")
def test_a_wheel_for_64_bit_arm_is_built_audited_and_tested_in_an_emulator():
    made = subprocess.run([sys.executable, ROOT / "tools" / "wheels_aarch64.py"], capture_output=True, text=True)
    if " lacks " in made.stderr:
        pytest.skip(made.stderr)
    assert made.returncode == 0, made.stdout + made.stderr
    assert re.search(r"MB, works: dist/scratchnet-\S+-manylinux_2_\d+_aarch64.whl\n", made.stdout)


def test_the_lines_of_the_table_of_installs_are_routes_that_are_tried():
    routes = runpy.run_path(str(ROOT / "tools" / "installs.py"))["ROUTES"]
    page = (ROOT / "docs" / "install.md").read_text()
    lines = re.findall(r"^\| (.*) \| (yes|no) \| \d+ \| \d+ \| \d+ \|$", page, re.MULTILINE)
    assert dict(lines).items() <= {route.typed: "yes" if route.kernels else "no" for route in routes}.items()


@needs_module
@pytest.mark.parametrize("command", SETTINGS["test-command"])
def test_what_ci_runs_in_a_wheel_is_a_command(command):
    program, name, *arguments = shlex.split(command)
    assert program in PROJECT["project"]["scripts"]
    parser = argparse.ArgumentParser()
    importlib.import_module(f"scratchnet.cli.{name}").add_arguments(parser)
    assert parser.parse_args(arguments)  # SystemExit for what it does not know


@needs_module
@pytest.mark.skipif(not importlib.util.find_spec("torch_abi_audit"), reason="pip install torch-abi-audit, from Python 3.11 on")
def test_the_oldest_torch_is_the_one_that_is_promised():
    from torch_abi_audit import inspect_extension

    said = inspect_extension(Path(_compiled.module.__file__)).torch
    assert said.stable and not said.unknown_shim_symbols
    assert f"torch>={said.min_torch_version.removesuffix('.0')}" in PROJECT["project"]["dependencies"]


@needs_module
def test_only_the_part_that_speaks_numpy_is_compiled_for_each_python():
    """All else, torch's side included, is the same file for every Python."""
    objects = [str(path) for path in sorted((ROOT / "build").glob("C-????????/**/*.o"))]
    if not objects:
        pytest.skip("no object files here: the module was not built in this source tree")
    said = subprocess.run(["nm", "-A", "--undefined-only", *objects], capture_output=True, text=True).stdout
    speak = {line.split(":")[0] for line in said.splitlines() if re.search(r" _?Py[A-Z_]", line)}
    soabi = sysconfig.get_config_var("SOABI")
    assert {Path(name).name for name in speak if soabi in name} == {f"module.{soabi}.o", f"numpy_ops.{soabi}.o"}
    assert all(re.fullmatch(r"(module|numpy_ops)\.cpython-\S+\.o", os.path.basename(name)) for name in speak)
