"""What nvcc made of our CUDA kernels: registers, spills, shared memory and instructions, read from a compiled module."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from scratchnet.measure.gpu_code.triton import SHARED_MEMORY, Code, instructions, occupancy, run_tool, tool
from scratchnet.ops import OPS

RUNG = re.compile(r"_GLOBAL__N__[0-9a-f]+_\d+_(\d)_(\w+?)_cu_")  # <rung>_<idea>.cu in nvcc's name for its anonymous namespace
KERNEL = re.compile(r"(\w+_kernel(<.+?>)?)\(")
THREADS = re.compile(r"EIATTR_MAX_THREADS\n.*\n\s*Value:\s*(0x\w+)")  # what __launch_bounds__ said


def missing() -> str | None:
    """Why a compiled module cannot be read here."""
    absent = [name for name in ("cuobjdump", "c++filt") if tool(name) is None]
    return f"there is no {' and no '.join(absent)}: pip install triton, apt install binutils" if absent else None


def report(module: Path) -> list[Code]:
    """Every kernel for every architecture that the module holds machine code for."""
    listed = run_tool("cuobjdump", "--list-elf", module)
    targets = [target for target in SHARED_MEMORY if re.search(rf"\b{target}\b", listed)]
    return [code for target in targets for code in _read(module, target)]


def _read(module: Path, target: str) -> list[Code]:
    def dump(what: str, title: str) -> dict[str, str]:
        """Kernel -> what a tool prints about it after a title with its name."""
        _, *parts = re.split(title, run_tool("cuobjdump", what, "-arch", target, module))
        return dict(zip(parts[::2], parts[1::2], strict=True))

    usage, sass = dump("-res-usage", r"Function (\S+):\n"), dump("-sass", r"Function : (\S+)\n")
    information = dump("-elf", r"\n\.nv\.info\.(\S+)\n")
    codes = []
    for symbol, name in zip(usage, _demangled(list(usage)), strict=True):
        if not (file := RUNG.search(symbol)):
            continue  # one of CUB's
        (rung, idea), kernel = file.groups(), KERNEL.search(name)[1]
        op = max((op for op in OPS if kernel.startswith(f"{op}_")), key=len, default="")  # "": a kernel that several share
        registers, shared = (int(re.search(rf"{what}:(\d+)", usage[symbol])[1]) for what in ("REG", "SHARED"))
        threads = THREADS.search(information[symbol])
        share = occupancy(registers, -(-int(threads[1], 16) // 32), shared, target) if threads else None
        facts = {"registers": registers, "shared": shared, "occupancy": share, **instructions(sass[symbol])}
        codes.append(Code(op, f"cuda:{rung} {idea}", kernel, "", target, **facts))
    return codes


def _demangled(symbols: list[str]) -> list[str]:
    run = subprocess.run([tool("c++filt")], input="\n".join(symbols), capture_output=True, text=True, check=True)
    return re.sub(r"scratchnet::|\(anonymous namespace\)::", "", run.stdout).splitlines()
