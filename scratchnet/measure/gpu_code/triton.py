"""What the compilers make of our Triton kernels, without a GPU: registers, spills, shared memory, instructions.

Every launch of an operator's example calls is compiled, and each configuration of an autotuned kernel, for each target; the
machine code is read with the disassemblers that Triton's wheel ships. Nothing runs. A process that interprets Triton cannot
compile it, so `report` starts one of its own. `scratchnet.measure.gpu_code.cuda` reports the same for the CUDA kernels.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from scratchnet import backends
from scratchnet.columns import kernel as kernel_of
from scratchnet.columns import raw
from scratchnet.measure.verify import as_tuple, function
from scratchnet.ops import OPS, Op

TARGETS = {"sm_80": ("cuda", 80, 32), "sm_90": ("cuda", 90, 32), "sm_100": ("cuda", 100, 32), "gfx942": ("hip", "gfx942", 64)}
# Older, smaller and newer ones, which `report` takes on request: Turing, consumer Blackwell, MI350, RDNA 3.
OTHERS = {"sm_75": ("cuda", 75, 32), "sm_120": ("cuda", 120, 32)}
OTHERS |= {"gfx950": ("hip", "gfx950", 64), "gfx1100": ("hip", "gfx1100", 32)}
# Rows and columns of the example calls: multiples of every block, or of nothing, where the compiler may assume less.
SIZES = {"aligned": (512, 1024), "odd": (511, 1021)}
LONG = {"aligned": (16, 20480), "odd": (15, 20479)}  # a row that is too long for the registers takes another path in these:
WITH_LONG_ROWS = ("layer_norm", "rms_norm", "add_layer_norm", "softmax", "log_softmax", "logsumexp")


@dataclass(frozen=True)
class Code:
    """One kernel, compiled for one target."""

    op: str
    call: str  # example, size, dtype and direction
    kernel: str
    config: str  # of an autotuned kernel
    target: str
    registers: int  # per thread
    spills: int  # loads and stores of registers that did not fit
    shared: int  # bytes of shared memory per block
    load_bits: int  # a thread's widest load from global memory, and widest store to it
    store_bits: int
    tensor_cores: int  # matrix instructions
    occupancy: float | None  # the fraction of a multiprocessor's threads that can be resident; None: not known


def report(
    names: Sequence[str], dtype: str = "float32", sizes: str = "aligned", rung: str = "best", targets: Iterable[str] = TARGETS
) -> list[Code]:
    """The machine code of some operators' Triton kernels, for forward and backward of their first examples and every target.

    rung: "best", or the number of an early one such as "1", which is compiled for short rows only.
    targets: names in TARGETS or OTHERS.
    RuntimeError with the compiler's words if a kernel does not compile.
    """
    command = [sys.executable, "-m", "scratchnet.measure.gpu_code.triton", dtype, sizes, rung, ",".join(targets), *names]
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"compiling the Triton kernels of {', '.join(names)} failed:\n{run.stdout}{run.stderr}")
    return [Code(**row) for row in json.loads(run.stdout.splitlines()[-1])]


def compile_all(dtype: str, sizes: str, rung: str, targets: str, *names: str) -> Iterator[Code]:
    """Compile in this process, which must not be one that interprets Triton."""
    number = None if rung == "best" else int(rung)
    for name in names:
        for table in (SIZES, LONG) if name in WITH_LONG_ROWS and number is None else (SIZES,):
            yield from _compile_op(OPS[name], number, *table[sizes], getattr(torch, dtype), targets.split(","))


def _compile_op(op: Op, rung: int | None, rows: int, columns: int, dtype: torch.dtype, targets: list[str]) -> Iterator[Code]:
    from scratchnet.kernels.launch import compiling  # imports Triton

    launches: dict[str, list[tuple]] = {}
    for direction, arguments in _calls(op, rows, columns, dtype).items():
        with compiling(lambda *launch, direction=direction: launches.setdefault(direction, []).append(launch)):
            kernel_of(op, "triton", direction, rung)(*arguments)
    example = next(iter(op.examples))
    for target in targets:
        for direction, found in launches.items():
            for kernel, args, options in found:
                for config, name, compiled in _variants(kernel, args, options, target):
                    call = f"[{example}] {rows}x{columns} {str(dtype).removeprefix('torch.')} {direction}"
                    yield Code(op.name, call, name, config, target, **_read(compiled, target))


def _calls(op: Op, rows: int, columns: int, dtype: torch.dtype) -> dict[str, tuple]:
    """The arguments that forward and backward kernels get when the first example runs."""
    user = function(op)
    example = next(iter(op.examples))
    args, kwargs = op.examples[example](rows, columns, dtype)
    calls: dict[str, tuple] = {}
    directions = {raw(op, "triton", direction): direction for direction in ("forward", "backward")}

    class Spy(TorchDispatchMode):
        """Run the reference in place of the kernels, and note what they were given."""

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            if operator not in directions:
                return operator(*args, **kwargs or {})
            direction = directions[operator]
            arguments = op.packed(direction, args[:-1])  # without the rung
            calls[direction] = arguments
            return _full(kernel_of(op, "reference", direction)(*arguments), arguments)

    with backends.backend("triton"), Spy():
        outputs = as_tuple(user(*args, **kwargs))
        torch.autograd.backward(outputs, [torch.ones_like(y) for y in outputs])
    return calls


def _full(results, arguments: tuple):
    """The results with empty tensors for None: torch schemas have no optional results."""
    if isinstance(results, Tensor):
        return results
    return tuple(arguments[0].new_empty(0) if t is None else t for t in results)


def _variants(kernel, args: tuple, options: dict, target: str) -> Iterator[tuple[str, str, object]]:
    """(configuration, kernel name, compiled kernel)."""
    from triton.runtime import driver
    from triton.runtime.autotuner import Autotuner

    driver.set_active(_Absent(target))
    if isinstance(kernel, Autotuner):
        kernel.nargs = dict(zip(kernel.arg_names, args, strict=False))  # what pruning looks at
        for config in kernel.prune_configs(options):
            yield str(config), kernel.fn.__name__, kernel.fn.warmup(*args, grid=(1,), **options, **config.all_kwargs())
    else:
        yield "", kernel.__name__, kernel.warmup(*args, grid=(1,), **options)


class _Absent:
    """The driver of a GPU that is not here, with as much as Triton asks for in order to compile."""

    def __init__(self, name: str):
        from triton.backends.compiler import GPUTarget

        every = TARGETS | OTHERS
        self.number = list(every).index(name)  # Triton caches what it compiled by the device's number
        self.target = GPUTarget(*every[name])

    def get_current_target(self):
        return self.target

    def get_current_device(self) -> int:
        return self.number

    def get_current_stream(self, device: int) -> int:
        return 0


@functools.cache  # calls that agree in types and alignment share a kernel
def _read(compiled, target: str) -> dict[str, int]:
    """Facts from the machine code."""
    return _read_amd(compiled) if target.startswith("gfx") else _read_nvidia(compiled, target)


def _read_nvidia(compiled, target: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder, "kernel.cubin")
        cubin.write_bytes(compiled.asm["cubin"])
        usage = run_tool("cuobjdump", "-res-usage", cubin)
        sass = run_tool("nvdisasm", "-c", cubin)
    registers, metadata = int(re.search(r"REG:(\d+)", usage)[1]), compiled.metadata
    share = occupancy(registers, metadata.num_warps, metadata.shared, target)
    return {"registers": registers, "shared": metadata.shared, "occupancy": share, **instructions(sass)}


def instructions(sass: str) -> dict[str, int]:
    """Facts from NVIDIA's assembly of one kernel, whose lines are /*address*/ @predicate INSTRUCTION.SUFFIX operands."""
    found = re.findall(r"^\s+/\*\w{4,}\*/\s+(?:@\S+\s+)?([A-Z]\w*)(\S*)", sass, re.MULTILINE)
    count = lambda *names: sum(name in names for name, _ in found)
    bits = lambda *names: max((_width(suffix) for name, suffix in found if name in names), default=0)
    return {
        "spills": count("STL", "LDL"),
        "load_bits": 128 if count("UTMALDG") else bits("LDG", "LDGSTS"),
        "store_bits": 128 if count("UTMASTG") else bits("STG"),
        "tensor_cores": count("HMMA", "HGMMA", "UTCHMMA", "DMMA", "QGMMA", "UTCQMMA"),
    }


SHARED_MEMORY = {"sm_80": 164 << 10, "sm_90": 228 << 10, "sm_100": 228 << 10}  # bytes per multiprocessor
REGISTERS, WARPS, BLOCKS = 65536, 64, 32  # per multiprocessor of any of these


def occupancy(registers: int, warps: int, shared: int, target: str) -> float | None:
    """The fraction of a multiprocessor's warps that registers and shared memory allow to be resident at a time."""
    if target not in SHARED_MEMORY:
        return None
    of_warp = -(-registers * 32 // 256) * 256  # allocated in units of 256
    by_registers = REGISTERS // of_warp // 4 * 4 // warps  # each of the four partitions has its own
    by_shared = SHARED_MEMORY[target] // (shared + 1024)  # a block takes 1 KiB more
    return min(by_registers, by_shared, WARPS // warps, BLOCKS) * warps / WARPS


def _width(suffix: str) -> int:
    """Bits of a load or store by what follows its name: LDG.E.128, LDG.E.64.CONSTANT, LDG.E, LDG.E.U16, LDG.E.U8."""
    wide = re.search(r"\b(8|16|32|64|128|256)\b", re.sub(r"\b[US](8|16)\b", r"\1", suffix))
    return int(wide[1]) if wide else 32


def _read_amd(compiled) -> dict[str, int]:
    asm = compiled.asm["amdgcn"]
    field = lambda name: int(re.search(rf"\.{name}:\s+(\d+)", asm)[1])
    return {
        "registers": field("vgpr_count"),
        # Scalar registers that did not fit are kept in lanes of a vector register, without a load or store.
        "spills": field("vgpr_spill_count") + len(re.findall(r"\bscratch_(?:load|store)_", asm)),
        "shared": compiled.metadata.shared,
        "load_bits": max(map(_amd_width, re.findall(r"\b(?:global|buffer)_load_(\w+)", asm)), default=0),
        "store_bits": max(map(_amd_width, re.findall(r"\b(?:global|buffer)_store_(\w+)", asm)), default=0),
        "tensor_cores": len(re.findall(r"\bv_(?:mfma|wmma)_", asm)),
        "occupancy": None,
    }


def _amd_width(suffix: str) -> int:
    """dwordx4, dwordx2, dword, ushort, ubyte, b128."""
    words = re.search(r"dwordx(\d)", suffix)
    if words:
        return 32 * int(words[1])
    bits = re.search(r"b(\d+)", suffix)
    return int(bits[1]) if bits else 32 if "dword" in suffix else 8 if "byte" in suffix else 16


def tool(name: str) -> str | None:
    """A program of the CUDA toolkit: the copy in Triton's wheel, else the one on PATH."""
    triton = importlib.util.find_spec("triton")
    path = Path(triton.origin).parent / "backends" / "nvidia" / "bin" / name if triton else None
    return str(path) if path and path.exists() else shutil.which(name)


def run_tool(name: str, *arguments) -> str:
    return subprocess.run([tool(name), *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    print(json.dumps([asdict(code) for code in compile_all(*sys.argv[1:])]))
