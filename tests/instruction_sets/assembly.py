"""What the compiler made of the innermost loops of a kernel: its multiply-adds, its stores, and what it keeps on the stack."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from instruction_sets import toolchain
from instruction_sets.toolchain import ROOT, compiler, machine_of, setup

# A whole register of the level; its multiply-adds, on the baseline the additions of what was multiplied.
REGISTER = {"baseline": r"%xmm\d+", "avx2": r"%ymm\d+", "avx512": r"%zmm\d+", "neon": r"v\d+\.(?:4s|2d)"}
MULTIPLY_ADD = {
    "baseline": r"addp[sd]",
    "avx2": r"vfn?m(add|sub)\d+p[sd]",
    "avx512": r"vfn?m(add|sub)\d+p[sd]|vdpbf16ps",
    "neon": r"fml[as]",
}


@dataclass(frozen=True)
class Loop:
    """An innermost loop: the instructions between a label and the last jump back to it."""

    function: str  # with its template arguments
    multiply_adds: int  # on whole registers
    stores: tuple[str, ...]
    stack: tuple[str, ...]  # what stores to the stack, or moves floats between it and their registers

    @property
    def spills(self) -> tuple[str, ...]:
        """What stores to the stack; constants that have no register are only loaded from there."""
        return tuple(line for line in self.stores if line in self.stack)


def loops(source: Path, isa: str) -> list[Loop]:
    """The innermost loops of a source, compiled for an instruction set as setup.py compiles rungs."""
    return innermost(compiled(source, isa, "-S"), isa)


def compiled(source: Path, isa: str, *more: str) -> str:
    """What the compiler writes for a source with setup.py's flags for the rungs of an instruction set and some more."""
    own = setup(machine_of(isa))
    rung = own["rungs"]("cpu")["matmul"][-1]
    flags = next(flags for _, file, flags in own["kernel_objects"]() if file == rung and f"-DSN_ISA={isa}" in flags)
    command = [*compiler(machine_of(isa)), *own["COMMON_FLAGS"], *flags, *more, str(source), "-o", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def missing(isa: str) -> str | None:
    """Why the assembly for an instruction set cannot be read here."""
    if reason := toolchain.missing(machine_of(isa)):
        return reason
    if not shutil.which("c++filt"):
        return "c++filt is missing: apt install binutils"
    version = subprocess.run([*compiler(machine_of(isa)), "--version"], capture_output=True, text=True).stdout
    return None if "Free Software Foundation" in version else "reads assembly as GCC writes it: set CXX=g++"


def innermost(assembly: str, isa: str) -> list[Loop]:
    """The innermost loops of all functions in the text of an assembler's source."""
    found = []
    for symbol, lines in functions(assembly).items():
        labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
        # label -> the last jump back to it
        ends = {labels[to]: i for i, line in enumerate(lines) if (to := line.split()[-1]) in labels and labels[to] < i}
        ends = {start: end for start, end in ends.items() if _reaches(lines, labels, start, end)}
        for start, end in ends.items():
            if not any(start < other and ends[other] <= end for other in ends):
                found.append(_loop(symbol, lines, lines[start : end + 1], isa))
    return found


def _reaches(lines: list[str], labels: dict[str, int], start: int, end: int) -> bool:
    """Whether line `start` leads to line `end`, a jump back to it, by lines between them: else that is no loop."""
    seen, todo = set(), [start]
    while todo:
        i = todo.pop()
        if i in seen or not start <= i <= end:
            continue
        seen.add(i)
        name, last = (words := lines[i].split())[0], words[-1]
        todo += [labels[last]] if last in labels else []
        todo += [] if re.fullmatch(r"jmp|b|ret|br", name) else [i + 1]
    return end in seen


def functions(assembly: str) -> dict[str, list[str]]:
    """Name -> instructions and labels of each function, without comments and directives."""
    parts = re.split(r"^([_A-Za-z][\w.$]*):.*$", assembly, flags=re.MULTILINE)
    names, bodies = demangled(parts[1::2]), parts[2::2]
    kept = lambda line: line and not re.match(r"[.#/](?!\w+:$)", line)
    lines = ([line for line in map(str.strip, body.splitlines()) if kept(line)] for body in bodies)
    return dict(zip(names, lines, strict=True))


def demangled(symbols: list[str]) -> list[str]:
    run = subprocess.run(["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def _loop(function: str, body: list[str], lines: list[str], isa: str) -> Loop:
    stores = tuple(filter(_stores_arm if isa == "neon" else _stores_x86, lines))
    floats, stack = (r"\b[qdsv]\d+\b", r"\[sp\b") if isa == "neon" else (r"%[xyz]mm", r"\(%rsp\b")
    if "movq\t%rsp, %rbp" in body:  # else it is no frame pointer
        stack = r"\(%r[sb]p\b"
    return Loop(
        function,
        sum(bool(re.match(rf"({MULTIPLY_ADD[isa]})\s.*{REGISTER[isa]}", line)) for line in lines),
        stores,
        tuple(line for line in lines if re.search(stack, line) and (line in stores or re.search(floats, line))),
    )


def _stores_arm(line: str) -> bool:
    return line.startswith("st")


def _stores_x86(line: str) -> bool:
    """Whether the last operand, the destination, is memory; what only reads it, prefetches it or jumps does not store."""
    return line.endswith(")") and not re.match(r"v?(u?comi|cmp|test|ptest|prefetch|j|call|push|nop)", line)
