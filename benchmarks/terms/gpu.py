"""Numbers of a GPU's code without a GPU: counts of the emulation and of compiled code, never a time."""

from __future__ import annotations

import ctypes
import functools
import math
import re
import tempfile
from pathlib import Path

import numpy as np
import torch

from scratchnet import emulation
from scratchnet.course import kernels
from scratchnet.kernels.matmul import split, tuned
from scratchnet.measure.gpu_code import triton as code
from terms import HERE, number
from terms.page import ROOT


@functools.cache
def _compiled(source: Path, prototype: str = "") -> emulation.Traced:
    folder = Path(tempfile.mkdtemp())
    header = folder / "prototype.h"
    header.write_text(
        f'#include <cstdint>\nextern "C" __attribute__((visibility("default"))) {prototype};\n' if prototype else ""
    )
    return emulation.Traced(emulation.compile(source, folder / "kernel.so", ["-include", str(header)]))


def _run(traced: emulation.Traced, function: str, inputs: list, results: list, *numbers: int, on_gpu: bool = True) -> dict:
    """What a call moved; `results` are written."""
    traced.begin(on_gpu=on_gpu, counting=True)
    for i, t in enumerate(inputs + results):
        traced.array(f"t{i}", t, writable=i >= len(inputs))
    passed = [ctypes.c_void_p(t.data_ptr()) for t in inputs + results] + [ctypes.c_int64(n) for n in numbers]
    getattr(traced.library, function)(*passed)
    return traced.counts() | {"report": traced.report()}


def _read(n: int, step: int) -> tuple[dict[str, int], int]:
    """Counts and blocks of a kernel that reads every step-th number."""
    x, y, blocks = torch.ones(n * step), torch.zeros(n), torch.zeros(1)
    counts = _run(_compiled(HERE / "gpu.cu"), "spread", [x], [y, blocks], n, step)
    assert counts["report"] == "", counts["report"]
    return counts, int(blocks)


@number("blocks")
def blocks():
    """Blocks of 256 threads that take part in a launch for 100,000 numbers, counted by themselves in the emulation."""
    return _read(100_000, 1)[1]


@number("sectors")
def sectors_of_neighbours():
    """32-byte sectors that a warp's load of 32 neighbours moves: those of reading and writing 1,024 numbers / 64 accesses."""
    return _read(1024, 1)[0]["sectors"] / 64


@number("sectors")
def sectors_of_strides():
    """The same where neighbouring threads read numbers 32 apart; what the write moves is subtracted."""
    return (_read(1024, 32)[0]["sectors"] - 32 * sectors_of_neighbours()) / 32


@number("shuffles")
def shuffles():
    """Shuffles of one lane in the sum of a warp, counted by itself in the emulation."""
    y = torch.zeros(2)
    _run(_compiled(HERE / "gpu.cu"), "warp_sum", [torch.ones(32)], [y])
    assert y[0] == 32
    return float(y[1])


@number("race")
def races_without_barrier():
    """Races that the emulation reports (it stops at the first) if halves of a block exchange numbers without the barrier."""
    reports = [
        _run(_compiled(HERE / "gpu.cu"), "exchanged", [torch.ones(256)], [torch.zeros(256)], barrier)["report"]
        for barrier in (1, 0)
    ]
    assert reports[0] == "", reports[0]
    return int("race" in reports[1])


def _exercise(number: str) -> Path:
    return next(kernels.FOLDER.glob(f"{number}_*"))


def _product(exercise: str) -> dict[str, int]:
    n = 32
    prototype = "void forward(const float*, const float*, float*, int64_t, int64_t, int64_t)"
    a, b, y = torch.ones(n, n), torch.ones(n, n), torch.zeros(n, n)
    counts = _run(_compiled(_exercise(exercise) / "solution.cu", prototype), "forward", [a, b], [y], n, n, n)
    assert counts["report"] == "" and torch.equal(y, a @ b), counts["report"]
    return counts


@number("times")
def shared_tiles():
    """Loads and stores of global memory by the product of exercise K05 / by that of K06, at 32 x 32 x 32."""
    return _product("K05")["accesses"] / _product("K06")["accesses"]


def _ways(width: int) -> int:
    """How many different words of one bank a warp asks for that reads down a column of rows of `width` words."""
    words = np.arange(32) * width
    return int(np.bincount(words % 32).max())


@number("ways")
def bank_conflicts():
    """Words of the busiest of 32 banks when a warp reads down a column of rows of 32 words."""
    return _ways(32)


@number("way")
def padded_banks():
    """The same for rows of 33 words."""
    return _ways(33)


DEVICE = "csrc/cuda/device.cuh"


def _found(path: str, pattern: str) -> list[int]:
    """The numbers of a pattern that stands in the source."""
    return list(map(int, re.search(pattern, (ROOT / path).read_text()).groups()))


@number("multiply-adds")
def of_a_matrix_instruction():
    """m n k of the mma instruction of csrc/cuda/device.cuh for bfloat16, by its name."""
    return math.prod(_found(DEVICE, r"m(\d+)n(\d+)k(\d+)\.row\.col\.f32\.bf16"))


@number("multiply-adds")
def of_a_tf32_instruction():
    """The same for TF32."""
    return math.prod(_found(DEVICE, r"m(\d+)n(\d+)k(\d+)\.row\.col\.f32\.tf32"))


@number("buffers")
def buffers():
    """Steps whose tiles are in shared memory at the same time in csrc/cuda/matmul/5_copies_ahead.cu."""
    return _found("csrc/cuda/matmul/5_copies_ahead.cu", r"Shared<T, A, B, (\d+)> shared;")[0]


@number("aliases")
def aliases():
    """Loads that the emulation takes for aliases in the skeleton of exercise P7, GELU of 16 x 128 numbers."""
    traced = _compiled(_exercise("P7") / "skeleton.cpp", "void forward(const float*, float*, int64_t, int64_t)")
    return _run(traced, "forward", [torch.ones(16, 128)], [torch.zeros(16, 128)], 16, 128, on_gpu=False)["aliases"]


@functools.cache
def _gelu() -> code.Code:
    """GELU of float32, forward, as Triton compiles it for sm_90."""
    return next(c for c in code.report(["gelu"], targets=["sm_90"]) if c.call.endswith("forward"))


@number("registers")
def registers():
    """Registers of a thread of GELU's Triton kernel, float32, forward, compiled for sm_90."""
    return _gelu().registers


@number("bits")
def widest_load():
    """The widest load from global memory in the same machine code."""
    return _gelu().load_bits


@number("%")
def occupancy():
    """Resident warps that registers and shared memory allow to the same kernel / 64."""
    return 100 * _gelu().occupancy


@number("%")
def occupancy_of_128_registers():
    """The same for blocks of 8 warps with 128 registers a thread."""
    return 100 * code.occupancy(128, 8, 0, "sm_90")


@number("loads and stores")
def spills():
    """Loads and stores of spilled registers in GELU's machine code."""
    return _gelu().spills


@number("threads")
def resident_threads():
    """Threads of 64 resident warps, the most that a multiprocessor of sm_90 holds."""
    return 32 * code.WARPS


@number("parts")
def splits():
    """Parts into which Triton's product divides the sums of a 64 x 64 result with 65,536 terms."""
    return split._split(1, 65536)[0]


@number("configurations")
def configurations():
    """Configurations among which the tuner of Triton's product chooses."""
    return len(tuned.LARGE + tuned.SMALL)


@number("programs")
def programs():
    """Programs of Triton's product for a 1,024 x 1,024 result in tiles of its first configuration."""
    tile = tuned.LARGE[0].kwargs
    return (1024 // tile["BLOCK_M"]) * (1024 // tile["BLOCK_N"])


def _tiles_of_b(group: int) -> int:
    """Columns of tiles that the first 64 of 16 x 16 programs read, in groups of `group` rows."""
    return len({tile % (group * 16) // group for tile in range(64)})


@number("times")
def grouped_tiles():
    """Columns of tiles of b that 64 programs in a row read if they walk along rows / in groups of 8 rows (16 x 16 tiles)."""
    return _tiles_of_b(1) / _tiles_of_b(8)


@number("bytes")
def copied_at_once():
    """Bytes of one cp.async of csrc/cuda/device.cuh."""
    return _found(DEVICE, r"cp\.async\.cg\.shared\.global \[%0\], \[%1\], (\d+)")[0]
