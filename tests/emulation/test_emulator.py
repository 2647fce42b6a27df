"""What the emulator says of a reader's CUDA file, each mistake in its own words, and what it counts."""

import ctypes

import pytest
import torch

from scratchnet import emulation

pytestmark = pytest.mark.skipif(emulation.missing() is not None, reason=str(emulation.missing()))

# Reverses each part of 128 numbers through shared memory. The marks are where mistakes are planted.
REVERSE = """
__global__ void reverse(const float* x, float* y, int64_t n) {
  __shared__ float part[128];
  const int64_t first = blockIdx.x * 128, i = first + threadIdx.x;
  if (i < n) part[threadIdx.x] = x[i];
  __syncthreads();
  if (i < n) y[i] = part[(n - first < 128 ? n - first : 128) - 1 - threadIdx.x];
}
extern "C" __attribute__((visibility("default"))) void run(const float* x, float* y, int64_t n) {
  reverse<<<(n + 127) / 128, 128>>>(x, y, n);
}
"""
# what is replaced -> by what, and what the report says
MISTAKES = {
    "no barrier": ("  __syncthreads();\n", "", "race: thread"),
    "no mask": ("if (i < n) y[i] =", "y[i] =", "out of bounds: thread"),
    "the size in the report": (
        "if (i < n) y[i] = part[(n - first < 128 ? n - first : 128) - 1 - threadIdx.x]",
        "y[i] = part[0]",
        "and y has 300 numbers, in line 6",
    ),
    "shared memory too small": ("float part[128]", "float part[127]", "asks for [127] of 'float [127]', in line 4"),
    "barrier in a branch": (
        "  __syncthreads();",
        "  if (threadIdx.x < 50) __syncthreads();",
        "a barrier is not reached by all",
    ),
    "the host reads": ("  reverse<<<", "  if (x[0] > 0) y[0] = 0;\n  reverse<<<", "the host reads x[0] in line 9"),
    "too many threads": ("128>>>", "2048>>>", "a GPU refuses this launch: 3 x 1 x 1 blocks of 2048 x 1 x 1 threads"),
    "two blocks write one place": ("y[i] = part", "y[threadIdx.x] = part", "and blocks run in any order"),
    "128 bits from anywhere": ("= x[i];", "= ((const float4*)(x + 1))[0].x;", "misaligned: thread"),
}
MISTAKES["writes its input"] = (
    "  __syncthreads();",
    "  ((float*)x)[0] = 1;\n  __syncthreads();",
    "it writes to its input x[0], in line 5",
)


def run(text, tmp_path, n=300, counting=False):
    source = tmp_path / "kernel.cu"
    source.write_text(text.lstrip("\n"))
    library = tmp_path / f"{len(list(tmp_path.iterdir()))}.so"  # a library of the same name would not be loaded anew
    traced = emulation.Traced(emulation.compile(source, library))
    x, y = torch.arange(float(n)), torch.full((n,), torch.nan)
    traced.begin(on_gpu=True, counting=counting)
    traced.array("x", x, writable=False)
    traced.array("y", y, writable=True)
    traced.library.run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_int64(n))
    return traced, x, y


def test_a_right_kernel_is_right_and_counted(tmp_path):
    traced, x, y = run(REVERSE, tmp_path, counting=True)
    assert traced.report() == ""
    assert torch.equal(y, torch.cat([part.flip(0) for part in x.split(128)]))
    counts = traced.counts()
    assert counts["accesses"] == 600 and counts["bytes"] == 2400 and counts["shared"] == 600
    assert (
        2 * 300 / 8 <= counts["sectors"] <= 2 * (300 / 8 + 10)
    )  # neighbours: 8 numbers a sector, one more where a warp begins
    assert traced.touched("x", written=False).tolist() == [1] * 300
    assert traced.touched("y", written=True).tolist() == [1] * 300


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name, tmp_path):
    old, new, said = MISTAKES[name]
    assert old in REVERSE
    traced, _, _ = run(REVERSE.replace(old, new, 1), tmp_path)
    assert said in traced.report()


def test_lanes_that_wait_for_one_another_do_not_race(tmp_path):
    """__syncwarp orders the lanes of its mask, a shuffle does not."""
    warp = REVERSE.replace("128", "32").replace("__syncthreads()", "__syncwarp()")
    assert run(warp, tmp_path)[0].report() == ""
    assert "race" in run(warp.replace("__syncwarp();", "__shfl_xor_sync(0xffffffff, 0, 1);"), tmp_path)[0].report()


def test_dynamic_shared_memory_and_templates(tmp_path):
    text = REVERSE.replace("__shared__ float part[128];", "extern __shared__ float part[];")
    text = "template <int N>\n" + text.lstrip().replace(
        "reverse<<<(n + 127) / 128, 128>>>", "reverse<1><<<(n + 127) / 128, 128, 512>>>"
    )
    traced, x, y = run(text, tmp_path)
    assert traced.report() == "" and y[:128].tolist() == x[:128].flip(0).tolist()
    assert "out of bounds" in run(text.replace("128, 512", "128, 508"), tmp_path)[0].report()


def test_threads_of_a_cpu(tmp_path):
    """Cache lines that threads write by turns, the misses of a walk along columns, loads that meet a store 4 KB away."""
    source = tmp_path / "kernel.cpp"
    source.write_text("""
#include <cstdint>
#include <thread>
extern "C" __attribute__((visibility("default"))) void run(float* x, int64_t n, int64_t apart) {
  std::thread other([=] { for (int64_t i = 0; i < n; i++) x[apart] += 1; });
  for (int64_t i = 0; i < n; i++) x[0] += 1;
  other.join();
}
extern "C" __attribute__((visibility("default"))) float walk(const float* x, int64_t n, int64_t down, int64_t right) {
  float sum = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) sum += x[i * down + j * right];
  return sum;
}
extern "C" __attribute__((visibility("default"))) void shift(float* x, int64_t n, int64_t by) {
  for (int64_t i = 0; i < n; i++) x[i + by] = x[i];
}
""")
    traced = emulation.Traced(emulation.compile(source, tmp_path / "kernel.so"))
    memory = torch.zeros(128 * 128 + 16)
    x = memory[(-memory.data_ptr() // 4) % 16 :][: 128 * 128]  # starts where a cache line does

    def counts(function, *numbers):
        traced.begin(on_gpu=False, counting=True)
        traced.array("x", x, writable=True)
        getattr(traced.library, function)(ctypes.c_void_p(x.data_ptr()), *map(ctypes.c_int64, numbers))
        assert traced.report() == ""
        return traced.counts()

    assert counts("run", 100, 1)["contested"] >= 200
    assert counts("run", 100, 16)["contested"] < 20  # what starting a thread takes
    assert counts("run", 100, 16)["threads"] == 2
    assert counts("walk", 128, 128, 1)["misses"] == 128 * 128 / 16
    assert counts("walk", 128, 1, 128)["misses"] == 128 * 128  # the cache has 64 lines, a column touches 128
    x[:10] = 1e-40
    assert counts("walk", 10, 10, 1)["subnormals"] == 10
    assert counts("shift", 900, 1024)["aliases"] == 0 and counts("shift", 900, 1025)["aliases"] > 800


def test_what_does_not_compile_is_quoted(tmp_path):
    source = tmp_path / "kernel.cu"
    source.write_text("__global__ void f(float* x) { x[0] = y; }\n")
    with pytest.raises(
        emulation.EmulationError, match="kernel.cu:1:38: error: 'y' was not declared|kernel.cu:1:38: error: ‘y’ was not"
    ):
        emulation.compile(source, tmp_path / "kernel.so")
