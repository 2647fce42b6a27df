"""Every way to install scratchnet, each in a copy of the source and a fresh environment; and what the linker produced."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

import scratchnet
from scratchnet import _compiled

ROOT = Path(__file__).resolve().parents[2]
needs_module = pytest.mark.skipif(_compiled.module is None, reason=_compiled.reason)
needs_build = pytest.mark.skipif(
    not all(importlib.util.find_spec(tool) for tool in ("setuptools", "ninja", "pybind11")),
    reason="the build needs setuptools, ninja and pybind11: pip install setuptools ninja pybind11",
)


def compilers() -> list[str]:
    """Every g++ and clang++ on PATH, each once; first the one that setup.py takes by itself."""
    names = sorted({name for folder in os.get_exec_path() if os.path.isdir(folder) for name in os.listdir(folder)}, key=len)
    found = [shutil.which(name) for name in ("g++", *names) if re.fullmatch(r"(g|clang)\+\+(-\d+)?", name)]
    return [Path(path).name for path in {os.path.realpath(path): path for path in reversed(found) if path}.values()][::-1]


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    # PYTHONPATH would let the source tree stand in for the installed package; the others steer the build.
    steering = ("PYTHONPATH", "CXX", "SCRATCHNET_BUILD", "SCRATCHNET_REQUIRE_EXT", "SCRATCHNET_SANITIZE", "SCRATCHNET_BACKEND")
    env = {key: value for key, value in os.environ.items() if key not in steering and not key.startswith("PYTEST_")}
    return subprocess.run(list(map(str, command)), cwd=cwd, env=env | environment, capture_output=True, text=True)


def succeed(*command: object, cwd: Path, **environment: str) -> str:
    result = run(*command, cwd=cwd, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what a clone holds, so that no test writes into the real one."""
    copy = tmp_path_factory.mktemp("clone") / "scratchnet"
    unwanted = (".venv", ".git", "build", "dist", "*.egg-info", "*.so", "__pycache__", ".*_cache", "*_build_failure.txt")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*unwanted))
    return copy


def make_wheel(source: Path, folder: Path, *options: str, **environment: str) -> Path:
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", *options, "--wheel-dir", folder, source)
    succeed(*command, cwd=folder, **environment)
    return next(folder.glob("scratchnet-*.whl"))


def fresh_python(folder: Path, *requirements: object, **environment: str) -> Path:
    """A new environment with these requirements, which borrows torch and the rest from the one that runs the tests."""
    succeed(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps")
    succeed(*pip, *requirements, cwd=folder.parent, **environment)
    # A path in a .pth file: the .pth files in that folder, such as that of an editable scratchnet, are not run.
    packages = Path(succeed(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    return python


WHERE = (
    "import scratchnet, scratchnet.kernels, scratchnet._compiled as compiled;"
    "print(scratchnet.__file__, compiled.module is None, compiled.reason)"
)


@pytest.mark.full
@needs_build
def test_build_switched_off(source, tmp_path):
    left = source / "scratchnet" / "course" / "kernels" / "__pycache__" / "left.pyc"  # by whoever used the clone
    left.parent.mkdir()
    left.write_bytes(b"")
    wheel = make_wheel(source, tmp_path, "--no-build-isolation", SCRATCHNET_BUILD="0")
    modules = {str(path.relative_to(source)) for path in (source / "scratchnet").rglob("*.py")}
    modules |= {f"scratchnet/{path.relative_to(source)}" for path in (source / "kernels").rglob("*.py")}
    modules |= {f"scratchnet/{path.relative_to(source)}" for path in (source / "csrc").rglob("*") if path.is_file()}
    names = zipfile.ZipFile(wheel).namelist()
    assert modules <= set(names) and not [name for name in names if name.endswith(".pyc")]
    assert wheel.stat().st_size < 2e6  # the text of some 600 files
    python = fresh_python(tmp_path / "env", wheel)
    command = (python, "-m", "scratchnet", "ladder", "layer_norm", "--diff", "cpp:1", "cpp:2")
    changed = succeed(*command, cwd=tmp_path, SCRATCHNET_BUILD="0")
    assert "+++ csrc/cpu/layer_norm/2_" in changed and re.search(r"^\+//.*rung 2", changed, re.MULTILINE)
    result = run(python, "-c", WHERE, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    where, missing, reason = result.stdout.strip().split(" ", 2)
    assert where.startswith(str(tmp_path / "env")) and missing == "True"
    assert reason.startswith("The C++ kernels were skipped, as SCRATCHNET_BUILD=0 asked. To build it: pip install")
    assert "scratchnet" not in result.stderr  # who asked for it is not warned


@pytest.mark.full
@needs_build
def test_no_compiler_installs_the_rest_and_says_why(source, tmp_path):
    wheel = make_wheel(source, tmp_path, "--no-build-isolation", CXX="/nonexistent/g++")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    python = fresh_python(tmp_path / "env", wheel)
    result = run(python, "-c", f"{WHERE}; import torch; print(scratchnet.gelu(torch.ones(2)).tolist())", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "True There is no C++ compiler (/nonexistent/g++ not found): install one" in result.stdout
    assert result.stderr.count("RuntimeWarning: There is no C++ compiler (/nonexistent/g++ not found)") == 1
    assert result.stdout.splitlines()[-1].startswith("[0.8413")


@pytest.mark.full
@needs_build
def test_failing_compiler_is_quoted(source, tmp_path):
    """The install goes on without the kernels; the compiler's own words reach the user at import."""
    compiler = tmp_path / "g++"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo fake 1.0; exit; }\necho "error: out of ink" >&2; exit 1\n')
    compiler.chmod(0o755)
    wheel = make_wheel(source, tmp_path, "--no-build-isolation", CXX=str(compiler))
    python = fresh_python(tmp_path / "env", wheel)
    result = run(python, "-c", WHERE, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "RuntimeWarning: Compiling the C++ kernels with fake 1.0 failed. To build it: pip install" in result.stderr
    assert "error: out of ink" in result.stderr


@pytest.mark.full
@needs_build
def test_require_ext_makes_a_failure_an_error(source, tmp_path):
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source)
    result = run(*command, cwd=tmp_path, CXX="/nonexistent/g++", SCRATCHNET_REQUIRE_EXT="1")
    assert result.returncode != 0
    assert "scratchnet: There is no C++ compiler (/nonexistent/g++ not found)" in result.stdout + result.stderr
    assert not list(tmp_path.glob("*.whl"))


@pytest.mark.full
@needs_build
def test_broken_module_is_explained_at_import(source, tmp_path):
    python = fresh_python(tmp_path / "env", make_wheel(source, tmp_path, "--no-build-isolation", SCRATCHNET_BUILD="0"))
    package = Path(succeed(python, "-c", "import scratchnet; print(scratchnet.__path__[0])", cwd=tmp_path).strip())
    suffix = succeed(python, "-c", "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))", cwd=tmp_path).strip()
    (package / f"_C{suffix}").write_bytes(b"not a shared object")
    result = run(python, "-c", WHERE, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    warning = r"RuntimeWarning: The compiled module of scratchnet cannot be loaded \(.*_C.*\)\. To build it again: pip install"
    assert len(re.findall(warning, result.stderr)) == 1
    assert "circular import" not in result.stderr


@needs_build
def test_sdist_holds_what_the_build_needs(source, tmp_path):
    make = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    succeed(sys.executable, "-c", make, cwd=source)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    csrc = {str(path.relative_to(source)) for path in (source / "csrc").rglob("*") if path.is_file()}
    assert csrc and csrc <= names
    files = {
        "setup.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "Makefile",
        "constraints.txt",
        "tests/conftest.py",
        "docs/index.md",
    }
    assert files | {"kernels/__init__.py", "scratchnet/__init__.py", "scratchnet/py.typed"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyc")) or name.startswith("docs/_made")]


@pytest.mark.slow
@needs_build
@pytest.mark.parametrize("compiler", compilers())
def test_wheel_passes_tests_outside_the_source(source, tmp_path, compiler):
    wheel = make_wheel(source, tmp_path, "--no-build-isolation", SCRATCHNET_REQUIRE_EXT="1", CXX=compiler)
    python = fresh_python(tmp_path / "env", wheel)
    where = succeed(python, "-W", "error::RuntimeWarning", "-c", WHERE, cwd=tmp_path)
    assert where.startswith(str(tmp_path / "env")) and where.split()[1] == "False"
    for name in ("tests", "pyproject.toml"):  # the tests without the source beside them
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        copy(source / name, tmp_path / name)
    options = ("-p", "no:cacheprovider", "-m", "not slow", "-k", "gelu")
    report = succeed(python, "-m", "pytest", *options, "tests/columns", "tests/primitives", "tests/grid", cwd=tmp_path)
    assert int(re.search(r"(\d+) passed", report)[1]) > 0, report
    # What this build left in the source tree does not get into the next one, which fails.
    (tmp_path / "next").mkdir()
    wheel = make_wheel(source, tmp_path / "next", "--no-build-isolation", CXX="/nonexistent/g++")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


INSTALLS = ROOT / "tools" / "installs.py"  # makes the table of docs/install.md
ROUTES = runpy.run_path(str(INSTALLS))["ROUTES"] if INSTALLS.exists() else ()


@pytest.mark.slow
@needs_build
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="clones the clone that it runs in")
@pytest.mark.parametrize("number", [number for number, route in enumerate(ROUTES) if not route.empty])
def test_a_route_of_the_table(number, tmp_path):
    """What is committed, installed as a line says: it works, with or without the kernels. The first line, which takes the torch
    that pip chooses, is `test_default_build_isolation`."""
    route = ROUTES[number]
    if " -m uv " in route.command and not importlib.util.find_spec("uv"):
        pytest.skip("pip install uv")
    if "{wheel}" in route.command and not [*(ROOT / "dist").glob(f"*-cp3{sys.version_info.minor}-*.whl")]:
        pytest.skip("needs a wheel in dist: make wheels")
    figures = runpy.run_path(str(INSTALLS))["attempt"](route, tmp_path / "tried")
    assert figures["seconds"] > 0 and (figures["disk"] > 1) == ("editable" not in route.typed), figures


@pytest.mark.slow
@pytest.mark.parametrize("editable", [False, True], ids=["plain", "editable"])
def test_default_build_isolation(source, tmp_path, editable):
    """pip fetches the build requirements itself. The torch that it builds with need not be the one used later."""
    constraint = str(ROOT / "constraints.txt")  # otherwise pip builds with the newest torch, including gigabytes of CUDA
    options = ("--editable", source) if editable else (source,)
    environment = {"PIP_CONSTRAINT": constraint, "PIP_BUILD_CONSTRAINT": constraint, "SCRATCHNET_REQUIRE_EXT": "1"}
    python = fresh_python(tmp_path / "env", *options, **environment)
    where = succeed(python, "-W", "error::RuntimeWarning", "-c", WHERE, cwd=tmp_path)
    assert where.startswith(str(source if editable else tmp_path / "env")) and where.split()[1] == "False"


# ---- what the linker produced---------------------------------------------------------------------------------------------


@needs_module
@pytest.mark.skipif(not shutil.which("readelf"), reason="readelf is missing: apt install binutils")
def test_module_links_to_torch_and_to_no_second_thread_pool():
    needed = re.findall(r"NEEDED.*\[(.*)\]", succeed("readelf", "-d", _compiled.module.__file__, cwd=ROOT))
    assert "libtorch_cpu.so" in needed
    assert not [name for name in needed if re.search(r"gomp|iomp|libc10|libtorch_python|libpython", name)]


@needs_module
@pytest.mark.skipif(not shutil.which("nm"), reason="nm is missing: apt install binutils")
def test_code_for_one_instruction_set_cannot_serve_another():
    """The linker keeps one copy of a weak symbol. Were it the AVX-512 copy, older CPUs would die with SIGILL.

    Harmless: a name with the instruction set in it, which no other object can share; and DW.ref.*, which is not code but the
    address of the function in libstdc++ that throws exceptions.
    """
    objects = [path for isa in ("avx2", "avx512") for path in (ROOT / "build").rglob(f"*.{isa}.o")]
    if not objects:
        pytest.skip("no object files here: the module was not built in this source tree")
    said = succeed("nm", "-A", "-C", "--no-sort", *objects, cwd=ROOT)
    symbols = re.findall(r"^(\S+\.(avx2|avx512)\.o):\S* +[WVu] (.*)$", said, flags=re.MULTILINE)
    assert symbols
    shared = [
        f"{path}: {symbol}" for path, isa, symbol in symbols if f"_{isa}" not in symbol and not symbol.startswith("DW.ref.")
    ]
    assert shared == []


@needs_module
def test_build_info_tells_what_was_compiled():
    info = _compiled.module.build_info()
    assert info["version"] == scratchnet.__version__
    assert "-ffp-contract=fast" in info["flags"] and "fast-math" not in info["flags"] and "openmp" not in info["flags"]
    assert info["isas"][0] in ("baseline", "neon")
    assert re.search(r"\d+\.\d+", info["compiler"]) and re.match(r"2\.\d+", info["torch"])


@pytest.mark.full
@needs_module
def test_cpu_info_follows_torch_and_the_override():
    for threads in (1, 2):
        torch.set_num_threads(threads)
        assert _compiled.module.cpu_info()["threads"] == threads
    supported = _compiled.module.cpu_info()["isas_supported"]
    for isa in supported:
        code = "import scratchnet._compiled as c; print(c.module.cpu_info()['isa'])"
        assert succeed(sys.executable, "-c", code, cwd=ROOT, SCRATCHNET_CPU_ISA=isa).strip() == isa
