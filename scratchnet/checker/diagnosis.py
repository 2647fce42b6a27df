"""The probable reason why a kernel is wrong: a hypothesis that fits every call that failed.

Most hypotheses are themselves wrong kernels: what a common mistake would have returned is computed and compared.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Callable, Iterator, Sequence

import torch
from torch import Tensor

from scratchnet.checker import sixteen
from scratchnet.checker.exam import Trial, Verdict
from scratchnet.checker.questions import RULE, always
from scratchnet.measure.verify import Call, Check, as_tuple, on_tensors
from scratchnet.ops import PRIMITIVES

PARTS = {
    "strides": "right on contiguous arrays, wrong on other strides: it reads memory as if every array were contiguous. Use the "
    "strides, or make a contiguous copy first",
    "options": "right without options: arguments of torch's function, which may be None or of any shape that torch's takes",
    "empty": "sizes of zero are calls like any other: an empty sum is 0, an empty mean NaN, an empty array stays empty",
}
SPECIAL = "NaN and infinity must come out where the formula has them: max, where and nan_to_num can hide them"


@dataclass(frozen=True)
class Miss:
    """What a trial returned for one output or gradient, and what is right, both in float64."""

    trial: Trial
    index: int
    ours: Tensor
    exact: Tensor

    @property
    def wrong(self) -> Tensor:
        """Which elements are wrong."""
        check = next(check for check in self.trial.checks if check.what == self.trial.call.names[self.index])
        equal = (self.ours == self.exact) | (self.ours.isnan() & self.exact.isnan())
        return ~(equal | ((self.ours - self.exact).abs() <= check.bound))

    def fits(self, predicted: Tensor | None) -> bool:
        """Whether a wrong kernel would have returned this."""
        if predicted is None or predicted.shape != self.ours.shape:
            return False
        if predicted.shape != self.exact.shape:
            return _close(self.ours, predicted.detach().double(), self.exact)
        unknown = predicted.isnan() & self.exact.isfinite()  # memory outside the array
        return _close(self.ours, predicted.detach().double().where(~unknown, self.ours), self.exact)


def explain(verdict: Verdict) -> list[str]:
    """What the smallest failed call shows, then what it probably means."""
    trials = verdict.trials
    failed = [trial for trial in trials if not trial.ok]
    first = failed[0]
    seen = f"wrong at {first.where} (the smallest of {len(failed)} failures in {len(trials)} calls)"
    if first.problem:
        meaning = PARTS.get(first.part) if first.part == "empty" else None
        return [line for line in (f"{seen}: {first.problem}", meaning) if line]
    check = next(check for check in first.checks if not check.ok)
    index = first.call.names.index(check.what)
    misses = [_miss(t, index) for t in failed if any(c.what == check.what and not c.ok for c in t.checks)]
    ours, right = first.results[index], misses[0].exact
    if ours.shape != right.shape or ours.dtype != first.call.dtype:
        mistake = _mistake(misses) if ours.dtype == first.call.dtype else None
        return [f"{seen}: {check.what} is {check.problem}", f"probably: {mistake}" if mistake else _form(misses[0], ours)]
    misses = [miss for miss in misses if miss.ours.shape == miss.exact.shape]
    meaning = next(filter(None, _hypotheses(misses, trials)), "no common mistake fits")
    return [f"{seen}: {_element(misses[0], check)}", f"probably: {meaning}"]


def _is_gradient(miss: Miss) -> bool:
    return miss.index >= len(miss.trial.call.upstream)


def _miss(trial: Trial, index: int) -> Miss:
    return Miss(trial, index, trial.results[index].detach().cpu().double(), trial.call.exact[index].detach().cpu())


def _element(miss: Miss, check: Check) -> str:
    """The worst element and the right value for it."""
    error = (miss.ours - miss.exact).abs().nan_to_num(nan=torch.inf).where(miss.wrong, -1)
    position = [int(i) for i in torch.unravel_index(error.argmax(), error.shape)]
    ours, right = (t[tuple(position)].item() for t in (miss.ours, miss.exact))
    return f"{check.what}{position or ''} is {ours:.7g}, right is {right:.7g} (allowed error {check.bound:.1g})"


def _form(miss: Miss, ours: Tensor) -> str:
    """What a wrong shape or dtype means."""
    if ours.dtype != miss.trial.call.dtype:
        return "a result has the dtype of the input; NumPy widens what meets a float64: .astype(input.dtype) narrows it again"
    if miss.ours.dim() == 2 and miss.ours.shape == miss.exact.mT.shape and _close(miss.ours.mT, miss.exact, miss.exact):
        return "probably: it is right but transposed"
    return (
        "a gradient has the shape of what it belongs to"
        if _is_gradient(miss)
        else "sum or mean over one axis too many or too few?"
    )


def _hypotheses(misses: list[Miss], trials: Sequence[Trial]) -> Iterator[str | None]:
    """Sentences, the most trustworthy first; None for a hypothesis that does not fit."""
    first = misses[0].trial
    yield _too_narrow(misses)
    yield _simple(misses)
    yield sixteen.meaning(first.call.dtype, first.where, _mistakes(misses).VALUES, max(map(_error, misses)))
    yield _mistake(misses)
    yield _factor(misses)
    if first.part in PARTS:
        yield PARTS[first.part]
    if first.part == "values":
        value = first.where.split(", ")[1]
        special = any(word in value for word in ("infinity", "NaN"))
        yield _mistakes(misses).VALUES.get(value, SPECIAL if special else f"right at numbers around 1, wrong at {value}")
    yield _tail(misses)
    yield _sixteen_bits(misses)
    yield _sizes(misses, trials)
    if all(miss.ours.isnan().any() for miss in misses):
        yield "NaN: 0/0, infinity - infinity, memory that was never written, or an input read past its end"
    yield _digits(misses)


def _too_narrow(misses: list[Miss]) -> str | None:
    """Numbers that need more bits, or smaller ones, than something in between has."""
    first = misses[0].trial
    if first.call.dtype == torch.float64 and all(_error(miss) < 1e-5 for miss in misses):
        return "in float64 it is as right as in float32: something is rounded to float32 on the way"
    if first.part == "values" and "1e-40" in first.where and all(bool((miss.ours[miss.wrong] == 0).all()) for miss in misses):
        return "subnormal numbers are taken for 0: by -ffast-math, by a comparison, or by the processor's mode"
    return None


def _error(miss: Miss) -> float:
    """The largest error, relative to the largest entry."""
    return float((miss.ours - miss.exact).abs().max() / miss.exact.abs().max())


def _digits(misses: list[Miss]) -> str | None:
    """How many digits are right, if some are."""
    error = max(map(_error, misses))
    if not error <= 1e-2:
        return None
    digits = -math.log10(error)
    why = "in fewer bits than float32 has, in an unlucky order, or by an approximation"
    return f"only {digits:.1f} digits are right, where float32 has 7: something is computed {why}"


def _simple(misses: list[Miss]) -> str | None:
    """Results that take no computation at all."""
    if all(miss.fits(torch.zeros_like(miss.exact)) for miss in misses):
        return "it returns zeros: the result is never written, or multiplied by zero"
    for i, name in enumerate(["grad_output", *misses[0].trial.call.names]):
        inputs = [_inputs(miss.trial.call) for miss in misses]
        if all(i < len(own) and miss.fits(own[i]) for miss, own in zip(misses, inputs, strict=True)):
            name = "grad_output" if i <= len(misses[0].trial.call.upstream) else name.removeprefix("gradient of ")
            return f"it returns its argument {name} unchanged"
    if all(miss.ours.dim() == 2 and miss.ours.shape == miss.exact.mT.shape and miss.fits(miss.exact.mT) for miss in misses):
        return "it is right but transposed"
    constant = misses[0].ours.flatten()[0]
    if len(misses) > 1 and constant.isfinite() and all(bool((miss.ours == constant).all()) for miss in misses):
        return "it returns the same number whatever the input: it is hard-coded"
    return None


def _inputs(call: Call) -> list[Tensor]:
    """The incoming gradients, the first one twice, then the float arguments, in the order of Call.names after the outputs."""
    floats = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, Tensor) and a.requires_grad]
    return [call.upstream[0], *call.upstream, *floats]


def _mistakes(misses: list[Miss]) -> ModuleType:
    """The usual ones of the primitive; none of the other operators of its family."""
    op = misses[0].trial.call.op
    return import_module(f"scratchnet.checker.mistakes{f'.{op.name}' if op.name in PRIMITIVES else ''}")


def _mistake(misses: list[Miss]) -> str | None:
    """The common mistake that gives these results."""
    usual = _mistakes(misses)
    backward = {
        text: lambda call, wrong=wrong: (*[None] * len(call.upstream), *wrong(call)) for text, wrong in usual.BACKWARD.items()
    }
    outputs = lambda call, wrong: as_tuple(wrong(*call.args, **call.kwargs))
    run = Call.run if _is_gradient(misses[0]) else outputs
    both = {text: lambda call, wrong=wrong: run(call, wrong) for text, wrong in usual.FORWARD.items()}
    for sentence, wrong in {**(backward if _is_gradient(misses[0]) else {}), **both}.items():
        if all(miss.fits(_predict(miss, wrong)) for miss in misses):
            return sentence
    return None


def _predict(miss: Miss, wrong: Callable[[Call], tuple]) -> Tensor | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return wrong(_wide(miss.trial.call))[miss.index]
    except (RuntimeError, TypeError, IndexError, ValueError):  # it does not fit these arguments or has no gradient
        return None


def _wide(call: Call) -> Call:
    """The call in float64, in which predictions are computed."""
    widen = lambda t: t.detach().double().requires_grad_(t.requires_grad) if t.is_floating_point() else t
    args, kwargs = on_tensors(widen, call.args, call.kwargs)
    return replace(call, args=args, kwargs=kwargs, upstream=tuple(map(widen, call.upstream)))


def _factor(misses: list[Miss]) -> str | None:
    """The right result times a factor that has a name."""
    named = {
        "the number of rows: a mean over the batch needs the factor 1/N": lambda m: m.trial.rows,
        "the number of columns: a mean over the row needs the factor 1/D": lambda m: m.trial.columns,
        "1 / the number of rows: it is divided by N once too often": lambda m: 1 / m.trial.rows,
        "1 / the number of columns: it is divided by D once too often": lambda m: 1 / m.trial.columns,
        "-1: the sign is reversed": lambda m: -1,
        "2: something is counted twice": lambda m: 2,
        "1/2: a factor 2 is missing": lambda m: 0.5,
    }
    for what, factor in named.items():
        if all(miss.fits(miss.exact * factor(miss)) for miss in misses):
            return f"it is the right result times {what}"
    without = lambda m: m.exact / m.trial.call.upstream[0].double()
    if _is_gradient(misses[0]) and all(m.trial.call.upstream[0].dim() == 0 and m.fits(without(m)) for m in misses):
        return "grad_output is left out: the chain rule multiplies by it"
    return None


def _tail(misses: list[Miss]) -> str | None:
    """Right up to some column, row or element, wrong from there on."""
    if not misses[0].exact.dim():  # one number has no tail
        return None
    views = {
        "column": lambda wrong: wrong.flatten(0, -2) if wrong.dim() > 1 else wrong[None],
        "row": lambda wrong: wrong.flatten(1).mT if wrong.dim() > 1 else wrong[None],
        "element": lambda wrong: wrong.flatten()[None],
    }
    never = ", which are never written" if all(bool(m.ours[m.wrong].isnan().all()) for m in misses) else ""
    for one, view in views.items():
        tables = [view(miss.wrong) for miss in misses]
        starts, sizes = [_start(table) for table in tables], [table.shape[-1] for table in tables]
        if None in starts or not any(starts):
            continue
        if one == "column" and all(start == miss.trial.rows for start, miss in zip(starts, misses, strict=True)):
            return f"columns from the number of rows on are wrong{never}: a loop over the columns ends at the number of rows"
        if all(start == size - 1 for start, size in zip(starts, sizes, strict=True)):
            return f"the last {one} of every size is wrong{never}: a loop ends one too early"
        worst = starts.index(max(starts))
        block = max(b for b in (1 << k for k in range(11)) if all(start % b == 0 for start in starts))
        multiple = f" after a multiple of {block}" if block > 1 else ""
        at = f"{one}s {starts[worst]} to {sizes[worst] - 1} at {misses[worst].trial.where}"
        return f"the tail is wrong, {at}{never}: what is left{multiple} needs a loop or a mask of its own"
    return None


def _start(wrong: Tensor) -> int | None:
    """Where the wrong part begins if it is a tail of every row, else None."""
    start = int(wrong.any(0).int().argmax())
    return start if bool(wrong[:, start:].any(0).all() and wrong.any(1).all()) else None


def _sixteen_bits(misses: list[Miss]) -> str | None:
    for dtype in (torch.float16, torch.bfloat16):
        near = lambda m: (m.ours - m.exact).abs().max() <= 0.1 * m.exact.abs().max()
        if all(_equal(m.ours, m.ours.to(dtype).double()) and near(m) for m in misses):
            name = str(dtype).removeprefix("torch.")
            return f"every number of the result fits {name}: it is rounded to or summed in 16 bits. Accumulate in float32"
    return None


def _sizes(misses: list[Miss], trials: Sequence[Trial]) -> str | None:
    """Right up to some size, wrong above it."""
    wrong = [miss.trial for miss in misses]
    right = [trial for trial in trials if trial.ok]
    known = [{(t.rows, t.columns) in always() for t in some} for some in (right, wrong)]
    if known == [{True}, {False}] and right[0].part == "sizes":
        return "right at every size that is always asked, wrong at every one that was drawn: are the sizes written in it?"
    lengths: dict[str, Callable[[Trial], int]] = {
        "columns": lambda t: t.columns, "rows": lambda t: t.rows, "rows and columns": lambda t: min(t.rows, t.columns),
    }  # fmt: skip
    for what, length in lengths.items():
        most, least = max(map(length, right), default=0), min(map(length, wrong))
        if 16 < most < least:  # a row of one number is right by accident
            return f"right up to {most} {what}, wrong from {least} on: a block does not cover them all"
    return None


def _equal(a: Tensor, b: Tensor) -> bool:
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def _close(ours: Tensor, predicted: Tensor, exact: Tensor) -> bool:
    """Equal up to float32's rounding, relative to the largest entry of the right result."""
    if ours.shape != predicted.shape:
        return False
    finite = exact[exact.isfinite()].abs()
    scale = finite.max().item() if finite.numel() else 1.0
    return torch.allclose(ours, predicted, rtol=1e-4, atol=RULE.ulps * torch.finfo(torch.float32).eps * scale, equal_nan=True)
