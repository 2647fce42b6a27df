"""What setup.py decides about the CUDA kernels; that they compile, link and are imported is in tests/kernels/test_cuda.py."""

import runpy
from pathlib import Path

import pytest

setup = runpy.run_path(str(Path(__file__).resolve().parents[2] / "setup.py"))
Skipped, BuildFailure = setup["Skipped"], setup["BuildFailure"]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A torch of a given version and CUDA version, and an nvcc that knows these GPUs."""
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    gpus = r"compute_80\ncompute_86\ncompute_90\ncompute_100"
    nvcc.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "release 13.0"; else printf "{gpus}\\n"; fi\n')
    nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    for name in ("SCRATCHNET_CUDA", "TORCH_CUDA_ARCH_LIST"):
        monkeypatch.delenv(name, raising=False)
    find_package = setup["find_package"]

    def torch(version, cuda, gpus_here=("9.0",)):
        (tmp_path / "version.py").write_text(f"__version__ = '{version}'\ncuda: Optional[str] = {cuda!r}\n")
        found = lambda name: tmp_path if name == "torch" else find_package(name)
        monkeypatch.setitem(setup["cuda_module"].__globals__, "find_package", found)
        monkeypatch.setitem(setup["cuda_module"].__globals__, "present_gpus", lambda: list(gpus_here))
        return setup["cuda_module"]("0")

    return torch


def test_a_torch_with_cuda_gets_them(fake):
    module = fake("2.13.0", "12.8")
    assert module.facts["architectures"] == "sm_90"  # the GPU that is here
    assert {rule for _, rule, *_ in module.objects} == {"nvcc", "compile"}


def test_without_a_gpu_nothing_is_compiled_unless_told(fake, monkeypatch):
    with pytest.raises(Skipped, match=r"nvidia-smi shows no GPU here \(TORCH_CUDA_ARCH_LIST=All: for all\)"):
        fake("2.13.0", "12.8", gpus_here=())
    every = "sm_80 sm_90 sm_100 compute_100"  # the last one as PTX too, for newer GPUs
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "All")
    assert fake("2.13.0", "12.8", gpus_here=()).facts["architectures"] == every
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST")
    monkeypatch.setenv("SCRATCHNET_CUDA", "1")
    assert fake("2.13.0", "12.8", gpus_here=()).facts["architectures"] == every


def test_a_gpu_that_is_too_old_is_named(fake):
    with pytest.raises(BuildFailure, match="The GPUs here: 7.5 is not a number >= 8.0"):
        fake("2.13.0", "12.8", gpus_here=("7.5",))


def test_a_torch_without_cuda_does_not_unless_told(fake, monkeypatch):
    with pytest.raises(Skipped, match=r"torch 2.13.0\+cpu has no CUDA \(SCRATCHNET_CUDA=1: build them\)"):
        fake("2.13.0+cpu", None)
    monkeypatch.setenv("SCRATCHNET_CUDA", "1")
    assert fake("2.13.0+cpu", None).name == "_cuda"
    monkeypatch.setenv("SCRATCHNET_CUDA", "0")
    with pytest.raises(Skipped, match="as SCRATCHNET_CUDA=0 asked"):
        fake("2.13.0", "12.8")


def test_the_list_of_gpus_is_obeyed(fake, monkeypatch):
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.0 8.6;9.0a+PTX")
    assert fake("2.13.0", "12.8").facts["architectures"] == "sm_80 sm_86 sm_90a compute_90a"
    for wrong in ("Ampere", "7.5", "8.0;x"):
        monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", wrong)
        with pytest.raises(BuildFailure, match="TORCH_CUDA_ARCH_LIST=.* is not a number >= 8.0, such as 8.0;9.0a"):
            fake("2.13.0", "12.8")


def test_without_nvcc_it_says_so(fake, tmp_path, monkeypatch):
    (tmp_path / "bin" / "nvcc").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(setup["find_nvcc"].__globals__["shutil"], "which", lambda command: None)
    with pytest.raises(Skipped, match="there is no nvcc; install the CUDA toolkit or set CUDA_HOME"):
        fake("2.13.0", "12.8")
