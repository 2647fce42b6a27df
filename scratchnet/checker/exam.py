"""What a kernel has to pass, in this order; the first part that it fails is explained, and the later ones are left out.

sizes      odd ones, in memory between guards: numbers from two seeds in the same memory, each of them twice
strides    transposed, sliced after an offset, expanded with stride 0 (not in C++, whose arrays are contiguous)
values     huge, equal and far from zero; -infinity and NaN
empty      sizes of zero, wherever torch takes them
gradcheck  backward against finite differences in float64, alone and between two other functions (not in C++, which is float32)
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from scratchnet.checker.candidate import Candidate, guarded, in_words
from scratchnet.checker.contract import DIRECTIONS, KernelError
from scratchnet.measure import verify
from scratchnet.measure.verify import Call, Check, Rule
from scratchnet.ops import Op

RULE = Rule(times_torch=4, ulps=16, by_row=True)
STRIDED_SIZES = ((3, 2), (17, 31), (33, 127))
VALUE_SIZES = ((3, 33), (17, 129))
VALUES = {
    "numbers of +-1e4": lambda x: x.sign() * 1e4,
    "equal numbers": lambda x: x[:, :1].expand_as(x),
    "numbers around 1e4": lambda x: x + 1e4,
    "a row of -infinity": lambda x: torch.cat([x[:1] - torch.inf, x[1:]]),
    "a row of NaN": lambda x: torch.cat([x[:1], x[1:2] * torch.nan, x[2:]]),
}


@dataclass(frozen=True)
class Trial:
    """One call of the kernel: what it returned and what is right."""

    part: str
    where: str  # "2x3", "17x31 sliced", ...
    rows: int
    columns: int
    call: Call
    results: tuple[Tensor | None, ...]  # in the order of call.exact, None in the other direction
    checks: tuple[Check, ...]
    problem: str = ""  # a failure that needs no figures: it raised, wrote to its input, ...

    @property
    def ok(self) -> bool:
        return not self.problem and all(check.ok for check in self.checks)


@dataclass(frozen=True)
class Verdict:
    """The outcome for one direction of a kernel."""

    direction: str
    passed: dict[str, str]  # part -> what was tried
    trials: tuple[Trial, ...] = ()  # of the part that failed, the smallest sizes first
    problem: str = ""  # of gradcheck, which has no trials

    @property
    def ok(self) -> bool:
        return not self.problem and all(trial.ok for trial in self.trials)


def check(kernel: Candidate, direction: str = "both") -> list[Verdict]:
    """Every part of the exam in one direction, or in both as far as they are written; KernelError if none is written."""
    asked = [name for name in DIRECTIONS if direction in (name, "both")]
    written = [name for name in asked if name in kernel.prepare]
    if not written:
        raise KernelError(f"{kernel.name} has no function {kernel.contract.python(direction)}")
    with kernel.on_device():
        draw = functools.cache(functools.partial(_draw, kernel.contract.op))  # both directions get the same calls
        return [Exam(kernel, name, draw).verdict() for name in written]


def _draw(op: Op, example: str, rows: int, columns: int, layout: str = "contiguous", values: str = "", seed: int = 0) -> Call:
    op = _with_values(op, VALUES[values]) if values else op
    return Call.make(op, example, rows, columns, torch.float32, verify.LAYOUTS[layout], seed)


class Exam:
    """The exam of one direction of a kernel."""

    def __init__(self, kernel: Candidate, direction: str, draw: Callable[..., Call]):
        self.kernel, self.contract, self.direction, self.draw = kernel, kernel.contract, direction, draw

    def verdict(self) -> Verdict:
        """The parts up to the first that fails."""
        parts = {"sizes": self.sizes, "strides": self.strides, "values": self.values, "empty": self.empty}
        if self.kernel.kind == "C++":
            del parts["strides"]
        passed = {}
        for name, part in parts.items():
            trials = tuple(part())
            if not all(trial.ok for trial in trials):
                return Verdict(self.direction, passed, trials)
            passed[name] = f"{len(trials)} calls"
        problem = ""
        if self.direction == "backward":
            passed["gradcheck"], problem = self.gradcheck()
        return Verdict(self.direction, passed, problem=problem)

    def sizes(self) -> Iterator[Trial]:
        for example, (rows, columns) in self._cases(verify.SIZES):
            calls = (self.draw(example, rows, columns, seed=seed) for seed in (0, 1))
            yield from self._twice(self._where(example, rows, columns), rows, columns, *calls)

    def strides(self) -> Iterator[Trial]:
        layouts = [name for name in verify.LAYOUTS if name != "contiguous"]
        for (example, (rows, columns)), name in itertools.product(self._cases(STRIDED_SIZES), layouts):
            call = self.draw(example, rows, columns, layout=name)
            place = lambda t, layout=verify.LAYOUTS[name]: layout(t.clone())
            yield self._once(
                "strides", f"{self._where(example, rows, columns)}, {name}", rows, columns, call, _memory(call, place)
            )

    def values(self) -> Iterator[Trial]:
        for name, (example, (rows, columns)) in itertools.product(VALUES, self._cases(VALUE_SIZES)):
            call = self.draw(example, rows, columns, values=name)
            yield self._once("values", f"{self._where(example, rows, columns)}, {name}", rows, columns, call, _memory(call))

    def empty(self) -> Iterator[Trial]:
        for example, (rows, columns) in self._cases(verify.EMPTY):
            try:
                call = self.draw(example, rows, columns)
            except Exception:  # torch refuses it too
                continue
            yield self._once("empty", self._where(example, rows, columns), rows, columns, call, _memory(call))

    def gradcheck(self) -> tuple[str, str]:
        """What was tried, and the problem if there is one."""
        if self.kernel.kind == "C++":
            return "left out: it is written in float32", ""
        args, kwargs = self.contract.op.examples[self.contract.examples[0]](3, 4, torch.float64)
        values = (*args, *kwargs.values())
        floats = self.contract.learned

        def call(*leaves: Tensor) -> tuple[Tensor, ...]:
            return verify.as_tuple(_Pair.apply(self.kernel, self.contract.op, *_replaced(values, floats, leaves)))

        leaves = [values[i] for i in floats]
        composed = lambda *x: tuple(y.cos() for y in call(*map(torch.sin, x)))
        try:
            with _watched():
                if any(y.dtype != torch.float64 for y in call(*leaves)):
                    return "left out: it has no float64", ""
                torch.autograd.gradcheck(call, leaves)
                torch.autograd.gradcheck(composed, leaves)
        except GradcheckError as error:
            return "", str(error).strip()
        except Exception as error:
            return "", f"in float64: it raised {in_words(error, Path(self.kernel.name))}"
        return "alone and between sin and cos, in float64", ""

    def _cases(self, sizes: tuple) -> list[tuple[str, tuple[int, int]]]:
        """Example and size, the smallest first."""
        return [(example, size) for size in sorted(sizes, key=math.prod) for example in self.contract.examples]

    def _where(self, example: str, rows: int, columns: int) -> str:
        return f"{rows}x{columns}" + (f" ({example})" if len(self.contract.examples) > 1 else "")

    def _once(self, part: str, where: str, rows: int, columns: int, call: Call, memory: list) -> Trial:
        """Run the kernel on the call's numbers, which lie in `memory`."""
        try:
            results = self._run(call, memory)
        except Exception as error:  # whatever the reader's code raises
            problem = in_words(error, Path(self.kernel.name))
            problem = problem if isinstance(error, KernelError) else f"it raised {problem}"
            return Trial(part, where, rows, columns, call, (), (), problem)
        return Trial(part, where, rows, columns, call, results, call.judge(results, RULE))

    def _twice(self, where: str, rows: int, columns: int, first: Call, second: Call) -> Iterator[Trial]:
        """Numbers from two seeds in the same memory, each of them twice; the second time must give the same bits."""
        memory = _memory(first)
        earlier, kept = (), ()
        for call, name in ((first, where), (second, f"{where}, other numbers in the same memory")):
            for place, value in zip(memory, _values(call), strict=True):
                if isinstance(place, Tensor):
                    place.copy_(value.detach())
            trial = self._once("sizes", name, rows, columns, call, memory)
            results = trial.results  # their memory may change later: the trial keeps a copy
            trial = replace(trial, results=tuple(r if r is None else r.clone() for r in results))
            again = self._once("sizes", name, rows, columns, call, memory)
            if trial.ok and self.kernel.deterministic and not _same_bits(trial.results, again.results):
                trial = replace(trial, problem=again.problem or "two calls with the same input give different bits")
            if kept and results and not trial.ok and _same_bits(trial.results, kept):
                trial = replace(trial, problem="it returns its earlier result for new numbers")
            elif kept and trial.ok and all(map(_shared, earlier, results)):
                trial = replace(trial, problem="its first result changed when it computed the second: both share memory")
            yield trial
            earlier, kept = results, trial.results

    def _run(self, call: Call, memory: list) -> tuple[Tensor | None, ...]:
        """The kernel's results; memory it leaves unwritten shows as NaN."""
        with _watched():
            results = self.kernel.run(self.direction, *memory[0 if self.direction == "backward" else len(call.upstream) :])
        return aligned(call, self.direction, results)


def aligned(call: Call, direction: str, results: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    """The results of one direction among the outputs and gradients of a call."""
    others = (None,) * (len(call.exact) - len(results))
    return (*others, *results) if direction == "backward" else (*results, *others)


def _values(call: Call) -> tuple:
    """All that a backward kernel takes."""
    return (*call.upstream, *call.args, *call.kwargs.values())


def _memory(call: Call, place: Callable[[Tensor], Tensor] = guarded) -> list:
    """The call's values, placed where a kernel can do no harm."""
    return [place(value.detach()) if isinstance(value, Tensor) else value for value in _values(call)]


class _Pair(torch.autograd.Function):
    """The kernel's two functions as one differentiable function; where there is no forward, torch's own."""

    @staticmethod
    def forward(ctx, kernel, op, *args):
        ctx.kernel = kernel
        ctx.args = [a.detach() if isinstance(a, Tensor) else a for a in args]
        outputs = kernel.run("forward", *ctx.args) if "forward" in kernel.prepare else verify.as_tuple(op.torch(*ctx.args))
        return outputs[0] if len(outputs) == 1 else outputs

    @staticmethod
    def backward(ctx, *grads):
        gradients = ctx.kernel.run("backward", *grads, *ctx.args)
        return None, None, *_replaced([None] * len(ctx.args), ctx.kernel.contract.learned, gradients)


def _replaced(values: tuple | list, places: list[int], others: tuple) -> list:
    """The values, with others at some places."""
    new = dict(zip(places, others, strict=True))
    return [new.get(i, value) for i, value in enumerate(values)]


def _with_values(op: Op, change: Callable[[Tensor], Tensor]) -> Op:
    """The operator with other numbers in the first argument of its examples."""

    def changed(example):
        def make(rows, columns, dtype):
            (x, *args), kwargs = example(rows, columns, dtype)
            return (change(x.detach()).clone().requires_grad_(), *args), kwargs

        return make

    return replace(op, examples={name: changed(example) for name, example in op.examples.items()})


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """No warnings about infinities and NaN, and NaN in all that torch.empty returns."""
    mode = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])


def _same_bits(some: tuple, others: tuple) -> bool:
    same = lambda a, b: a is b or a.shape == b.shape and a.dtype == b.dtype and torch.equal(_bits(a), _bits(b))
    return len(some) == len(others) and all(map(same, some, others))


def _shared(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b is None or a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _bits(t: Tensor) -> Tensor:
    return t.contiguous().reshape(-1).view(torch.uint8)
