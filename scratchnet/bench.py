"""The benchmark harness: ours and torch's own in turns, in one process, with the error beside the speed.

A call is timed in rounds; in each round every candidate runs once (small calls: often enough for a millisecond) and the one
that goes first changes. A ratio is the median of torch's time / our time over the rounds, so that what slows the machine for
a while slows both. Results are allocated and freed in every call, as they are in a model.
"""

from __future__ import annotations

import contextlib
import gc
import math
import statistics
import time
from dataclasses import dataclass
from typing import Callable, Iterator, NamedTuple

import torch

from scratchnet import backends, verify
from scratchnet.registry import Op

COMPUTE_BOUND = 16  # flops a byte from which FLOP/s say more than GB/s
ORACLE_ELEMENTS = 2**18  # the float64 oracle judges at most so many elements of the first argument


class Spread(NamedTuple):
    """A median between its quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of some measurements, two at the least."""
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))


@dataclass(frozen=True)
class Row:
    """One direction of one call on one backend."""

    op: str
    example: str
    rows: int
    columns: int
    dtype: str
    backend: str
    default: str  # the backend that runs when none is named
    direction: str  # "forward" or "forward+backward"
    seconds: Spread
    torch_seconds: Spread
    ratio: Spread  # torch / ours: above 1 we are faster
    bytes: int  # the least that the call has to move
    flops: int
    bandwidth: float  # bytes a second of memory, measured in the same run
    check: verify.Check  # against the oracle, outputs and gradients, the worst
    oracle_rows: int  # how many rows the oracle was given

    @property
    def compute_bound(self) -> bool:
        """Whether arithmetic, not memory, sets the pace."""
        return self.flops > COMPUTE_BOUND * self.bytes

    @property
    def gigabytes(self) -> float:
        """GB moved a second."""
        return self.bytes / self.seconds.median / 1e9

    @property
    def bandwidth_share(self) -> float:
        """Of the measured bandwidth; above 1 the data came from a cache."""
        return self.bytes / self.seconds.median / self.bandwidth

    @property
    def gigaflops(self) -> float:
        """GFLOP a second."""
        return self.flops / self.seconds.median / 1e9


def bandwidth(mebibytes: int = 128) -> float:
    """Bytes a second of STREAM's add, c = a + b, by torch on its threads: arrays larger than the caches, memory warm."""
    a, b, c = (torch.ones(mebibytes * 2**18) for _ in range(3))
    with torch.no_grad():
        best = min(_timed(lambda: torch.add(a, b, out=c), 1) for _ in range(8))
    return 3 * a.nbytes / best


def case(
    op: Op, example: str, rows: int, columns: int, dtype: torch.dtype, names: list[str], seconds: float, memory: float
) -> Iterator[Row]:
    """Time one example call on the named backends beside torch's own, about `seconds` a direction; `memory`: its bandwidth."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        args, kwargs = op.examples[example](rows, columns, dtype)
        inputs = verify.differentiable(args, kwargs)
        with torch.no_grad():
            upstream = [torch.randn_like(y) for y in verify.as_tuple(op.torch(*args, **kwargs))]
    default = backends.fastest(op)
    cost = op.cost(*args, **kwargs)
    oracle_rows = max(1, min(rows, ORACLE_ELEMENTS // max(columns, 1)))
    checks = {name: verify.compare(op, example, oracle_rows, columns, dtype, name).worst for name in names}

    def both(function: Callable) -> Callable:
        return lambda: torch.autograd.grad(verify.as_tuple(function(*args, **kwargs)), inputs, upstream)

    def forward(function: Callable) -> Callable:
        return torch.no_grad()(lambda: function(*args, **kwargs))

    for direction, call, moved, flops in (
        ("forward", forward, cost.forward_bytes, cost.forward_flops),
        ("forward+backward", both, cost.forward_bytes + cost.backward_bytes, cost.forward_flops + cost.backward_flops),
    ):
        own = verify.function(op)
        times = _interleave({None: call(op.torch), **dict.fromkeys(names, call(own))}, seconds)
        for name in names:
            ratio = Spread.of([theirs / ours for theirs, ours in zip(times[None], times[name], strict=True)])
            yield Row(
                op.name, example, rows, columns, str(dtype).removeprefix("torch."), name, default, direction,
                Spread.of(times[name]), Spread.of(times[None]), ratio, moved, flops, memory, checks[name], oracle_rows,
            )  # fmt: skip


def _interleave(calls: dict[str | None, Callable], seconds: float) -> dict[str | None, list[float]]:
    """Backend (None: torch's own) -> seconds a call, round by round."""
    contexts = {name: contextlib.nullcontext() if name is None else backends.backend(name) for name in calls}

    def once(name: str | None, repeat: int) -> float:
        with contexts[name]:
            return _timed(calls[name], repeat)

    warm = {}
    for name in calls:
        warm[name] = once(name, 1)
        if warm[name] < 0.01:  # the first call of all, which allocates and loads, must not decide how often to repeat
            warm[name] = once(name, 1)
    repeat = {name: math.ceil(1e-3 / first) for name, first in warm.items()}
    rounds = sum(warm[name] * repeat[name] for name in calls)
    times = {name: [] for name in calls}
    order = list(calls)
    gc.collect()
    gc.disable()
    try:
        for _ in range(max(3, min(50, int(seconds / rounds)))):
            for name in order:
                times[name].append(once(name, repeat[name]))
            order = order[1:] + order[:1]
    finally:
        gc.enable()
    return times


def _timed(call: Callable, repeat: int) -> float:
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat
