"""A reader's kernel in C++ or CUDA, called in a child process so that each of its accesses to memory is seen."""

from __future__ import annotations

import ctypes
import multiprocessing
import resource
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import torch
from torch import Tensor

from scratchnet import emulation
from scratchnet.checker import Contract, KernelError
from scratchnet.checker.compiler import included, listing
from scratchnet.course.sent import SPOKEN, read, written
from scratchnet.measure.verify import Call

PAGE = 4096  # bytes, modulo which addresses alias (scratchnet/emulation/trace.cpp)
PATIENCE = 30  # seconds that a call may take
CALLS = 12  # in which page faults are counted, unless one has none: a kernel that takes fresh pages takes them in every call
C_TYPES = {float: ctypes.c_double, int: ctypes.c_int64}


@dataclass(frozen=True)
class Seen:
    """What one call returned, what it did wrong ("" if nothing), and what it moved."""

    results: tuple[Tensor, ...]
    report: str
    counts: dict[str, int]
    reads: dict[str, Tensor]  # array -> how often each of its numbers was read
    writes: dict[str, Tensor]


class Traced:
    """One direction of a C++ or CUDA kernel, each of whose accesses to memory is seen; KernelError if it does not compile.

    It is called in a copy of this process, where it may crash or never end.
    """

    def __init__(self, path: Path, contract: Contract, direction: str):
        self.contract, self.direction = contract, direction
        self.on_gpu = path.suffix == ".cu"
        prototype = contract.prototype(direction)
        self.folder = tempfile.TemporaryDirectory()
        header = Path(self.folder.name, "prototype.h")
        visible = '__attribute__((visibility("default")))'
        header.write_text(f'#include <cstdint>\nextern "C" {visible} {prototype};\n', encoding="utf-8")
        read = Path(self.folder.name, "read")
        try:
            library = emulation.compile(path, Path(self.folder.name, "kernel.so"), ["-include", str(header), *listing(read)])
        except emulation.EmulationError as error:
            raise KernelError(f"{path}: {error}\nIts function must be\n{prototype}") from error
        self.files = included(read)
        self.traced = emulation.Traced(library)
        if not hasattr(self.traced.library, direction):
            raise KernelError(f"{path} has no function {prototype}")

    def calls(self, calls: list[Call], counting: bool = False) -> Iterator[Seen]:
        """Make one call after another; KernelError if one crashes or does not end."""
        context = multiprocessing.get_context("fork")
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._serve, args=(theirs, calls, counting), daemon=True)
        process.start()
        theirs.close()
        try:
            for _ in calls:
                if not mine.poll(PATIENCE):
                    raise KernelError(f"it does not end: a loop was still running after {PATIENCE} s")
                answer = read(mine.recv_bytes())
                if isinstance(answer, str):
                    raise KernelError(answer)
                yield Seen(**answer)
        except (ValueError, TypeError):
            raise KernelError(SPOKEN) from None
        except EOFError:
            process.join()
            code = process.exitcode
            what = f"it crashed ({signal.strsignal(-code)}): it reads or writes far outside its arrays"
            raise KernelError(what if code < 0 else f"it ended the process with exit code {code}") from None
        finally:
            process.kill()
            process.join()

    def _serve(self, pipe, calls: list[Call], counting: bool) -> None:
        torch.set_num_threads(1)
        for call in calls:
            try:
                answer = vars(self._run(call, counting))
            except KernelError as error:
                answer = str(error)
            except Exception as error:  # whatever the reader's code raises
                answer = f"it raised {type(error).__name__}: {error}"
            pipe.send_bytes(written(answer))

    def _run(self, call: Call, counting: bool) -> Seen:
        values = arguments(self.contract, self.direction, call)
        names = self.contract.names(self.direction)
        inputs = {name: v for name, v in zip(names, values, strict=True) if not isinstance(v, tuple)}
        inputs = {name: _placed(v.detach(), i) if isinstance(v, Tensor) else v for i, (name, v) in enumerate(inputs.items())}
        shapes = self.contract.shapes(self.direction, call)
        results = {
            name: _placed(torch.full(s, torch.nan), len(inputs) + i)
            for i, (name, s) in enumerate(zip(self.contract.results[self.direction], shapes, strict=True))
        }
        arrays = {name: v for name, v in inputs.items() if isinstance(v, Tensor)} | results
        self.traced.begin(self.on_gpu, counting)
        for name, array in arrays.items():
            self.traced.array(name, array, writable=name in results)
        passed = [_pass(value) for value in (*inputs.values(), *results.values())]
        passed += map(ctypes.c_int64, self.contract.sizes(*self.contract.positional(call)).values())
        function = getattr(self.traced.library, self.direction)
        function(*passed)
        touched = [{name: self.traced.touched(name, written) for name in arrays} for written in (False, True)]
        seen = Seen(tuple(results.values()), self.traced.report(), self.traced.counts(), *touched)
        if counting and not self.on_gpu:
            seen.counts["faults"] = self._faults(lambda: function(*passed))
        return seen

    def _faults(self, run: Callable[[], object]) -> int:
        """How many pages the system has to hand out for a call that was made before: the fewest of several calls."""
        self.traced.begin(self.on_gpu)
        faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        run()
        seen: list[int] = []
        while 0 not in seen and len(seen) < CALLS:
            before = faults()
            run()
            seen.append(faults() - before)
        return min(seen)


def _placed(array: Tensor, i: int) -> Tensor:
    """The same numbers, in order, half a page and i lines of 64 bytes behind the start of a page.

    Which accesses have the same last 12 bits then follows from the kernel alone, not from where the system has room.
    """
    item = array.element_size()
    room = torch.empty(array.numel() + 2 * PAGE // item, dtype=array.dtype)
    start = (PAGE // 2 + 64 * i - room.data_ptr()) % PAGE // item
    return room[start : start + array.numel()].view(array.shape).copy_(array)


def arguments(contract: Contract, direction: str, call: Call) -> list:
    """What the function is called with, in order."""
    return [*call.upstream[: len(contract.incoming[direction])], *contract.positional(call)]


def _pass(value: Tensor | int | float) -> object:
    return ctypes.c_void_p(value.data_ptr()) if isinstance(value, Tensor) else C_TYPES[type(value)](value)
