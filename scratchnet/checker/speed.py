"""How fast a right kernel is beside torch and our rungs; faster than this machine can be is a failure, not a record.

Two inputs are timed in turns, in the kernel's own process by this one's clock; which results are judged is drawn afterwards.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from dataclasses import dataclass
from typing import Callable

import torch

from scratchnet import backends
from scratchnet.checker import questions
from scratchnet.checker.candidate import Candidate
from scratchnet.checker.contract import KernelError
from scratchnet.checker.exam import same_bits
from scratchnet.checker.questions import RULE, Question
from scratchnet.measure import verify
from scratchnet.measure.bench import KERNEL, Spread, Timing, interleave
from scratchnet.measure.roof import Roof
from scratchnet.measure.verify import Call
from scratchnet.ops import Op

MOST = 2**22  # elements of the first argument
PATIENCE = 0.1  # seconds per call, beyond which no larger size is tried
SECONDS = 1.0  # of measurement, all candidates together
MARGIN = 1.5  # the factor by which a measurement may exceed the roof, which was measured too
SAMPLES = 3  # results that are judged while the kernel is timed
AFTER = 200  # calls of a small input after it was timed


@dataclass(frozen=True)
class Speed:
    """One direction of a kernel at one size."""

    rows: int
    columns: int
    timing: Timing
    ratios: dict[str, Spread]  # "torch" or one of our rungs -> its time / the kernel's: above 1 the kernel is faster

    def __str__(self) -> str:
        beside = ", ".join(f"{ratio.median:.3g} times as fast as {name}" for name, ratio in self.ratios.items())
        ms = self.timing.seconds.median * 1e3
        share = f"{self.timing.rate}, {self.timing.share:.0%} of this machine's roof"
        return f"{self.rows}x{self.columns}: {ms:.3g} ms, {share}; {beside}"


def measure(kernel: Candidate, direction: str) -> Speed:
    """Time a direction at the largest size that is not too slow; KernelError if it is wrong there, or faster than possible."""
    op, example = kernel.contract.op, kernel.contract.plain
    with kernel.on_device():
        rows, columns = _size(kernel, op, example, direction)
        calls = [Call.make(op, example, rows, columns, torch.float32, seed=seed, oracle="torch") for seed in (2, 3)]
        for slot, call in enumerate(calls):
            kernel.prepare(slot, direction, call)
        timed = _Timed(kernel, direction)
        for slot in (0, 1):
            timed.go(slot)
            _judge(kernel, calls[slot], direction, timed.results(), f"right at small sizes, wrong at {rows}x{columns}")
        speed = _time(timed, calls[0], direction, kernel.device, rows, columns)
        for slot, results in timed.samples:
            _judge(kernel, calls[slot], direction, results, f"right before, wrong while it was timed at {rows}x{columns}")
        timed.go(0)
        _judge(kernel, calls[0], direction, timed.results(), f"different results after it was timed at {rows}x{columns}")
        other = Call.make(questions.inside_out(op), example, rows, columns, torch.float32, seed=2, oracle="torch")
        kernel.prepare(0, direction, other)
        timed.go(0)
        _judge(
            kernel,
            other,
            direction,
            timed.results(),
            f"wrong at {rows}x{columns} for new numbers in the memory of those that were timed: is a result remembered?",
        )
        _many(kernel, direction)
        return speed


class _Timed:
    """The kernel's calls while it is timed: two inputs in turns, and now and then the results of the last call."""

    def __init__(self, kernel: Candidate, direction: str):
        self.kernel, self.direction = kernel, direction
        self.turns, self.samples, self.draw = itertools.count(), [], random.Random()

    def __call__(self) -> None:
        slot = next(self.turns) % 2
        self.go(slot)
        if len(self.samples) < SAMPLES and self.draw.random() < 0.2:  # a median does not notice
            self.samples.append((slot, self.results()))

    def go(self, *slots: int) -> None:
        self.kernel.go(slots)

    def results(self) -> tuple:
        """Those of the last call."""
        return self.kernel.again(self.direction)

    def overhead(self) -> float:
        """Seconds that asking for nothing takes."""
        return statistics.median(seconds(self.go) for _ in range(21))


def seconds(call: Callable) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _judge(kernel: Candidate, call: Call, direction: str, results: tuple, problem: str) -> None:
    for check in call.judge(kernel.contract.aligned(call, direction, results), RULE):
        if not check.ok:
            raise KernelError(f"{problem}: {check}")


def _many(kernel: Candidate, direction: str) -> None:
    """A small input once more, many times."""
    call = Question("after", kernel.contract.plain, 17, 31).call(kernel.contract.op)
    first = kernel.call(direction, call, keep=False).results
    for count in range(AFTER):
        results = kernel.call(direction, call, keep=False).results
        if not count or not (kernel.deterministic and same_bits(results, first)):
            _judge(kernel, call, direction, results, f"wrong in call {count + 2} of one small input, after it was timed")


def _size(kernel: Candidate, op: Op, example: str, direction: str) -> tuple[int, int]:
    """The benchmark's columns, and as many rows as PATIENCE allows."""
    most, columns = op.sizes[0]
    sizes = [rows for rows in (most >> k for k in range(most.bit_length() - 1, -1, -1)) if rows * columns <= MOST]
    for rows in sizes:
        call = Call.make(op, example, rows, columns, torch.float32, oracle="torch")
        kernel.prepare(0, direction, call)
        if seconds(lambda: kernel.go([0])) > PATIENCE:
            break
    return rows, columns


def _time(run: _Timed, call: Call, direction: str, device: str, rows: int, columns: int) -> Speed:
    """The kernel, torch and our rungs in turns."""
    op = call.op
    cost = op.cost(*call.args, **call.kwargs)
    moved, flops = getattr(cost, f"{direction}_bytes"), getattr(cost, f"{direction}_flops")
    calls = {KERNEL: run, None: _ours(op.baseline, call, direction)}
    for name in backends.runnable(op, device):
        if name.startswith("cpp" if device == "cpu" else "triton"):
            with backends.backend(name):
                calls[name] = _ours(verify.function(op), call, direction)
    times = interleave(calls, SECONDS, device, cold=False)
    overhead = run.overhead()
    mine, theirs = [max(taken - overhead, 1e-9) for taken in times[KERNEL]], times[None]
    ratios = {name or "torch": Spread.ratio(other, mine) for name, other in times.items() if name != KERNEL}
    roof = Roof.measure(device, torch.float32, moved)
    timing = Timing(direction, "warm", Spread.of(mine), Spread.of(theirs), ratios["torch"], None, moved, flops, roof)
    least = max(moved / roof.bandwidth, flops / roof.arithmetic) / MARGIN
    if timing.seconds.median < least:
        raise KernelError(
            f"impossible speed: {rows}x{columns} in {timing.seconds.median * 1e6:.3g} us. This machine needs "
            f"{least * MARGIN * 1e6:.3g} us to move its {moved / 1e6:.3g} MB or for its {flops / 1e6:.3g} MFLOP: "
            "the work is not done in every call (is a result remembered?)"
        )
    return Speed(rows, columns, timing, ratios)


def _ours(function: Callable, call: Call, direction: str) -> Callable:
    """A call of a user-level function, or of its backward alone."""
    if direction == "forward":
        return torch.no_grad()(lambda: function(*call.args, **call.kwargs))
    inputs = verify.differentiable(call.args, call.kwargs)
    outputs = verify.as_tuple(function(*call.args, **call.kwargs))
    return lambda: torch.autograd.grad(outputs, inputs, call.upstream, retain_graph=True)
