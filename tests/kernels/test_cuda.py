"""The CUDA kernels: emulated and judged by the oracle, compiled by nvcc, their machine code checked; on a GPU judged there."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cuda_emulation import build

import scratchnet
from scratchnet import _compiled, backends, cli
from scratchnet.measure.gpu_code import cuda as cuda_code
from scratchnet.measure.gpu_code.triton import SHARED_MEMORY
from scratchnet.ops import OPS, PRIMITIVES

NAMES = [op.name for op in OPS.values() if op.rungs("cuda")]


@pytest.mark.full  # g++ compiles for a minute
@pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_emulated_against_the_oracle(primitive, request):
    """Every rung, option, dtype, odd size and layout, NaN and infinity included, under AddressSanitizer and UBSan.

    --quick takes every seventh size and case.
    """
    step = 7 if request.config.getoption("--quick") else 1
    run = build.run(sys.executable, build.HERE / "judge.py", build.build(build.LIBRARY), primitive, 1, step)
    assert run.returncode == 0, run.stdout + run.stderr


# ---- On a GPU, with `pytest --device cuda` -----------------------------------------------------------------------------------


@pytest.fixture
def gpu(request):
    """`gpu(*command)` runs Python in a process of its own: an access that the GPU refuses would end this one."""
    if request.config.getoption("--device") != "cuda":
        pytest.skip("needs a GPU: pytest --device cuda")
    paths = [str(build.ROOT / path) for path in ("", "tests", "tests/columns")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])}
    return lambda *command: subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("primitive", PRIMITIVES)
@pytest.mark.parametrize("column", ("cuda", "triton"))
def test_on_a_gpu_against_the_oracle(column, primitive, request, gpu):
    step = "7" if request.config.getoption("--quick") else "1"
    run = gpu(str(build.HERE / "judge.py"), column, primitive, "0", step)
    assert run.returncode == 0, run.stdout + run.stderr


OUT_OF_RANGE = """
import sys, torch, scratchnet

index = torch.tensor([[0, 3]], device="cuda")
try:
    with scratchnet.backend(sys.argv[1]):
        scratchnet.gather(torch.ones(3, 2, device="cuda"), 0, index)
    torch.cuda.synchronize()
except RuntimeError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("column", ("cuda", "triton"))
def test_an_index_out_of_range_stops_a_gpu(column, gpu):
    run = gpu("-c", OUT_OF_RANGE, column)
    assert "refused:" in run.stdout, run.stdout + run.stderr


# ---- Compiled for GPUs ------------------------------------------------------------------------------------------------------

compiled = pytest.mark.full  # nvcc compiles for minutes


def in_use() -> set[Path]:
    """Of each ladder the last rung, and those whose functions it takes over."""
    found = set()
    for folder in {file.parent for file in build.CUDA.glob("*/1_*")}:
        files = dict(enumerate(sorted(folder.glob("[0-9]_*")), 1))
        taken = map(int, re.findall(r"_kernels\((\d)\)", files[len(files)].read_text()))
        found |= {files[rung] for rung in {*taken, len(files)}}
    return found


@pytest.fixture(scope="session")
def module():
    """scratchnet._cuda as setup.py builds it, in the build folder: what is in use for every GPU that the report reads, rungs
    below that for the oldest alone, which takes a third of the time."""
    if not build.CUDA.is_dir():
        pytest.skip("the CUDA sources are not beside the tests")
    setup = runpy.run_path(str(build.ROOT / "setup.py"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCRATCHNET_CUDA", "1")
        try:
            patch.setenv("TORCH_CUDA_ARCH_LIST", "8.0")
            oldest = setup["cuda_module"](scratchnet.__version__).commands["nvcc"]
            patch.setenv("TORCH_CUDA_ARCH_LIST", "8.0;9.0;10.0")
            every, used = setup["cuda_module"](scratchnet.__version__), in_use()
            every.commands["oldest"] = oldest
            for at, (name, rule, source, flags) in enumerate(every.objects):
                if rule == "nvcc" and source not in used:
                    every.objects[at] = (name, "oldest", source, flags)
            return setup["build"](every)
        except setup["Skipped"] as reason:
            pytest.skip(str(reason))
        except setup["BuildFailure"] as failure:
            pytest.fail(f"{failure}\n{failure.details}")


# Kernels without 128-bit accesses: sums of columns and of one number per row, where threads read and write single numbers;
# those with a last template argument of 1, for rows at any address; those that add atomically, and so store nothing; the
# kernel that writes 0, 1, 2, ..., one number per thread; and attention's, whose heads may lie in any layout.
NARROW = re.compile(
    r"attention_\w+_kernel|"
    r"column_sums_kernel|cross_entropy_(total|reduce)_kernel|layer_norm_\w+<.*, 1>|\w+_add_kernel|embedding_\w*list_kernel"
)
NARROW_STORE = re.compile(r"cross_entropy_forward_kernel|embedding_bag_scale_kernel")  # many numbers for each they write


@pytest.fixture(scope="session")
def codes(module):
    """The report on that module, which takes a minute."""
    if problem := cuda_code.missing():
        pytest.skip(problem)
    return cuda_code.report(module)


@compiled
def test_gpu_code(codes):
    """No register spills, and 128-bit loads and stores in what is in use and not naive, for every GPU; no primitive without."""
    for target in SHARED_MEMORY:
        assert {OPS[code.op].primitive for code in codes if code.target == target and code.op} == set(PRIMITIVES)
    judged = {f"cuda:{file.stem.replace('_', ' ', 1)}" for file in in_use() if not file.stem.startswith("1_")}
    for code in codes:
        if code.call in judged:
            assert code.spills == 0 and code.occupancy >= 0.25, code
            assert code.load_bits == 128 or NARROW.match(code.kernel), code
            assert code.store_bits == 128 or NARROW.match(code.kernel) or NARROW_STORE.match(code.kernel), code


@compiled
def test_matrix_units_multiply(codes):
    """Products of 16-bit types and of TF32 use tensor cores on every GPU, and no others do."""
    products = [code for code in codes if code.kernel.startswith("matmul_product_kernel<")]
    for target in SHARED_MEMORY:
        for units in ("Bits16<bf16>", "Bits16<f16>", "Tf32"):
            assert any(f"<MatrixUnits<{units}" in code.kernel for code in products if code.target == target)
    for code in products:
        assert (code.tensor_cores > 0) == ("<MatrixUnits<" in code.kernel), code


@compiled
def test_info_shows_them(module, codes, monkeypatch, capsys):
    monkeypatch.setattr(_compiled, "cuda", SimpleNamespace(__file__=str(module)))
    monkeypatch.setattr(_compiled, "cuda_reason", "")
    monkeypatch.setattr(cuda_code, "report", lambda of: codes if of == module else [])
    monkeypatch.setattr(backends, "missing", lambda column: "Triton is not installed")
    assert cli.main(["info", "--kernels", "--json"]) == 0
    named = [code["op"] for code in json.loads(capsys.readouterr().out)]
    assert {OPS[name].primitive for name in named if name} == set(PRIMITIVES)


IMPORT = """
import importlib.util, sys, torch, scratchnet
from torch._subclasses import FakeTensorMode

spec = importlib.util.spec_from_file_location("scratchnet._cuda", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.build_info()["architectures"])
for name in sys.argv[2:]:
    for way in ("forward", "backward"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"scratchnet::{name}_{way}", "CUDA"), name
with FakeTensorMode():  # what torch.compile sees
    y = torch.ops.scratchnet.gelu_forward(torch.empty(3, 4, device="cuda"), False, 2)
assert y.shape == (3, 4) and y.device.type == "cuda"
"""


@compiled
def test_the_module_is_imported_beside_a_torch_without_cuda(module):
    environment = {**os.environ, "PYTHONPATH": str(build.ROOT)}
    command = [sys.executable, "-c", IMPORT, str(module), *NAMES]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["sm_80", "sm_90", "sm_100"]


@compiled
@pytest.mark.skipif(not shutil.which("readelf"), reason="readelf is missing: apt install binutils")
def test_the_module_needs_no_cuda_library(module):
    """The CUDA runtime is linked in, so any toolkit that torch was built with will do, or none."""
    run = subprocess.run(["readelf", "-d", str(module)], capture_output=True, text=True, check=True)
    needed = re.findall(r"NEEDED.*\[(.*)\]", run.stdout)
    assert "libtorch_cpu.so" in needed and not [name for name in needed if re.search(r"cuda|c10|libpython", name)]


@compiled
def test_the_module_does_not_say_where_torch_was(module):
    """nvcc writes the folders of libraries into what it links for a GPU, which is not needed."""
    assert str(Path(*(build.TORCH / "lib").parts[-3:])).encode() not in module.read_bytes()


# What the module takes from torch: functions of the stable ABI, which libtorch_cpu.so has exported since torch 2.10 (and those
# that name a dtype, a device type or a layout). The one that is in libtorch_cuda.so is looked up at run time: see below.
FROM_TORCH = set(
    """
    aoti_torch_abi_version aoti_torch_create_device_guard aoti_torch_delete_device_guard aoti_torch_delete_library_object
    aoti_torch_delete_tensor_object aoti_torch_empty_strided aoti_torch_get_current_device_index aoti_torch_get_device_index
    aoti_torch_get_device_type aoti_torch_get_dim aoti_torch_get_dtype aoti_torch_get_numel aoti_torch_get_size
    aoti_torch_get_sizes aoti_torch_get_stride aoti_torch_get_strides aoti_torch_is_contiguous aoti_torch_library_init_impl
    aoti_torch_new_tensor_handle torch_call_dispatcher torch_delete_list torch_get_const_data_ptr torch_get_mutable_data_ptr
    torch_library_impl torch_list_get_item torch_list_size
    """.split()
)
NAMES_A_VALUE = re.compile(r"aoti_torch_(device_type|dtype|layout|memory_format)_\w+")


@compiled
@pytest.mark.skipif(not shutil.which("nm"), reason="nm is missing: apt install binutils")
def test_what_the_module_takes_from_torch(module):
    def symbols(which: str, library: Path) -> set[str]:
        run = subprocess.run(["nm", "-D", which, str(library)], capture_output=True, text=True, check=True)
        return {line.split()[-1] for line in run.stdout.splitlines()}

    others = re.compile("_?Py|_ITM_|__gmon|.*@")  # Python's, the compiler's, those of the system's libraries
    taken = {name for name in symbols("--undefined-only", module) if not others.match(name)}
    assert taken and {name for name in taken if not NAMES_A_VALUE.fullmatch(name)} <= FROM_TORCH
    assert taken <= symbols("--defined-only", build.TORCH / "lib" / "libtorch_cpu.so")


STREAM = """
#include "bindings/cuda_stream.h"

#include <stdio.h>

int main() {
  try {
    printf("%p\\n", scratchnet::current_cuda_stream(3));
  } catch (const std::exception& error) {
    printf("%s\\n", error.what());
  }
}
"""
STAND_IN = """
#include <stdint.h>
extern "C" int32_t NAME(int32_t device, void** stream) { return *stream = (void*)(intptr_t)(0x1230 + device), device != 3; }
"""


@pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))
@pytest.mark.parametrize(
    "name, said",
    [
        ("aoti_torch_get_current_cuda_stream", "0x1233"),
        ("another", "scratchnet: this torch has no aoti_torch_get_current_cuda_stream; install torch 2.10 or later with CUDA"),
    ],
)
def test_the_stream_is_asked_of_the_cuda_library_that_is_loaded(name, said, tmp_path):
    (tmp_path / "stream.cpp").write_text(STREAM)
    (tmp_path / "cuda.cpp").write_text(STAND_IN.replace("NAME", name))
    library = tmp_path / "libtorch_cuda.so"
    stand_in = ["-shared", "-fPIC", "-Wl,-soname,libtorch_cuda.so"]
    includes = [f"-I{folder}" for folder in (build.ROOT / "csrc", build.TORCH / "include")]
    subprocess.run(["g++", *stand_in, tmp_path / "cuda.cpp", "-o", library], check=True)
    program = tmp_path / "stream"
    subprocess.run(["g++", "-std=c++20", *includes, tmp_path / "stream.cpp", "-ldl", "-o", program], check=True)
    run = subprocess.run([program], env={**os.environ, "LD_PRELOAD": str(library)}, capture_output=True, text=True)
    assert run.stdout.strip() == said, run.stderr
