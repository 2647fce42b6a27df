"""Where ours is faster than torch's own on this machine: the figures of a profile.

Each point is one example call at one size. It is judged, then timed beside torch's own in both directions, on one thread and on
all of them. What is clear after one round is not timed longer.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import itertools
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator

import torch

from scratchnet import profile
from scratchnet.backends import backend
from scratchnet.measure import machine, verify
from scratchnet.measure.bench import Call, interleave
from scratchnet.ops import Op
from scratchnet.profile import Figure, Key, Profile

DTYPES = (torch.float32, torch.float64, torch.bfloat16)  # torch's float16 products are many times slower than ours
SMALLEST, LARGEST, LARGEST_QUICK = 2**8, 2**22, 2**18  # rows * columns of the grid of sizes
LARGEST_CALL = 2**26  # elements of the first floating-point argument: a call with more takes seconds
SECONDS, QUICK = 0.006, 0.002  # per direction of a call, both sides together
CLEAR, ODD = 1.33, 8.0  # a ratio so far from 1, but not farther, needs no second look, which takes four times as long
LARGE = 2**18  # rows * columns from which on calls take long: of the grid, only the first example of a variant is measured
SETTLED, NEAR = 2.0, 16  # a lead in both directions that sizes up to so many times larger do not turn into a loss
LAYERS = 64  # that one row meets one after the other, as in a model: large weights are in no cache when their turn comes
JUDGED = 2**9  # rows * columns up to which the oracle judges; at larger sizes the result must agree with torch's


@dataclass(frozen=True)
class Point:
    """One example call to measure. alone: on all threads only."""

    op: Op
    example: str
    variant: str
    dtype: torch.dtype
    rows: int
    columns: int
    alone: bool = False


@dataclass(frozen=True)
class Result:
    """What was measured at a point, by number of threads, and what was wrong with the result; "" if nothing."""

    point: Point
    figures: dict[str, Figure]
    wrong: str = ""


def points(ops: Iterable[Op], quick: bool) -> list[Point]:
    """Rising powers of 4 and the benchmark's sizes in float32; powers of 16 in the others; powers of 32 if quick.

    Every example of a variant below LARGE in float32, elsewhere the first one.
    """
    found = {}
    for op in ops:
        if op.timed:  # torch's own gives other numbers, so that it never runs in place of ours
            continue
        calls = {name: example(32, 32, torch.float32) for name, example in op.examples.items()}
        variants = {name: op.variant(*args, **kwargs) for name, (args, kwargs) in calls.items()}
        elements = {name: _first(args).numel() / 32**2 for name, (args, _) in calls.items()}  # per row and column
        for variant in op.forward_only:
            variants[variant], elements[variant] = variant, 1
        firsts = {variant: example for example, variant in reversed(variants.items())}
        for dtype in DTYPES:
            full = dtype == torch.float32 and not quick
            factor, largest = 32 if quick else 4 if full else 16, LARGEST_QUICK if quick else LARGEST
            for rows, columns in _grid(op, factor, largest, max(elements.values())):
                every = full and rows * columns < LARGE
                for variant, example in [(v, e) for e, v in variants.items()] if every else firsts.items():
                    found[op, example, dtype, rows, columns] = Point(op, example, variant, dtype, rows, columns)
            for rows, columns in sorted(op.sizes, key=math.prod) if full else ():
                for variant, example in firsts.items():
                    point = Point(op, example, variant, dtype, rows, columns, alone=True)
                    if elements[example] * rows * columns <= LARGEST_CALL:
                        found.setdefault((op, example, dtype, rows, columns), point)
    return list(found.values())


def _first(args: tuple) -> torch.Tensor:
    return next(value for value in args if isinstance(value, torch.Tensor) and value.is_floating_point())


def _grid(op: Op, factor: int, largest: int, each: float) -> Iterator[tuple[int, int]]:
    """(rows, columns) as the benchmark's first size has them, smaller and smaller in the logarithms of both.

    each: how many elements the first argument has per row and column; it begins with few, whatever the operator.
    """
    rows, columns = op.sizes[0]
    largest = min(largest, max(r * c for r, c in op.sizes))
    elements = SMALLEST / max(each, 1)
    while elements <= largest:
        share = math.log(elements) / math.log(rows * columns)
        yield max(1, round(rows**share)), max(1, round(columns**share))
        elements *= factor


def settled(point: Point, results: Iterable[Result]) -> bool:
    """Whether the same call led so clearly at a size not much smaller that this one need not be measured."""
    leads = [
        min(figure.forward, figure.both)
        for result in results
        if (result.point.op, result.point.example, result.point.dtype) == (point.op, point.example, point.dtype)
        and LARGE <= NEAR * result.point.rows * result.point.columns >= point.rows * point.columns
        for figure in result.figures.values()
    ]
    return bool(leads) and min(leads) > SETTLED


def measure(point: Point, threads: int, quick: bool) -> Result:
    """Judge and time one point, on one thread and on `threads`, which is put back.

    What exists by now is left out of garbage collections, which would take most of the time: gc.unfreeze() ends that.
    """
    gc.freeze()
    call = Call.drawn(point.op, point.example, point.rows, point.columns, point.dtype, "cpu")
    size = point.op.work(*call.args, **call.kwargs) if point.op.work else _first(call.args).numel()
    figures, wrong = {}, ""
    for name, count in {"1": 1, "all": threads}.items():
        if name == "all" and count == 1 or name == "1" and point.alone and threads > 1:
            continue
        torch.set_num_threads(count)
        if problem := _problem(point, call):
            figures[name], wrong = Figure(size, 0.0, 0.0), problem
        else:
            ways = [_layers(call)] * 2 if point.variant in point.op.forward_only else [call.forward, call.both]
            ratios = (_ratio(call.op, way, QUICK if quick else SECONDS) for way in ways)
            figures[name] = Figure(size, *(float(f"{ratio:.3g}") for ratio in ratios))
    torch.set_num_threads(threads)
    return Result(point, figures, wrong)


def _problem(point: Point, call: Call) -> str:
    """What is wrong with our result: it is judged where that is quick or where it differs from torch's."""
    judge = functools.partial(verify.compare, point.op, point.example, point.rows, point.columns, point.dtype, "cpp")
    try:
        if point.rows * point.columns <= JUDGED and point.example in point.op.examples:
            verdict = judge()
        elif _agrees(point, call):
            return ""
        else:
            verdict = judge(oracle="torch")
    except Exception as error:  # whatever a broken kernel raises: it is not chosen
        return f"{point.op.name} [{point.example}] {point.rows}x{point.columns} {point.dtype}: {type(error).__name__}: {error}"
    return "" if verdict.ok else str(verdict)


def _agrees(point: Point, call: Call) -> bool:
    """Whether outputs and gradients are torch's in half of their digits."""
    with backend("cpp"):
        ours = verify.run(verify.function(point.op), call.args, call.kwargs, call.upstream)
    theirs = verify.run(point.op.torch, call.args, call.kwargs, call.upstream)
    near = math.sqrt(torch.finfo(point.dtype).eps)
    return all(
        a.shape == b.shape and bool((a - b).abs().max() <= near * b.abs().max()) for a, b in zip(ours, theirs, strict=True)
    )


def _layers(call: Call) -> Callable[[Callable], Callable]:
    """`call.forward` with other tensors of the same numbers each time, as many as memory holds."""
    copied = lambda value: value.detach().clone() if isinstance(value, torch.Tensor) else value
    count = max(1, min(LAYERS, LARGEST_CALL // sum(value.numel() for value in call.args if isinstance(value, torch.Tensor))))
    layers = [dataclasses.replace(call, args=tuple(map(copied, call.args))) for _ in range(count)]

    def way(function: Callable) -> Callable:
        calls = itertools.cycle([layer.forward(function) for layer in layers])
        return lambda: next(calls)()

    return way


def _ratio(op: Op, way: Callable[[Callable], Callable], seconds: float) -> float:
    """Torch's time / ours."""
    calls = {None: way(op.baseline), "cpp": way(verify.function(op))}
    for least, longest in ((1, seconds), (3, 4 * seconds)):
        times = interleave(calls, longest, "cpu", cold=False, least=least)
        ratio = statistics.median(theirs / ours for theirs, ours in zip(times[None], times["cpp"], strict=True))
        if CLEAR < max(ratio, 1 / ratio) < ODD:
            break
    return ratio


def profiled(results: Iterable[Result]) -> Profile:
    """The figures of one key by size; of several calls of one size, the worst."""
    worst: dict[Key, dict[int, Figure]] = defaultdict(dict)
    for result in results:
        point = result.point
        for threads, figure in result.figures.items():
            key = Key(point.op.name, point.variant, str(point.dtype).removeprefix("torch."), threads)
            other = worst[key].get(figure.size, figure)
            worst[key][figure.size] = Figure(figure.size, *map(min, figure[1:], other[1:]))
    measured = {**machine.facts(), **profile.here()}
    return Profile(measured, {key: tuple(figures[size] for size in sorted(figures)) for key, figures in worst.items()})
