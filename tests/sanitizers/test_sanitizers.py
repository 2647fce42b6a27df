"""The kernels under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer, and with every workspace checked.

Two builds of the module: `memory` (debug, address, undefined) and `threads` (thread). Each runs tests of the suite in a child
process, with the module in a copy of the package, on every instruction set and on 1 to 8 threads. What is silenced by an option
or an annotation, and why:

- ASAN_OPTIONS detect_leaks=0: Python and torch free little when they exit, 30,000 blocks that are not ours.
- TSAN_OPTIONS ignore_noninstrumented_modules=1: Python, NumPy and torch are not compiled for the sanitizer, which does not see
  how they synchronise. What a kernel does is still watched, even on a thread of torch's pool.
- csrc/bindings/parallel.cpp tells ThreadSanitizer that torch's pool runs a range after the call and before its return.
- UndefinedBehaviorSanitizer does not see vectors: GCC checks only the arithmetic of single numbers. AddressSanitizer sees them.
- setup.py: beside AddressSanitizer, UndefinedBehaviorSanitizer does not check pointers for null, type, overflow and the size of
  their object: an access through a wrong one is reported by AddressSanitizer, and compiling takes a third less.

No report is suppressed by name.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from scratchnet import _compiled

ROOT = Path(__file__).resolve().parents[2]
TESTS, PLANTED = ROOT / "tests", Path(__file__).with_name("planted.cpp")
# Instruction set -> threads of the pool; some tests ask for other numbers.
THREADS = {"neon": 8, "avx512": 8, "avx2": 3, "baseline": 1}
PATIENCE = 1200  # seconds after which a process counts as stuck: the longest take two minutes


def missing() -> str | None:
    """Why the sanitizers cannot run here."""
    if sys.platform != "linux" or not (ROOT / "setup.py").exists():
        return "the sanitizers run in a clone, on Linux"
    if _compiled.module is None:
        return _compiled.reason
    if not all(importlib.util.find_spec(tool) for tool in ("setuptools", "ninja", "pybind11")):
        return "the build needs setuptools, ninja and pybind11: pip install setuptools ninja pybind11"
    if shutil.which("g++") is None or not all(library(f"lib{name}.so").is_absolute() for name in ("asan", "tsan")):
        return "the sanitizers need g++ and its libraries: apt install g++"
    return None


def library(name: str) -> Path:
    """Where g++ has the library; a relative path if nowhere."""
    answer = subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True)
    return Path(answer.stdout.strip())


pytestmark = [pytest.mark.full, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@dataclass
class Build:
    """A build of the module, and how a process runs with it."""

    sanitizer: str
    debug: bool
    library: str  # has to be loaded before Python
    options: dict[str, str]
    every_isa: bool = True  # else the first one, which every CPU has
    folder: Path = Path()  # holds a copy of the package with this module
    planted: Path = Path()  # the planted mistakes, compiled and linked like the module

    def make(self, folder: Path) -> Build:
        """Compile what has changed: everything takes a few minutes."""
        spec = importlib.util.spec_from_file_location("setup_of_scratchnet", ROOT / "setup.py")
        setup = importlib.util.module_from_spec(spec)
        asked = {"SCRATCHNET_SANITIZE": self.sanitizer, "SCRATCHNET_DEBUG": str(int(self.debug)), "CXX": "g++"}
        with mock.patch.dict(os.environ, asked), mock.patch.dict(sys.modules, {spec.name: setup}):
            spec.loader.exec_module(setup)
            if not self.every_isa:
                for isa in list(setup.ISA_FLAGS)[1:]:
                    del setup.ISA_FLAGS[isa]
                setup.COMMON_FLAGS.append("-DSN_SINGLE_ISA")
            module = setup.cpu_module("sanitized")
            rows = [row for row in module.objects if row[2].name in ("memory.cpp", "pages.cpp", "parallel.cpp")]
            rows.append(("planted.o", "compile", PLANTED, rows[0][3]))
            self.planted = setup.build(dataclasses.replace(module, name="planted", objects=rows, written={}))
            built = setup.build(module)
        self.folder = folder
        unwanted = shutil.ignore_patterns("*.so", "__pycache__", "*_build_failure.txt")
        shutil.copytree(ROOT / "scratchnet", folder / "scratchnet", ignore=unwanted)
        shutil.copytree(ROOT / "kernels", folder / "scratchnet" / "kernels", ignore=unwanted)
        shutil.copy(built, folder / "scratchnet")
        return self

    def run(self, *command: object, **environment: str) -> subprocess.CompletedProcess:
        """Run Python with this build; not in the clone, whose package would come first."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SCRATCHNET_"))}
        variables |= {
            # ThreadSanitizer must find how exceptions are thrown, as AddressSanitizer must.
            "LD_PRELOAD": f"{library(self.library)}:{library('libstdc++.so.6')}",
            "PYTHONPATH": str(self.folder),
            "OMP_WAIT_POLICY": "passive",
            "OPENBLAS_NUM_THREADS": "1",  # as tests/conftest.py
        }
        command = [sys.executable, *map(str, command)]
        variables |= self.options | environment
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
        return subprocess.run(command, cwd=self.folder, env=variables, timeout=PATIENCE, **streams)

    def call(self, *planted: str) -> list[list[str]]:
        """What is printed, by the sanitizer or at the end, when planted functions are called without and with their mistake."""
        functions = self.run("-c", CALL, self.planted, *planted).stdout.split("FUNCTION\n")[1:]
        return [function.split("CALL\n")[1:] for function in functions]

    def passes(self, isa: str, *arguments: object) -> None:
        """Run tests of the suite with this build on an instruction set, and assert that nothing is reported."""
        if isa not in _compiled.module.cpu_info()["isas_supported"]:
            pytest.skip(f"this CPU has no {isa}")
        facts = (self.sanitizer, "1" if self.debug else "", isa, THREADS[isa], self.folder / "scratchnet")
        options = ("-x", "-s", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT)
        tests = self.run("-c", SUITE, *facts, *options, *arguments, SCRATCHNET_CPU_ISA=isa)
        first = re.search("reaches for numbers|runtime error|AddressSanitizer|ThreadSanitizer|FAILURES", tests.stdout)
        assert tests.returncode == 0, tests.stdout[max(0, first.start() - 200) if first else -5000 :][:5000]


CALL = """
import ctypes, os, sys, torch
torch.set_num_threads(2)
planted, names = ctypes.CDLL(sys.argv[1]), sys.argv[2:]
for name in names:
    print("FUNCTION", flush=True)
    # A mistake ends its process; several share one that has loaded torch. ThreadSanitizer allows no threads after a fork.
    if len(names) > 1 and os.fork():
        os.wait()
        continue
    for mistake in range(2):
        print("CALL", flush=True)
        x = torch.ones(8)
        getattr(planted, name)(ctypes.c_void_p(x.data_ptr()), ctypes.c_int64(8), ctypes.c_int64(mistake))
        print("right", flush=True)
    os._exit(0)
"""
SUITE = """
import os, sys, pytest, scratchnet, torch
from scratchnet._compiled import module
torch.set_num_threads(int(sys.argv[4]))
build, cpu = module.build_info(), module.cpu_info()
facts = build["sanitizer"], build["debug"], cpu["isa"], str(cpu["threads"]), os.path.dirname(scratchnet.__file__)
assert list(facts) == sys.argv[1:6], facts
raise SystemExit(pytest.main(sys.argv[6:]))
"""


@pytest.fixture(scope="module")
def memory(tmp_path_factory) -> Build:
    """Workspaces are checked; addresses; arithmetic."""
    options = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return Build("address,undefined", True, "libasan.so", options).make(tmp_path_factory.mktemp("memory"))


@pytest.fixture(scope="module")
def threads(tmp_path_factory) -> Build:
    """Races."""
    options = {"TSAN_OPTIONS": "ignore_noninstrumented_modules=1"}
    return Build("thread", False, "libtsan.so", options, every_isa=False).make(tmp_path_factory.mktemp("threads"))


# planted.cpp's function -> what its mistake leads to
CAUGHT = {
    "tile": "planted.cpp:16 reaches for numbers 8 to 17 of 16",
    "partial_sum": "reaches for numbers 7 to 8 of 7",
    "workspace": "AddressSanitizer: heap-buffer-overflow",
    "large_workspace": "AddressSanitizer: heap-buffer-overflow",
    "tensor_read": "AddressSanitizer: heap-buffer-overflow",
    "tensor_write": "AddressSanitizer: heap-buffer-overflow",
    "freed": "AddressSanitizer: heap-use-after-free",
    "overflow": "runtime error: signed integer overflow",
    "shift": "runtime error: shift exponent 32 is too large",
    "misaligned": "runtime error: store to misaligned address",
}


@pytest.fixture(scope="module")
def called(memory) -> dict[str, list[str]]:
    """Name of a planted function -> what is printed without its mistake and with it."""
    return dict(zip(CAUGHT, memory.call(*CAUGHT), strict=True))


@pytest.mark.parametrize("planted", CAUGHT)
def test_a_planted_mistake_of_memory_is_caught(called, planted):
    without, caught = called[planted]
    assert without == "right\n"
    assert CAUGHT[planted] in caught


def test_a_planted_race_is_caught(threads):
    [(without, caught)] = threads.call("race")
    assert without == "right\n"
    assert "WARNING: ThreadSanitizer: data race" in caught


every_isa = pytest.mark.parametrize("isa", THREADS)
# All operators: each layout in one dtype, the rungs between, empty tensors, 1 to 3 threads.
GRID = "test_fast_kernels and (float32-sliced or bfloat16-transposed) or test_middle_rungs and torch.float16"
REAL_SIZES = TESTS / "real_sizes" / "test_weight_gradients.py"


@every_isa
def test_memory_over_the_grid(memory, isa):
    """All of it on the instruction set in use here, a sample (tests/quick.py) on the others."""
    sample = () if isa == _compiled.module.cpu_info()["isas_supported"][-1] else ("--quick",)
    memory.passes(isa, TESTS / "grid", "-k", f"{GRID} or test_empty and cpp or test_same_bits", *sample)


@every_isa
def test_memory_at_real_sizes(memory, isa):
    memory.passes(isa, f"{REAL_SIZES}::test_vocabularies[28996]")


@every_isa
def test_memory_of_raw_operators_and_arrays(memory, isa):
    memory.passes(isa, TESTS / "columns" / "test_numpy_arrays.py", TESTS / "errors" / "test_wrong_calls.py", "-k", "not triton")


def test_threads(threads):
    """On one instruction set: what the threads share does not depend on it, only the width of a vector does."""
    isa = _compiled.module.cpu_info()["isas_supported"][0]
    few_long_rows = TESTS / "primitives" / "test_layer_norm.py"
    threads.passes(isa, TESTS / "grid", few_long_rows, REAL_SIZES, "-k", "test_same_bits or changes_no_bit or 28996")
