"""What a kernel has to pass, in this order; the first part that it fails is explained, and the later ones are left out.

sizes      whole blocks, one off, and ten drawn from a seed: numbers from two seeds in turns in the same memory
options    the operator's other examples, as far as the kernel has arguments for them (not in C++)
strides    views of all kinds (not in C++, whose arrays are contiguous)
values     tiny, huge, equal and far from zero; infinity, NaN, zeros, the largest number
empty      sizes of zero, wherever torch takes them
range      an index out of range must raise (not in C++ and Triton)
dtypes     float64, in torch also 16 bits, if the kernel takes them (not in C++)
repeats    many calls of one input: the same bits, and no memory or threads left behind

At the end of each part every result of it is looked at again.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, replace
from typing import Iterator

import torch
from torch import Tensor

from scratchnet.checker import borrowed, questions, sixteen
from scratchnet.checker.candidate import Candidate
from scratchnet.checker.child import Ended
from scratchnet.checker.contract import DIRECTIONS, KernelError
from scratchnet.checker.questions import Question, rule
from scratchnet.measure.verify import Call, Check

REPEATS = 30  # calls of a small input
MANY = 200  # calls of a larger one, as far as PATIENCE allows
PATIENCE = 0.3  # seconds for those
ROUNDS = 4  # of those, in all of which a leak must show
ENOUGH = 40  # failures of a part, after which no more is asked
STALE = "it returns its earlier result for new numbers"
FICKLE = "wrong once and right when asked again, or the other way round: does it count its calls, or read what nobody wrote?"
CHANGED = "its result changed after it was returned: it shares memory with a later one, or something goes on writing to it"
LATE = "its result was not ready when it returned, and right later: something goes on after the return"
SETTLE = 0.1  # seconds in which what goes on after a wrong result may end


@dataclass(frozen=True)
class Trial:
    """One call of the kernel: what it returned and what is right."""

    part: str
    where: str  # "2x3", "17x31, sliced", ...
    rows: int
    columns: int
    call: Call
    results: tuple[Tensor | None, ...] = ()  # in the order of call.names, None in the other direction
    checks: tuple[Check, ...] = ()
    problem: str = ""  # a failure that needs no figures: it raised, wrote to its input, ...
    number: int = -1  # of the results that the child keeps

    @property
    def ok(self) -> bool:
        return not self.problem and all(check.ok for check in self.checks)


@dataclass(frozen=True)
class Verdict:
    """The outcome for one direction of a kernel."""

    direction: str
    passed: dict[str, str]  # part -> what was tried
    trials: tuple[Trial, ...] = ()  # of the part that failed, the smallest sizes first
    left_out: tuple[str, ...] = ()  # what was not judged
    borrowed: str = ""  # whose kernel it calls for the operator itself: right, but not one of the author's

    @property
    def ok(self) -> bool:
        return all(trial.ok for trial in self.trials)


def check(kernel: Candidate, direction: str = "both", seed: int = 0) -> list[Verdict]:
    """Every part of the exam in one direction, or in both as far as they are written; KernelError if none is written."""
    written = [name for name in DIRECTIONS if direction in (name, "both") and name in kernel.directions]
    if not written:
        asked = "forward" if direction == "both" else direction
        raise KernelError(f"{kernel.name} has no function {kernel.contract.python(asked)}")
    with kernel.on_device():
        return [Exam(kernel, name, seed).verdict() for name in written]


class Exam:
    """The exam of one direction of a kernel."""

    def __init__(self, kernel: Candidate, direction: str, seed: int):
        self.kernel, self.contract, self.direction, self.seed = kernel, kernel.contract, direction, seed
        self.left_out = questions.left_out(kernel.kind)

    def verdict(self) -> Verdict:
        """The parts up to the first that fails."""
        parts = ("sizes", "options", "strides", "values", "empty", "range", "dtypes", "repeats")
        passed = {}
        for name in parts:
            self.kernel.forget()
            trials = self._again(list(self._until_it_ends(getattr(self, f"_{name}")())))
            if not all(trial.ok for trial in trials):
                return Verdict(self.direction, passed, tuple(trials))
            if trials:
                passed[name] = f"{len(trials)} calls"
        self.kernel.forget()
        return Verdict(self.direction, passed, (), tuple(self.left_out), borrowed.whose(self.kernel, self.direction))

    def _sizes(self) -> Iterator[Trial]:
        for question in questions.sizes(self.kernel, self.seed):
            asked = {question.where: question}
            asked[f"{question.where}, other numbers in the same memory"] = replace(question, seed=1)
            first: dict[str, Trial] = {}
            for where, one in asked.items():
                trial = replace(self._ask(one), where=where)
                if trial.results and not trial.ok and any(t.ok and same_bits(trial.results, t.results) for t in first.values()):
                    trial = replace(trial, problem=STALE)
                elif trial.results and not (trial.ok or trial.problem) and self._ask(one, keep=False).ok:
                    trial = replace(trial, problem=FICKLE)
                first[where] = trial
                yield trial
            if all(trial.ok for trial in first.values()):
                yield from (self._same(one, f"{where}, again", first[where]) for where, one in asked.items())

    def _same(self, question: Question, where: str, earlier: Trial, keep: bool = True) -> Trial:
        """A call that was made before: it must give the same bits."""
        trial = replace(self._ask(question, keep, earlier), where=where)
        if earlier.ok and trial.results and not (trial.ok or trial.problem):
            return replace(trial, problem=FICKLE)
        if trial.ok and self.kernel.deterministic and not same_bits(trial.results, earlier.results):
            return replace(trial, problem="two calls with the same input give different bits")
        return trial

    def _options(self) -> Iterator[Trial]:
        yield from self._those_it_takes(questions.options(self.kernel))

    def _strides(self) -> Iterator[Trial]:
        yield from map(self._ask, questions.strides(self.kernel))

    def _values(self) -> Iterator[Trial]:
        for question in questions.values(self.kernel):
            trial = self._ask(question)
            if questions.fair(trial.call, self.direction):  # which is found out when there is a reply
                yield trial

    def _empty(self) -> Iterator[Trial]:
        yield from map(self._ask, questions.empty(self.kernel))

    def _range(self) -> Iterator[Trial]:
        for what, call in questions.out_of_range(self.kernel):
            trial = Trial("range", f"17x31, {what}", 17, 31, call)
            try:
                self.kernel.call(self.direction, call, keep=False)
            except Ended:
                raise
            except KernelError:
                yield trial
            else:
                yield replace(trial, problem="it returned a result; torch raises an exception, and so must this")

    def _dtypes(self) -> Iterator[Trial]:
        for question in questions.dtypes(self.kernel):
            name = str(question.dtype).removeprefix("torch.")
            if name in self.left_out:
                continue
            trial = self._ask(question)
            if not questions.fair(trial.call, self.direction):
                continue
            if trial.problem or any(r is not None and r.dtype != question.dtype for r in trial.results):
                self.left_out.append(name)  # it does not take them
            elif trial.ok and question.values == "" and sixteen.uneven(trial.call, trial.results):
                yield replace(trial, problem=sixteen.UNEVEN)
            else:
                yield trial

    def _repeats(self) -> Iterator[Trial]:
        small, large = (Question("repeats", self.contract.plain, *size) for size in ((5, 7), (64, 257)))
        first = self._ask(small, keep=False)
        yield first
        for count in range(2, REPEATS + 1):
            yield self._same(small, f"{small.where}, call {count} of the same", first, keep=False)
        yield from self._left_behind(large)

    def _left_behind(self, question: Question) -> Iterator[Trial]:
        """Many calls, again and again: what a process needs once does not grow each time, what is left behind does."""
        trial = self.asked = self._trial(question)
        call, count, problem = trial.call, 0, ""
        most = max(t.numel() for t in (*call.args, *call.upstream) if isinstance(t, Tensor)) * 4  # bytes of an array
        for _ in range(ROUNDS):
            before, end, calls = self.kernel.size(), time.monotonic() + PATIENCE, 0
            while calls < REPEATS // 2 or calls < MANY and time.monotonic() < end:
                answer = self.kernel.call(self.direction, call, keep=False)
                calls += 1
            threads, resident = (now - then for now, then in zip(self.kernel.size(), before, strict=True))
            count, problem = count + calls, ""
            if threads >= calls // 2:
                problem = f"{threads} threads more after {calls} calls: it starts threads that do not end"
            elif resident > calls * most // 2:
                problem = f"it leaks memory: {resident / 1e6:.3g} MB more after {calls} calls"
            if not problem and count >= REPEATS:
                break
        results = self.contract.aligned(call, self.direction, answer.results)
        where = f"{question.where}, call {count}"
        yield replace(trial, where=where, results=results, checks=call.judge(results, rule(call.dtype)), problem=problem)

    def _those_it_takes(self, asked: Iterator[Question]) -> Iterator[Trial]:
        for question in asked:
            call = question.call(self.contract.op)
            outputs = len(call.upstream) == len(self.contract.incoming["backward"])
            refused = self.kernel.refuses(call) if outputs else [question.example]
            if not refused:
                yield self._ask(question)
            self.left_out += [name for name in refused if name not in self.left_out]

    def _until_it_ends(self, trials: Iterator[Trial]) -> Iterator[Trial]:
        """The trials up to one that ends the process, or up to so many failures that they tell enough."""
        failed = 0
        try:
            for trial in trials:
                yield trial
                failed += not trial.ok
                if failed == ENOUGH:
                    return
        except Ended as end:
            slow = end.signal == signal.SIGALRM and self.asked.rows * self.asked.columns > questions.MOST**2
            if slow:  # it may be right, and as slow as loops in Python are
                self.left_out.append(f"{self.asked.where}, where {end}")
            else:
                yield replace(self.asked, problem=str(end))

    def _again(self, trials: list[Trial]) -> list[Trial]:
        """The trials of a part after a second look at all of their results."""
        if not self.kernel.alive:
            return trials
        if not all(trial.ok for trial in trials):
            time.sleep(SETTLE)
        return [self._later(trial) if trial.number >= 0 else trial for trial in trials]

    def _later(self, trial: Trial) -> Trial:
        results = self.contract.aligned(trial.call, self.direction, self.kernel.again(self.direction, trial.number))
        if same_bits(results, trial.results) or trial.problem:
            return trial
        late = not trial.ok and all(check.ok for check in trial.call.judge(results, rule(trial.call.dtype)))
        return replace(trial, problem=LATE if late else CHANGED)

    def _trial(self, question: Question) -> Trial:
        call = question.call(self.contract.op)
        return Trial(question.part, question.where, question.rows, question.columns, call)

    def _ask(self, question: Question, keep: bool = True, earlier: Trial | None = None) -> Trial:
        """Run the kernel on a question's numbers, placed as it says; bits that were judged are not judged again."""
        trial = self.asked = self._trial(question)
        try:
            answer = self.kernel.call(self.direction, trial.call, question.place, keep)
        except Ended:
            raise
        except KernelError as error:
            return replace(trial, problem=str(error))
        results = self.contract.aligned(trial.call, self.direction, answer.results)
        if earlier and same_bits(results, earlier.results):
            checks = earlier.checks
        else:
            checks = () if answer.problem else trial.call.judge(results, rule(trial.call.dtype))
        return replace(trial, results=results, checks=checks, problem=answer.problem, number=answer.number)


def same_bits(some: tuple, others: tuple) -> bool:
    """Whether two lists of results are the same bit for bit."""
    same = lambda a, b: (
        a is b or (None not in (a, b) and a.shape == b.shape and a.dtype == b.dtype and torch.equal(_bits(a), _bits(b)))
    )
    return len(some) == len(others) and all(map(same, some, others))


def _bits(t: Tensor) -> Tensor:
    return t.contiguous().reshape(-1).view(torch.uint8)
