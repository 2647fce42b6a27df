"""The kernels of 64-bit ARM on an emulated CPU: cross-compiled into a program without torch (operators.cpp), which qemu runs.

An ARM machine compiles the program with its own compiler and runs it itself.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import platform
import shutil
import struct
import subprocess
from pathlib import Path

import torch
from instruction_sets import toolchain
from instruction_sets.toolchain import QEMU, compiler, machine_of, setup
from torch import Tensor

from scratchnet import columns
from scratchnet.ops import Op

HERE = Path(__file__).resolve().parent
MACHINE = machine_of("neon")
TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool)  # in the order of host_tensors.h


def missing() -> str | None:
    """Why the kernels cannot run here."""
    if not all(importlib.util.find_spec(tool) for tool in ("setuptools", "ninja")):
        return "the build needs setuptools and ninja: pip install setuptools ninja"
    if MACHINE != platform.machine() and not shutil.which(QEMU):
        return f"{QEMU} is missing: apt install qemu-user"
    return toolchain.missing(MACHINE)


@functools.cache
def command() -> list[str]:
    """What runs the program, which is compiled first: everything takes a minute, what has changed less."""
    own, compile = setup(MACHINE), compiler(MACHINE)
    objects = [(name, "compile", source, flags) for name, source, flags in own["kernel_objects"]()]
    objects.append(("operators.o", "compile", HERE / "operators.cpp", ["-O1", *own["KERNEL_FLAGS"]]))
    written = {"ladders.cpp": own["ladders"]("cpu"), "operators.h": own["operators"]("cpu")}
    facts = {"compiler": own["compiler_version"](compile)}
    rules = {"compile": [*compile, *own["COMMON_FLAGS"]]}
    program = own["build"](own["Module"]("neon", facts, written, rules, objects, (compile, ["-static"])))
    return [*([] if MACHINE == platform.machine() else [QEMU]), str(program)]


class Emulated:
    """The running program."""

    def __init__(self):
        self.process = subprocess.Popen(command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.calls = 0

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def kernel(self, op: Op, direction: str):
        """The raw operator of the C++ column, run there."""
        name, schema = f"{op.name}_{direction}", columns.raw(op, "cpp", direction)._schema

        def call(*args) -> Tensor | tuple[Tensor, ...]:
            kinds = [str(argument.type) for argument in schema.arguments]
            parts = [_list(name.encode()), *(packed(kind, value) for kind, value in zip(kinds, args, strict=True))]
            self.process.stdin.write(b"".join(parts))
            self.process.stdin.flush()
            self.calls += 1
            if (count := self.number()) < 0:
                raise RuntimeError(self.read(self.number()).decode())
            results = tuple(self.tensor() for _ in range(count))
            return results if len(schema.returns) > 1 else results[0]

        return call

    def read(self, size: int) -> bytes:
        data = self.process.stdout.read(size)
        if len(data) < size:
            raise RuntimeError(f"the emulated program ended with {self.process.wait()}")
        return data

    def number(self) -> int:
        return struct.unpack("<q", self.read(8))[0]

    def tensor(self) -> Tensor:
        dtype = TYPES[self.number()]
        sizes = [self.number() for _ in range(self.number())]
        data = bytearray(self.read(math.prod(sizes) * dtype.itemsize))
        return torch.frombuffer(data, dtype=dtype).view(sizes) if data else torch.empty(sizes, dtype=dtype)


def packed(kind: str, value) -> bytes:
    """An argument as operators.cpp reads it."""
    if kind.startswith("Optional["):
        return struct.pack("<q", value is not None) + (packed(kind[9:-1], value) if value is not None else b"")
    if kind == "Tensor":
        return _tensor(value)
    if kind == "List[int]":
        return _list(b"".join(struct.pack("<q", i) for i in value), 8)
    return struct.pack("<d" if kind == "float" else "<q", value)


def _list(data: bytes, itemsize: int = 1) -> bytes:
    return struct.pack("<q", len(data) // itemsize) + data


def _tensor(t: Tensor) -> bytes:
    """With its strides, and all memory from its first element to its last."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(t.shape, t.stride(), strict=True)) if t.numel() else 0
    memory = t.detach().as_strided((span,), (1,)).view(torch.uint8).numpy().tobytes()
    longs = lambda numbers: packed("List[int]", numbers)
    return struct.pack("<q", TYPES.index(t.dtype)) + longs(t.shape) + longs(t.stride()) + _list(memory, t.element_size())
