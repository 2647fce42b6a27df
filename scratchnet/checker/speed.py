"""How fast a right kernel is beside torch and our rungs; faster than this machine can be is a failure, not a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import torch

from scratchnet import backends
from scratchnet.checker.candidate import Candidate
from scratchnet.checker.contract import KernelError
from scratchnet.checker.exam import RULE, aligned
from scratchnet.measure import verify
from scratchnet.measure.bench import KERNEL, Spread, Timing, interleave
from scratchnet.measure.roof import Roof, timed
from scratchnet.measure.verify import Call
from scratchnet.ops import Op

MOST = 2**23  # elements of the first argument
PATIENCE = 0.1  # seconds per call, beyond which no larger size is tried
SECONDS = 1.0  # of measurement, all candidates together
MARGIN = 1.5  # the factor by which a measurement may exceed the roof, which was measured too


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
    op, example = kernel.contract.op, kernel.contract.examples[0]
    with kernel.on_device():
        rows, columns = _size(kernel, op, example, direction)
        call = Call.make(op, example, rows, columns, torch.float32, seed=2, oracle="torch")
        arguments = (*call.args, *call.kwargs.values())
        run = kernel.prepare[direction](*(call.upstream if direction == "backward" else ()), *arguments)
        _judge(call, direction, run(), f"right at small sizes, wrong at {rows}x{columns}")
        speed = _time(run, call, direction, kernel.device, rows, columns)
        _judge(call, direction, run(), f"different results after it was timed at {rows}x{columns}")
        return speed


def _judge(call: Call, direction: str, results: tuple, problem: str) -> None:
    for check in call.judge(aligned(call, direction, results), RULE):
        if not check.ok:
            raise KernelError(f"{problem}: {check}")


def _size(kernel: Candidate, op: Op, example: str, direction: str) -> tuple[int, int]:
    """The benchmark's columns, and as many rows as PATIENCE allows."""
    most, columns = op.sizes[0]
    sizes = [rows for rows in (most >> k for k in range(most.bit_length() - 1, -1, -1)) if rows * columns <= MOST]
    for rows in sizes:
        args, kwargs = op.examples[example](rows, columns, torch.float32)
        arguments = (*args, *kwargs.values())
        if direction == "backward":
            arguments = (*map(torch.ones_like, verify.as_tuple(op.torch(*args, **kwargs))), *arguments)
        if timed(kernel.prepare[direction](*arguments), 1, kernel.device) > PATIENCE:
            break
    return rows, columns


def _time(run: Callable, call: Call, direction: str, device: str, rows: int, columns: int) -> Speed:
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
    mine, theirs = times[KERNEL], times[None]
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
