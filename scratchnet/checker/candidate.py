"""One way to call a kernel of any kind, which checks that its input is unchanged, its results complete, and that it ends."""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import multiprocessing
import pickle
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
from torch import Tensor

from scratchnet.checker.contract import Contract, KernelError

GUARD = 64  # elements before and after an array, which no kernel may touch
CANARY = -1234.5  # what they hold around results; around inputs it is NaN, so that reading them shows
PATIENCE = 20  # seconds that a call in C++ may take


@dataclass(frozen=True)
class Candidate:
    """A kernel of any kind: `prepare[direction](*args)` is a call that returns its results as tensors."""

    name: str
    contract: Contract
    kind: str  # "NumPy", "torch", "Triton" or "C++"
    prepare: dict[str, Callable[..., Callable[[], tuple]]]
    deterministic: bool = True  # the same bits for the same input
    device: str = "cpu"
    timed: bool = True  # False in Triton's interpreter

    def __post_init__(self):
        object.__setattr__(self, "_observed", Child(self._observe) if self.kind == "C++" else self._observe)

    def on_device(self) -> contextlib.AbstractContextManager:
        """The context in which calls are created on the kernel's device."""
        return torch.device(self.device) if self.device != "cpu" else contextlib.nullcontext()

    def run(self, direction: str, *args) -> tuple[Tensor, ...]:
        """Call it once; KernelError if it wrote to its input, did not return what it should or, in C++, crashed."""
        return self._observed(direction, *args)

    def _observe(self, direction: str, *args) -> tuple[Tensor, ...]:
        before = [_fingerprint(a) for a in args]
        results = self.prepare[direction](*args)()
        for name, a, seen in zip(self.contract.names(direction), args, before, strict=True):
            if _fingerprint(a) != seen:
                raise KernelError(f"it writes to its input {name}: the caller still needs those numbers, work on a copy")
        needed = self.contract.results[direction]
        if len(results) != len(needed):
            raise KernelError(f"it returned {len(results)} results, expected {len(needed)}: {', '.join(needed)}")
        for name, result in zip(needed, results, strict=True):
            if not isinstance(result, Tensor):
                raise KernelError(f"it returned {type(result).__name__} for {name}: is a return missing?")
        return tuple(results)


class Child:
    """A function in a copy of this process: a crash or an endless loop there is a KernelError here."""

    def __init__(self, function: Callable):
        self.function = function
        self.process = None

    def __call__(self, *args):
        if self.process is None:
            context = multiprocessing.get_context("fork")
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=self._serve, args=(theirs,), daemon=True)
            self.process.start()
            theirs.close()
        self.pipe.send_bytes(pickle.dumps(args))
        if not self.pipe.poll(PATIENCE):
            self.process.kill()
        if not (data := _received(self.pipe)):
            self.process.join()
            number, self.process = -self.process.exitcode, None
            if number == signal.SIGKILL:
                raise KernelError(f"it does not end: a loop was still running after {PATIENCE} s")
            raise KernelError(f"it crashed ({signal.strsignal(number)}): it reads or writes far outside its arrays")
        result, error = pickle.loads(data)
        if error is not None:
            raise error
        return result

    def _serve(self, pipe) -> None:
        """Answer calls; arguments of the same form arrive in the same memory."""
        faulthandler.disable()
        torch.set_num_threads(1)  # OpenMP's threads stayed behind in the parent
        self.pipe.close()
        kept = ()
        while data := _received(pipe):
            args = pickle.loads(data)
            if list(map(_form, args)) == list(map(_form, kept)):
                for mine, new in zip(kept, args, strict=True):
                    if isinstance(mine, Tensor):
                        mine.untyped_storage().copy_(new.untyped_storage())
            else:
                kept = args
            try:
                answer = self.function(*kept), None
            except Exception as error:
                answer = None, error
            pipe.send_bytes(pickle.dumps(answer))


def _received(pipe) -> bytes:
    """The next message, b"" when there will be none."""
    try:
        return pipe.recv_bytes()
    except (EOFError, OSError):
        return b""


def _form(value: object) -> object:
    return (value.dtype, value.shape, value.stride()) if isinstance(value, Tensor) else value


def _fingerprint(value: object) -> bytes | None:
    """A hash of the whole storage of a tensor."""
    if not isinstance(value, Tensor):
        return None
    memory = torch.empty(0, dtype=torch.uint8, device=value.device).set_(value.untyped_storage())
    return hashlib.blake2b(memory.cpu().numpy().tobytes()).digest()


def guarded(t: Tensor) -> Tensor:
    """A copy between guards: NaN around floats, zeros around indices."""
    memory = t.new_full((t.numel() + 2 * GUARD,), torch.nan if t.is_floating_point() else 0)
    return inside(memory, t.shape).copy_(t)


def inside(memory: Tensor, shape: torch.Size) -> Tensor:
    """The part of some memory that is between its guards."""
    return memory[GUARD : memory.numel() - GUARD].view(shape)


def in_words(error: Exception, path: Path) -> str:
    """An exception in words, with the last line of the reader's file that it passed through."""
    if isinstance(error, KernelError):
        return str(error)
    trace, line = error.__traceback__, getattr(error, "lineno", None)
    while trace:
        if Path(trace.tb_frame.f_code.co_filename).name == path.name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}" + (f" (line {line})" if line else "")
