"""Compile csrc/cuda for the emulator of scratchnet/emulation, with AddressSanitizer and UBSan; ninja compiles what changed."""

from __future__ import annotations

import fcntl
import functools
import os
import runpy
import subprocess
import sys
from pathlib import Path

import torch

from scratchnet import emulation

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CUDA = ROOT / "csrc" / "cuda"
TORCH = Path(torch.__file__).parent
FOLDER = ROOT / "build" / f"cuda_emulation-torch-{torch.__version__}"

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
SANITIZE += ["-fno-sanitize=null,object-size,vptr,pointer-overflow"]  # as setup.py: AddressSanitizer sees the access
FLAGS = [
    *("-std=c++20", "-fPIC", "-fvisibility=hidden", "-O1", "-g1", "-fno-omit-frame-pointer", "-Wall", "-Wno-unknown-pragmas"),
    *(*SANITIZE, "-fsanitize-sections=sn_shared"),  # shared memory too
    *(f"-I{folder}" for folder in (emulation.INCLUDE, ROOT / "csrc", FOLDER)),  # in this order: cuda/device.cuh is in two
]
TORCH_FLAGS = [f"-I{TORCH / 'include'}", "-DTORCH_TARGET_VERSION=0x020a000000000000"]
LINK_TORCH = ["-shared", "-lstdc++", f"-L{TORCH / 'lib'}", "-Wl,--as-needed", "-ltorch_cpu"]
LIBRARY = "libemulated.so"  # every kernel of csrc/cuda and its operators, in torch.ops.scratchnet_emulated
PLANTED = "planted"  # a program of kernels with mistakes


def missing() -> str | None:
    """Why the emulation cannot run here."""
    if reason := emulation.missing():
        return reason
    if not CUDA.is_dir():
        return "the CUDA sources are not beside the tests"
    if not runtime().is_absolute():
        return "these tests need g++'s AddressSanitizer: apt install g++"
    return None


@functools.cache
def runtime(name: str = "libasan.so") -> Path:
    """A library of g++'s."""
    answer = subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True)
    return Path(answer.stdout.strip())


def build(target: str) -> Path:
    """Bring LIBRARY or PLANTED up to date and return its path."""
    kernels = {f"{path.parent.name}_{path.stem}.o": (path, []) for path in sorted(CUDA.rglob("*.cu"))}
    scheduler = {"emulation.o": (emulation.HERE / "emulation.cpp", ["-O2", "-fno-sanitize=undefined"])}
    ladders = {"ladders.o": (FOLDER / "ladders.cpp", [])}
    operators = {**ladders, "emulated_ops.o": (HERE / "emulated_ops.cpp", TORCH_FLAGS)}
    planted = {"planted.o": (HERE / "planted.cu", [])}
    lines = [
        "rule compile",
        f"  command = g++ {' '.join(FLAGS)} $flags -MMD -MF $out.d -x c++ -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule link",
        f"  command = g++ {' '.join(SANITIZE)} $in $flags -o $out",
    ]
    for name, (source, flags) in {**kernels, **scheduler, **operators, **planted}.items():
        lines += [f"build {name}: compile {source}", f"  flags = {' '.join(flags)}"]
    lines += [f"build {LIBRARY}: link {' '.join({**kernels, **scheduler, **operators})}", f"  flags = {' '.join(LINK_TORCH)}"]
    lines += [f"build {PLANTED}: link {' '.join({**scheduler, **planted})}", ""]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:  # test processes take turns
        fcntl.flock(lock, fcntl.LOCK_EX)
        setup = runpy.run_path(str(ROOT / "setup.py"))
        setup["write_if_changed"](FOLDER / "ladders.cpp", setup["ladders"]("cuda"))
        setup["write_if_changed"](FOLDER / "operators.h", setup["operators"]("cuda"))
        (FOLDER / "build.ninja").write_text("\n".join(lines))
        ninja = subprocess.run([sys.executable, "-m", "ninja", "-C", FOLDER, target], capture_output=True, text=True)
    assert ninja.returncode == 0, ninja.stdout
    return FOLDER / target


def run(*command: object) -> subprocess.CompletedProcess:
    """Run a program or a Python script under AddressSanitizer."""
    sanitizer = {
        # ASan must be loaded before Python, and must find there how exceptions are thrown.
        "LD_PRELOAD": f"{runtime()}:{runtime('libstdc++.so.6')}",
        # Python never frees all its memory. Fresh memory is NaN, so that an unwritten result shows.
        "ASAN_OPTIONS": "detect_leaks=0:max_malloc_fill_size=1000000000:malloc_fill_byte=255",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "columns")]),
    }
    return subprocess.run(list(map(str, command)), env={**os.environ, **sanitizer}, capture_output=True, text=True)
