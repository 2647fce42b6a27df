"""The benchmark harness: ours and torch's own in turns, in one process, with the error beside the speed.

A call is judged before it is timed, and a wrong one is not timed. Timing goes in rounds: in each round every candidate runs
once (small calls run often enough to fill a millisecond), and the one that goes first changes. A ratio is the median of torch's
time / our time over the rounds, so that what slows the machine for a while slows both. Results are allocated and freed in every
call, as they are in a model.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import statistics
from dataclasses import dataclass, replace
from typing import Callable, NamedTuple

import torch

from scratchnet import backends
from scratchnet.functions import dispatch
from scratchnet.measure import verify
from scratchnet.measure.roof import Roof, timed
from scratchnet.ops import BACKENDS, OPS, Op

COMPUTE_BOUND = 16  # flops per byte above which FLOP/s say more than GB/s
ORACLE_ELEMENTS = 2**18  # the float64 oracle judges at most this many elements of the first argument
INTERPRETER_SIZE = (17, 33)  # Triton's interpreter is some 10,000 times slower than a kernel
FLUSH = 2**28  # bytes that are written to empty the caches: more than any device's last cache
COMPILED = "torch.compile"
KERNEL = "the kernel"  # a reader's, which `scratchnet check` times


@dataclass(frozen=True)
class Settings:
    """What to time beside what, and for how long."""

    backends: tuple[str, ...]
    dtype: torch.dtype
    seconds: float  # per direction of a call, all candidates together
    roof: Roof
    device: str = "cpu"
    compile: bool = False  # torch.compile of torch's own beside torch's own
    cold: bool = False  # also with caches that hold none of the call's data


class Spread(NamedTuple):
    """A median between its quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of at least two measurements."""
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    @classmethod
    def ratio(cls, theirs: list[float], ours: list[float]) -> Spread:
        """Their time / ours, round by round: above 1 we are faster."""
        return cls.of([a / b for a, b in zip(theirs, ours, strict=True)])

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True)
class Timing:
    """One direction of a call, with warm or cold caches."""

    direction: str  # "forward" or "forward+backward"
    cache: str  # "warm": the call before was the same; "cold": the caches were emptied
    seconds: Spread
    torch_seconds: Spread
    ratio: Spread  # torch's own / ours
    compiled_ratio: Spread | None  # torch.compile of torch's own / ours; None: not asked for
    bytes: int  # the least that the call has to move
    flops: int
    roof: Roof

    @property
    def compute_bound(self) -> bool:
        """Whether arithmetic, not memory, sets the pace."""
        return self.intensity > COMPUTE_BOUND

    @property
    def gigabytes(self) -> float:
        """GB moved per second."""
        return self.bytes / self.seconds.median / 1e9

    @property
    def gigaflops(self) -> float:
        """GFLOP per second."""
        return self.flops / self.seconds.median / 1e9

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: FLOP for every byte that has to move."""
        return self.flops / self.bytes

    @property
    def share(self) -> float:
        """The fraction of its roof that the call reaches; with memory as the limit above 1 if the data came from a cache."""
        if self.compute_bound:
            return self.flops / self.seconds.median / self.roof.arithmetic
        return self.bytes / self.seconds.median / self.roof.bandwidth

    @property
    def rate(self) -> str:
        """What the call computes or moves per second."""
        return f"{self.gigaflops:.0f} GFLOP/s" if self.compute_bound else f"{self.gigabytes:.1f} GB/s"

    @property
    def pace(self) -> str:
        """The rate, and the fraction of the roof."""
        return f"{self.rate} ({self.share:.0%})"


@dataclass(frozen=True)
class Measurement:
    """One call on one backend: how right it is and, if it is right and runs for real, how fast."""

    op: str
    example: str
    rows: int
    columns: int
    dtype: str
    device: str
    backend: str
    default: str  # the backend that runs this call when none is named
    check: verify.Check  # the worst output or gradient, against the oracle
    oracle_rows: int  # how many rows the oracle was given
    timings: tuple[Timing, ...]
    untimed: str = ""  # why there are none

    @property
    def primitive(self) -> str:
        """The primitive that the operator belongs to."""
        return OPS[self.op].primitive

    def default_ratio(self, timing: Timing) -> float | None:
        """Torch's time / that of the default: 1 where torch's own runs; None if another backend was measured."""
        if self.default == backends.TORCH:
            return 1.0
        return timing.ratio.median if self.backend == self.default else None

    @property
    def errors(self) -> str:
        """The largest difference from the oracle, ours / torch's, and how many rows the oracle judged if not all."""
        judged = "" if self.oracle_rows == self.rows else f" in {self.oracle_rows} rows"
        return f"{self.check.error:.0e} / {self.check.torch_error:.0e}{judged}"


def case(op: Op, example: str, rows: int, columns: int, settings: Settings) -> list[Measurement]:
    """Judge one example call on every backend that has kernels for it; time the right ones beside torch's own."""
    names = [name for name in settings.backends if op.rungs(backends.parse(name)[0])]
    judged = {name: _judge(op, example, rows, columns, name, settings) for name in names}
    call = Call.drawn(op, example, rows, columns, settings.dtype, settings.device)
    default = dispatch.default(op, call.args, call.kwargs)
    timings = _times(call, [name for name, result in judged.items() if not result.untimed], settings)
    return [replace(result, default=default, timings=tuple(timings.get(name, ()))) for name, result in judged.items()]


def _judge(op: Op, example: str, rows: int, columns: int, name: str, settings: Settings) -> Measurement:
    """The call on one backend against the float64 oracle: on a GPU at its full size too, where 32-bit offsets would show."""
    interpreted = settings.device == "cpu" and name.startswith("triton")
    if interpreted:
        rows, columns = INTERPRETER_SIZE
    judged_rows = max(1, min(rows, ORACLE_ELEMENTS // max(columns, 1)))
    with torch.device(settings.device):
        check = verify.compare(op, example, judged_rows, columns, settings.dtype, name).worst
        if settings.device != "cpu" and check.ok:
            check = verify.compare(op, example, rows, columns, settings.dtype, name, oracle="torch").worst
            judged_rows = rows
    untimed = "WRONG" if not check.ok else "interpreter, not a speed" if interpreted else ""
    dtype = str(settings.dtype).removeprefix("torch.")
    return Measurement(op.name, example, rows, columns, dtype, settings.device, name, "", check, judged_rows, (), untimed)


@dataclass(frozen=True)
class Call:
    """One of an operator's example calls, and how a function that takes its arguments is called in each direction."""

    op: Op
    args: tuple
    kwargs: dict
    inputs: list[torch.Tensor]  # that want a gradient
    upstream: list[torch.Tensor]  # incoming gradients

    @classmethod
    def drawn(cls, op: Op, example: str, rows: int, columns: int, dtype: torch.dtype, device: str) -> Call:
        """The same numbers each time."""
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(0)
            make = op.examples[example] if example in op.examples else op.forward_only[example]
            args, kwargs = make(rows, columns, dtype)
            with torch.no_grad():
                upstream = [torch.randn_like(y) for y in verify.as_tuple(op.torch(*args, **kwargs))]
        return cls(op, args, kwargs, verify.differentiable(args, kwargs), upstream)

    def forward(self, function: Callable) -> Callable:
        return torch.no_grad()(lambda: function(*self.args, **self.kwargs))

    def both(self, function: Callable) -> Callable:
        outputs = lambda: verify.as_tuple(function(*self.args, **self.kwargs))
        return lambda: torch.autograd.grad(outputs(), self.inputs, self.upstream)


def _times(call: Call, names: list[str], settings: Settings) -> dict[str, list[Timing]]:
    """Backend -> its timings."""
    if not names:
        return {}
    cost = call.op.cost(*call.args, **call.kwargs)
    candidates = {None: call.op.baseline, **dict.fromkeys(names, verify.function(call.op))}
    if settings.compile:
        torch._dynamo.reset()  # otherwise the earlier sizes would make this one dynamic
        candidates[COMPILED] = torch.compile(call.op.baseline)

    timings = {name: [] for name in names}
    for direction, way, moved, flops in (
        ("forward", call.forward, cost.forward_bytes, cost.forward_flops),
        ("forward+backward", call.both, cost.forward_bytes + cost.backward_bytes, cost.forward_flops + cost.backward_flops),
    ):
        for cache in ("warm", "cold") if settings.cold else ("warm",):
            calls = {name: way(function) for name, function in candidates.items()}
            times = interleave(calls, settings.seconds, settings.device, cache == "cold")
            for name in names:
                theirs, ours, compiled = times[None], times[name], times.get(COMPILED)
                ratios = Spread.ratio(theirs, ours), compiled and Spread.ratio(compiled, ours)
                spreads = Spread.of(ours), Spread.of(theirs), *ratios
                timings[name].append(Timing(direction, cache, *spreads, moved, flops, settings.roof))
    return timings


def interleave(
    calls: dict[str | None, Callable], seconds: float, device: str, cold: bool, least: int = 3
) -> dict[str | None, list[float]]:
    """Each call's name -> seconds per call, round by round, of which there are `least` or more.

    The name of a backend selects it; any other call runs as it is.
    """
    named = {name for name in calls if name and name.split(":")[0] in BACKENDS}
    contexts = {name: backends.backend(name) if name in named else contextlib.nullcontext() for name in calls}

    def once(name: str | None, repeat: int) -> float:
        if cold:
            _flush_buffer(device).zero_()
        with contexts[name]:
            return timed(calls[name], repeat, device)

    warm = {}
    for name in calls:
        warm[name] = once(name, 1)
        if warm[name] < 0.01 or name == COMPILED:  # the very first call, which allocates, loads or compiles, does not count
            warm[name] = once(name, 1)
    repeat = {name: 1 if cold else math.ceil(1e-3 / first) for name, first in warm.items()}
    rounds = sum(warm[name] * repeat[name] for name in calls)
    times = {name: [] for name in calls}
    order = list(calls)
    gc.collect()
    gc.disable()
    try:
        for _ in range(max(least, min(50, int(seconds / rounds)))):
            for name in order:
                times[name].append(once(name, repeat[name]))
            order = order[1:] + order[:1]
    finally:
        gc.enable()
    return times


@functools.cache
def _flush_buffer(device: str) -> torch.Tensor:
    return torch.empty(FLUSH, dtype=torch.uint8, device=device)
