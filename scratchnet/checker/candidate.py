"""A kernel of any kind in its child process: numbers go there, results come back."""

from __future__ import annotations

import contextlib
import mmap
import signal
from dataclasses import dataclass, field
from typing import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from scratchnet.checker import memory
from scratchnet.checker.child import Child, Ended
from scratchnet.checker.contract import Contract, KernelError
from scratchnet.measure.verify import Call

PATIENCE = 20  # seconds that one call may take
HALF = memory.CAPACITY // 2  # where the numbers of a second call lie, while it is timed in turns with a first


@dataclass(frozen=True)
class Answer:
    """What a call returned, in the order of the contract, and what was seen while it ran."""

    results: tuple[Tensor | None, ...] = ()
    problem: str = ""  # what is wrong whatever the numbers are
    called: tuple[str, ...] = ()  # torch's operators and kernels, if they were traced
    files: tuple[str, ...] = ()  # whose code ran, then too, those that were read, and loaded libraries
    processes: bool = False  # whether it has started others
    torch: bool = False  # whether it has imported torch without a word in its file
    number: int = -1  # by which `again` finds it, if it was kept


@dataclass
class Candidate:
    """A kernel in a file: `start` makes a child process and loads it there."""

    name: str
    contract: Contract
    kind: str  # "NumPy", "torch", "Triton" or "C++"
    start: Callable[[], tuple[Child, dict]]
    device: str = "cpu"
    timed: bool = True  # False in Triton's interpreter
    deterministic: bool = True  # the same bits for the same input
    included: tuple[str, ...] = ()  # the files that the compiler read
    functions: dict[str, dict] = field(default_factory=dict)  # direction -> the keywords that it takes

    def __post_init__(self):
        self._child, loaded = self.start()
        self.deterministic &= loaded["deterministic"]
        self.functions = loaded["functions"]

    @property
    def directions(self) -> list[str]:
        """What can be asked: what is written, and what autograd makes of a forward in torch."""
        derived = ["backward"] if self.kind == "torch" and "forward" in self.functions else []
        return list(dict.fromkeys([*self.functions, *derived]))

    @property
    def alive(self) -> bool:
        """Whether the process of the last call still runs."""
        return self._child.end.alive

    @property
    def child(self) -> Child:
        """The process that runs it, a new one if it ended."""
        if not self.alive:
            self._child, _ = self.start()
        return self._child

    def printed(self) -> str:
        """The last lines that it wrote to the screen."""
        return "\n".join(self._child.printed().splitlines()[-10:])

    def refuses(self, call: Call) -> list[str]:
        """The options of a call that the kernel has no argument for."""
        takes = next(iter(self.functions.values()))
        return [] if takes.get("any") else [n for n in self.contract.options(call) if n not in takes.get("keywords", ())]

    def on_device(self) -> contextlib.AbstractContextManager:
        """The context in which calls are created on the kernel's device."""
        return torch.device(self.device) if self.device != "cpu" else contextlib.nullcontext()

    def call(self, direction: str, call: Call, place: Callable | None = None, keep: bool = True, trace: bool = False) -> Answer:
        """Ask it once. KernelError: it raised or did not return what it should; Ended: it crashed, hung or ended."""
        try:
            reply = self._ask("call", **self._request(direction, call, place), keep=keep, trace=trace)
        except Ended as end:
            if end.signal not in (signal.SIGSEGV, signal.SIGBUS):
                raise
            raise Ended(self._reason(str(end), direction, call, place), end.signal) from None
        results = self._results(direction, reply)
        for name, result, needed in zip(
            self.contract.results[direction], results, self.contract.needed(direction, call), strict=True
        ):
            if result is None and needed:
                raise KernelError(f"it returned None for {name}: is a return missing?")
        seen = {name: tuple(reply[name]) for name in ("called", "files") if name in reply}
        seen |= {"number": reply["number"] if keep else -1}
        seen |= {name: reply.get(name, False) for name in ("processes", "torch")}
        return Answer(results, self._problem(direction, reply), **seen)

    def again(self, direction: str, number: int = 0) -> tuple[Tensor | None, ...]:
        """The results of a call that was kept, as they are now."""
        return self._results(direction, self._ask("fetch", number=number))

    def forget(self) -> None:
        """Let the child free the results that it kept."""
        self._ask("forget")

    def size(self) -> tuple[int, int]:
        """The child's threads and its resident bytes."""
        reply = self._ask("size")
        return reply["threads"], reply["resident"]

    def prepare(self, slot: int, direction: str, call: Call) -> None:
        """Make a call ready for `go`: slot 0 or 1."""
        self._ask("prepare", slot=slot, **self._request(direction, call, base=slot * HALF))

    def go(self, slots: Sequence[int]) -> None:
        """Run prepared calls one after another; `again` has the results of the last."""
        self._ask("go", slots=list(slots))

    def _ask(self, do: str, **request) -> dict:
        return self.child.ask(do, PATIENCE, **request)

    def _request(self, direction: str, call: Call, place: Callable | None = None, base: int = 0) -> dict:
        """A call in the words of the runner; its numbers are in shared memory, from `base` on."""
        positional, options = self.contract.positional(call), self.contract.options(call)
        incoming = call.upstream if direction == "backward" else ()
        own = (lambda t: stored(t.contiguous())) if self.kind == "C++" else stored
        told = _Writer(self.child.numbers, base, place or own)
        request = {
            "direction": direction,
            "args": [told(value) for value in (*incoming, *positional)],
            "options": {name: told(value) for name, value in options.items()},
            "learned": [i if isinstance(positional[i], Tensor) else None for i in self.contract.learned],
            "grads": len(incoming),
            "results": [],
            "sizes": [],
        }
        if self.kind == "C++":
            shapes = map(list, self.contract.shapes(direction, call))
            request["results"] = list(zip(self.contract.results[direction], shapes, strict=True))
            request["sizes"] = list(self.contract.sizes(*positional).values())
        return request

    def _reason(self, crash: str, direction: str, call: Call, place: Callable | None) -> str:
        """Why it crashed: the same call again, with the pages of the inputs open, then with those around all arrays."""
        for lenient in (1, 2):
            try:
                reply = self._ask("call", **self._request(direction, call, place), lenient=lenient)
            except Ended:
                continue
            except KernelError as error:  # what is around its memory was written to
                return str(error)
            finally:
                self._child.end()
            names = self.contract.names(direction)
            if written := [names[i] for i in reply["written"]]:
                return f"it writes to its input {', '.join(written)}: the caller still needs those numbers, work on a copy"
            if lenient == 1:
                return "it writes to an input and puts the numbers back: whoever reads them meanwhile reads others"
            return "it reads before or behind its input: a loop goes too far, or a load has no mask"
        return crash

    def _results(self, direction: str, reply: dict) -> tuple[Tensor | None, ...]:
        """The results of a reply; KernelError if they are not what the contract names."""
        needed = self.contract.results[direction]
        if len(reply["results"]) != len(needed):
            raise KernelError(f"it returned {len(reply['results'])} results, expected {len(needed)}: {', '.join(needed)}")
        return tuple(self._read(name, told) for name, told in zip(needed, reply["results"], strict=True))

    def _read(self, name: str, told: dict | None) -> Tensor | None:
        if told is None:
            return None
        if "type" in told:
            raise KernelError(f"it returned {told['type']} for {name}: is a return missing?")
        dtype = getattr(torch, told["dtype"], None)
        if not isinstance(dtype, torch.dtype):
            raise KernelError(f"it returned {told['dtype']} for {name}, which torch has not")
        try:
            data = bytearray(np.frombuffer(self.child.answers, np.uint8, told["bytes"], told["at"]))
            whole = torch.frombuffer(data, dtype=torch.uint8).view(dtype) if data else torch.empty(0, dtype=dtype)
            return whole.reshape(told["shape"])
        except (ValueError, RuntimeError):  # no runner says this: the kernel speaks in its place
            raise KernelError(f"what its process says about {name} cannot be: {told}") from None

    def _problem(self, direction: str, reply: dict) -> str:
        """What it may not do."""
        inputs, results = self.contract.names(direction), self.contract.results[direction]
        if reply["at_once"]:
            return f"it changes {' and '.join(reply['at_once'])} as soon as it is loaded"
        if reply["changed"]:
            return f"it leaves {' and '.join(reply['changed'])} changed: put it back before you return"
        if reply["hooked"]:
            return f"it calls {' and '.join(reply['hooked'])}, by which Python tells of every call: that is the checker's"
        for name, place in zip(results, reply["shared"], strict=True):
            if place is not None:
                return (
                    f"{name} shares memory with its input {inputs[place]}: whoever changes one changes the other. Return a copy"
                )
        if reply["inference"]:
            return "it returned an inference tensor, which autograd refuses: torch.no_grad() goes far enough"
        for name, folded in zip(results, reply["folded"], strict=True):
            if folded and direction == "forward":  # gradients may be expanded, as torch's are
                return f"several entries of {name} share memory: whoever writes to one changes them all. Return a copy"
        if any(place is not None for place in reply["earlier"]):
            return "its first result changed when it computed the second: both share memory"
        return ""


class _Writer:
    """Writes arrays into shared memory, one behind the other, and says where they are; other values stay as they are."""

    def __init__(self, shared: mmap.mmap, at: int, place: Callable):
        self.shared, self.at, self.place = shared, at, place

    def __call__(self, value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        storage, shape, strides, offset = self.place(value.detach().cpu())
        at, size, span = self.at, storage.nbytes, memory.pages(storage.nbytes)
        self.at += span
        whole = np.frombuffer(self.shared, np.uint8, span, at)
        whole[:] = 0xFF  # NaN
        whole[span - memory.lines(size) :][:size] = storage
        dtype = str(value.dtype).removeprefix("torch.")
        return {"dtype": dtype, "shape": shape, "strides": strides, "offset": offset, "at": at, "bytes": size}


def stored(t: Tensor) -> tuple[np.ndarray, list[int], list[int], int]:
    """The memory of a tensor, its shape, and its strides and offset in elements."""
    whole = torch.empty(0, dtype=torch.uint8).set_(t.untyped_storage()).numpy()
    return whole, list(t.shape), list(t.stride()), t.storage_offset()


def backwards(t: Tensor) -> tuple[np.ndarray, list[int], list[int], int]:
    """The same of an array whose strides are negative, which torch has not."""
    whole, shape, strides, _ = stored(t.flip(tuple(range(t.dim()))).contiguous())
    return whole, shape, [-stride for stride in strides], max(t.numel() - 1, 0)
