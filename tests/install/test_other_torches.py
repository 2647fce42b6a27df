"""The module that was built here, on other versions of torch: the oldest that is promised, and those up to the newest."""

from __future__ import annotations

import re
import runpy
import shutil
import site
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest
import torch

from scratchnet import _compiled

ROOT = Path(__file__).resolve().parents[2]
OLDEST = re.search(r'"torch>=2\.(\d+)"', (ROOT / "pyproject.toml").read_text())[1]
VERSIONS = [f"2.{minor}" for minor in range(int(OLDEST), 16)]
BUILD = ROOT / "build"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(_compiled.module is None, reason=_compiled.reason)]


def run(python: Path, *arguments: str, path: Path, cwd: Path) -> subprocess.CompletedProcess:
    environment = {
        "PYTHONPATH": str(path),
        "PATH": "/usr/bin:/bin",
        "OMP_WAIT_POLICY": "passive",
        "SCRATCHNET_REQUIRE_EXT": "1",
    }
    return subprocess.run([python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def package(folder: Path) -> Path:
    """What a wheel of this clone would hold, the compiled module included."""
    target = folder / "scratchnet"
    target.mkdir()
    rooms = {path.name: path for path in (ROOT / "scratchnet").iterdir()} | {name: ROOT / name for name in ("kernels", "csrc")}
    for name, path in rooms.items():
        (target / name).symlink_to(path)
    return folder


@pytest.fixture(scope="module", params=VERSIONS)
def other(request, tmp_path_factory) -> tuple[Path, Path]:
    """(a Python with that torch and otherwise our packages, the folder that holds scratchnet).

    pip may take torch from files on this machine, as its settings name them, or from PyTorch's index of CPU builds: PyPI's
    builds for CUDA are gigabytes. The environment is kept in build/.
    """
    version = request.param
    if torch.__version__.startswith(f"{version}."):
        pytest.skip(f"torch {version} is the one that runs all tests")
    environment = BUILD / f"torch-{version}-{sys.implementation.cache_tag}"
    python, complete = environment / "bin" / "python", environment / "complete"
    if not complete.exists():
        shutil.rmtree(environment, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        own = ("-m", "pip", "--python", python, "install", "--quiet", "--no-compile")
        no_index = tmp_path_factory.mktemp("no_index").as_uri()
        pip = lambda *what: subprocess.run(
            [sys.executable, *own, "--index-url", no_index, *what], capture_output=True, text=True
        )
        answer = pip("--no-deps", f"torch=={version}.*")
        # The latter where a constraint of pip's names torch.
        if re.search("No matching distribution|ResolutionImpossible", answer.stderr):
            shutil.rmtree(environment)
            pytest.skip(
                f"torch {version} is not among the files that pip finds without PyPI, whose build for CUDA is gigabytes"
            )
        assert answer.returncode == 0, answer.stderr
        packages = next((environment / "lib").glob("python*/site-packages"))
        for need in Distribution.at(next(packages.glob("torch-*.dist-info"))).requires or []:
            if need.startswith(("cuda-", "nvidia-")):  # whose libraries torch loads without a GPU too; the rest is borrowed
                pip(need)
        (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()))  # after its own torch
        complete.touch()
    return python, package(tmp_path_factory.mktemp(f"torch-{version}"))


def succeed(other: tuple[Path, Path], *arguments: str, cwd: Path = ROOT / "tests") -> str:
    python, path = other
    answer = run(python, *arguments, path=path, cwd=cwd)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_it_is_imported(other, request):
    code = "import torch, scratchnet._compiled as c; print(torch.__version__, c.module.build_info()['torch'])"
    its, built = succeed(other, "-W", "error::RuntimeWarning", "-c", code).split()
    assert its.startswith(f"{request.node.callspec.params['other']}.") and built == torch.__version__


@pytest.mark.skipif(not shutil.which("nm"), reason="nm is missing: apt install binutils")
def test_it_has_what_both_modules_take_from_torch(other):
    """The CUDA module needs a build of its own to be imported; what it takes is in the libraries of every torch."""
    listed = lambda which, library: {
        line.split()[-1]
        for line in subprocess.run(["nm", "-D", which, library], capture_output=True, text=True, check=True).stdout.splitlines()
    }
    folder = Path(succeed(other, "-c", "import torch; print(torch.__path__[0])").strip())
    exported = listed("--defined-only", folder / "lib" / "libtorch_cpu.so")
    taken = {name for name in listed("--undefined-only", _compiled.module.__file__) if re.match(r"(aoti_)?torch_", name)}
    assert taken and taken | runpy.run_path(str(ROOT / "tests" / "kernels" / "test_cuda.py"))["FROM_TORCH"] <= exported


def test_it_is_exact(other):
    """Every operator of two primitives, forward and backward, against the oracle."""
    for primitive in ("layer_norm", "cross_entropy"):
        assert " 0 failed" in succeed(other, "-m", "scratchnet", "verify", primitive, "--backend", "cpp")


def test_it_trains(other):
    report = succeed(other, "-m", "scratchnet", "train", "digits", "--epochs", "3", "--compare", "--backend", "cpp")
    assert "they agree to rounding" in report


def test_it_composes(other):
    """What leans on torch's private parts: torch.func, compile, export, opcheck, of LayerNorm."""
    options = ("-p", "no:cacheprovider", "-k", "layer_norm-affine and not add_layer_norm and not inductor")
    report = succeed(other, "-m", "pytest", *options, "composability/test_transforms.py")
    assert int(re.search(r"(\d+) passed", report)[1]) >= 9, report
