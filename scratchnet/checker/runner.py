"""The other side of a question: calls a kernel in a process that knows neither the answer nor what is asked next.

The parent sends this text to a fresh Python, which therefore has nothing of scratchnet in it. `warm` imports what kernels of a
kind need, once, and forks for each of them; `Child` answers its parent's requests. Inputs are pages that the parent writes and
the child can only read, every array lies between pages that nobody may touch, and results are copied to shared memory at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import inspect
import json
import mmap
import os
import socket
import struct
import sys
from pathlib import Path

import numpy as np

from scratchnet.checker.memory import CAPACITY, PAGE, Memory, Problem, libc, lines, pages, shown
from scratchnet.checker.operators import compiled, listen, noticed
from scratchnet.checker.surroundings import dice, folded, forked, libraries, mapped, overlap, reach, seen_of, symbols, watched

C_TYPES = {float: ctypes.c_double, int: ctypes.c_int64, bool: ctypes.c_bool, str: lambda text: ctypes.c_char_p(text.encode())}


def warm(number: int, modules: list[str]) -> None:
    """Import the modules, then fork a Child for each kernel that the parent brings, and say how it ended."""
    for module in modules:
        with contextlib.suppress(ImportError):  # the reader's file will say it
            importlib.import_module(module)
    if torch := sys.modules.get("torch"):
        torch.use_deterministic_algorithms(False)  # which imports half of torch the first time
    line = socket.socket(fileno=number)
    while True:
        message, descriptors, *_ = socket.recv_fds(line, 64, 4)
        if not message:
            return
        if message != b"fork":
            line.sendall(struct.pack("q", os.waitpid(int(message), 0)[1]))
            continue
        process = os.fork()
        if not process:
            line.close()
            Child(*descriptors).serve()
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        line.sendall(struct.pack("q", process))


class Child:
    """Loads one kernel and calls it as it is told: each public method is a request."""

    def __init__(self, line: int, numbers: int, answers: int, said: int):
        with contextlib.suppress(AttributeError):  # Linux: end with the parent, whatever the kernel is doing
            libc.prctl(1, 9)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for standard, descriptor in enumerate((nothing, said, said)):
            os.dup2(descriptor, standard)
        sys.argv = [""]
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))
        self.line, self.numbers, self.answers = socket.socket(fileno=line), numbers, mmap.mmap(answers, CAPACITY)
        self.torch = sys.modules.get("torch")
        self.placed, self.regions, self.lenient, self.dice = {}, {}, 0, {}
        self.opened, self.hooked, self.heard, self.listening = set(), set(), set(), {}
        self.forget()

    def serve(self) -> None:
        """Answer until the parent hangs up."""
        while head := self.line.recv(4, socket.MSG_WAITALL):
            request = json.loads(self.line.recv(struct.unpack("I", head)[0], socket.MSG_WAITALL))
            try:
                reply = getattr(self, request.pop("do"))(**request)
            except BaseException as error:  # the reader's code may raise anything, SystemExit too
                known = isinstance(error, Problem)
                reply = {"problem": str(error)} if known else {"raised": self._in_words(error)}
            data = json.dumps(reply).encode()
            self.line.sendall(struct.pack("I", len(data)) + data)

    def load(self, path: str, kind: str, names: dict, device: str, threads: int, torchs: list) -> dict:
        """Import or link the file; what its functions take. torchs: the operators of torch that do its work."""
        self.path, self.device, self.kind, self.torchs = Path(path), device, kind, torchs
        self.before = mapped()
        self._listen()
        if self.torch:
            self.torch.set_num_threads(threads)
        with watched(self.torch, but=("the variables of the environment",)) as self.at_once:
            return self._linked(path, names) if kind == "C++" else self._imported(path, names)

    def _linked(self, path: str, names: dict) -> dict:
        library = ctypes.CDLL(path)
        self.functions = {name: getattr(library, name) for name in names if hasattr(library, name)}
        for function in self.functions.values():
            function.restype = None
        return {"functions": {name: {} for name in self.functions}, "there": [], "deterministic": True}

    def _imported(self, path: str, names: dict) -> dict:
        name = f"kernel_{self.path.stem}"
        self.opened, self.hooked = seen_of(path)
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)  # triton.jit looks its source up there
        spec.loader.exec_module(module)
        self.functions = {name: getattr(module, name) for name in names if callable(getattr(module, name, None))}
        return {
            "functions": {name: _takes(function, names[name]) for name, function in self.functions.items()},
            "there": [name for name, value in vars(module).items() if inspect.isfunction(value)],
            "deterministic": bool(getattr(module, "deterministic", True)),
        }

    def call(self, keep: bool = True, trace: bool = False, lenient: int = 0, **what) -> dict:
        """One call; its results are copied before anything else happens.

        lenient: 1 opens the pages of inputs, 2 the ones around all arrays too, to find out what made it crash.
        """
        self.lenient = lenient
        called, files = set(), set()
        if trace:
            self._listen()
        with watched(self.torch) as changed:
            with noticed(called, files) if trace else contextlib.nullcontext():
                results = self._prepared(**what)()
            reply = {"results": self._copied(results), "called": sorted(called | self.heard)}
        if trace:
            reply["called"] += sorted(compiled(self.torchs) | symbols(self._of_its_own()))
            reply |= {"files": sorted(files | self.opened | libraries()), "processes": forked()}
            reply["torch"] = not self.torch and "torch" in sys.modules
        found, self.dice = self.dice, dice()
        reply["changed"] = changed + [name for name, value in self.dice.items() if found.get(name) == value]
        spans = list(map(reach, results))
        reply |= {"hooked": sorted(self.hooked), "at_once": self.at_once}
        reply["shared"] = [overlap(span, map(reach, self.inputs)) for span in spans]
        reply["inference"] = any(hasattr(result, "is_inference") and result.is_inference() for result in results)
        reply["folded"] = list(map(folded, results))
        reply["earlier"] = [overlap(span, self.spans) for span in spans]
        reply["written"] = [place for place, value in enumerate(what["args"]) if lenient and self._written(value)]
        if keep:
            self.kept.append(results)
            self.spans += spans
        return reply | {"number": len(self.kept) - 1}

    def fetch(self, number: int) -> dict:
        """The results of an earlier call, as they are now."""
        return {"results": self._copied(self.kept[number])}

    def forget(self) -> dict:
        """Keep no results any longer."""
        self.kept, self.spans, self.ready = [], [], {}  # spans: the addresses of what is kept
        return {}

    def size(self) -> dict:
        """Threads and resident bytes of this process, where the system says so."""
        gc.collect()
        try:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
            return {"threads": len(os.listdir("/proc/self/task")), "resident": resident}
        except OSError:
            return {"threads": 0, "resident": 0}

    def prepare(self, slot: int, **what) -> dict:
        """Make a call ready that `go` runs."""
        self.ready[slot] = self._prepared(**what)
        return {}

    def go(self, slots: list[int]) -> dict:
        """Run prepared calls; the last one's results can be fetched."""
        for slot in slots:
            self.kept = [self.ready[slot]()]
        if self.device == "cuda":
            self.torch.cuda.synchronize()
        return {}

    def _listen(self) -> None:
        """Hear of the operators that do a kernel's work, if torch, or ours, is here by now."""
        wanted = {"aten": lambda name: name.removesuffix("_") in self.torchs, "scratchnet": lambda name: True}
        for space in wanted.keys() - self.listening.keys() if "torch" in sys.modules else ():
            if library := listen(space, wanted[space], self.heard.add):  # once: a second listener would hear the first
                self.listening[space] = library

    def _of_its_own(self) -> set[str]:
        """The libraries that came with the file, but for those that are part of torch."""
        theirs = str(Path(sys.modules["torch"].__file__).parent) if "torch" in sys.modules else "nowhere"
        return {name for name in mapped() - self.before if not name.startswith(theirs)}

    # ---- calls

    def _prepared(self, direction: str, args: list, options: dict, learned: list, grads: int, results: list, sizes: list):
        """A call without arguments, which returns a tuple."""
        values, named = list(map(self._value, args)), {name: self._value(value) for name, value in options.items()}
        self.inputs = values
        if self.kind == "C++":
            return self._on_pointers(direction, values, results, sizes)
        if direction in self.functions:
            function = self.functions[direction]
            return lambda: _several(function(*values, **named))
        return self._by_autograd(values[:grads], values[grads:], named, learned)

    def _by_autograd(self, grads: list, leaves: list, named: dict, learned: list):
        torch = self.torch
        self.inputs = []  # autograd may hand a gradient through as it is
        leaves = [leaf.detach() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        wanted = [leaves[place].requires_grad_() for place in learned if place is not None]
        with torch.enable_grad():
            outputs = _several(self.functions["forward"](*leaves, **named))
        if not all(isinstance(y, torch.Tensor) and y.requires_grad for y in outputs):
            raise Problem("autograd finds no path from forward's result to its inputs: write a function backward too")

        def run() -> tuple:
            found = iter(torch.autograd.grad(outputs, wanted, grads, retain_graph=True))
            return tuple(None if place is None else next(found) for place in learned)

        return run

    def _on_pointers(self, direction: str, values: list, results: list, sizes: list):
        """Arrays as pointers, memory for the results, then the sizes."""
        made = [Memory(shape, self.lenient > 1) for _, shape in results]
        inputs = [v for v in values if not isinstance(v, (tuple, type(None)))]
        passed = [ctypes.c_void_p(v.ctypes.data) if isinstance(v, np.ndarray) else C_TYPES[type(v)](v) for v in inputs]
        passed += [ctypes.c_void_p(memory.start) for memory in made] + list(map(ctypes.c_int64, sizes))
        function = self.functions[direction]

        def run() -> tuple:
            function(*passed)
            for (name, _), memory in zip(results, made, strict=True):
                if place := memory.damage():
                    raise Problem(f"it writes {place} of {name}: a loop goes too far")
            return tuple(memory.array for memory in made)

        return run

    def _value(self, value: object) -> object:
        """A number as it is; an array from the parent's memory, the same one each time."""
        if isinstance(value, list):
            return tuple(map(self._value, value))
        if not isinstance(value, dict):
            return value
        key = json.dumps(value), self.lenient
        if key not in self.placed:
            self.placed[key] = self._array(**value)
        array = self.placed[key]
        if self.device != "cpu":
            held = self.placed.setdefault((*key, self.device), array.to(self.device))
            return held.copy_(array)
        return array

    def _array(self, dtype: str, shape: list, strides: list, offset: int, at: int, bytes: int):
        start = self.regions[at] = shown(self.numbers, at, bytes, self.lenient)
        memory = (ctypes.c_char * max(bytes, 1)).from_address(start)
        if self.torch:
            whole = self.torch.frombuffer(memory, dtype=self.torch.uint8)[:bytes].view(getattr(self.torch, dtype))
            return whole.as_strided(shape, strides, offset)
        size = np.dtype(dtype).itemsize
        return np.ndarray(shape, dtype, memory, offset * size, [size * stride for stride in strides])

    def _written(self, value: object) -> bool:
        """Whether an array's memory is no longer what the parent wrote."""
        if not isinstance(value, dict):
            return False
        at, size = value["at"], value["bytes"]
        now = ctypes.string_at(self.regions[at], size)
        return now != os.pread(self.numbers, size, at + pages(size) - lines(size))

    # ---- what is looked at

    def _copied(self, results: tuple) -> list:
        """Put the results into shared memory; where, and what they are."""
        told, at = [], 0
        for result in results:
            if self.torch and type(result) in (self.torch.Tensor, self.torch.nn.Parameter):
                dtype, array = str(result.dtype).removeprefix("torch."), result.detach().cpu().contiguous()
                flat = array.as_strided((array.numel(),), (1,))  # one entry may have any stride
                data = flat.view(self.torch.uint8).numpy() if array.numel() else b""
            elif not self.torch and isinstance(result, (np.ndarray, np.generic, float, int)):
                array = np.asarray(result)
                dtype, data = str(array.dtype), array.tobytes()
            else:
                told.append(None if result is None else {"type": type(result).__name__})
                continue
            size = len(data)
            if at + size > CAPACITY:
                raise Problem(f"it returned {size:,} bytes")
            self.answers[at : at + size] = memoryview(data)
            told.append({"dtype": dtype, "shape": list(array.shape), "at": at, "bytes": size})
            at += lines(size)
        return told

    def _in_words(self, error: BaseException) -> str:
        """An exception in words, with the last line of the reader's file that it passed through."""
        trace, line = error.__traceback__, getattr(error, "lineno", None)
        while trace:
            if Path(trace.tb_frame.f_code.co_filename).name == self.path.name:
                line = trace.tb_lineno
            trace = trace.tb_next
        return f"{type(error).__name__}: {error}" + (f" (line {line})" if line else "")


def _takes(function, names: list[str]) -> dict:
    """Which keywords a function takes beside its arguments in order; why it does not take these."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return {"keywords": []}
    try:
        signature.bind(*names)
    except TypeError as error:
        return {"refuses": f"{signature} cannot be called: {error}"}
    kinds = [p.kind for p in signature.parameters.values()]
    passes_on = inspect.Parameter.VAR_POSITIONAL in kinds  # Function.apply, which takes no keywords
    named = [name for name, p in signature.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    given = sum(kind in (0, 1) for kind in kinds[: len(names)])
    return {"keywords": [] if passes_on else named[given:], "any": not passes_on and inspect.Parameter.VAR_KEYWORD in kinds}


def _several(results: object) -> tuple:
    several = tuple(results) if isinstance(results, (tuple, list)) else (results,)
    return tuple(np.asarray(one) if isinstance(one, np.ndarray) else one for one in several)  # a subclass may hide what it is
