"""One fuzz case: a call of one operator, drawn entirely from one number."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Callable

import torch
from fuzz_calls import DRAWERS, Draw
from torch import Tensor

from scratchnet.measure.verify import on_tensors
from scratchnet.ops import OPS, Op

DTYPES = (torch.float64, torch.float32, torch.float32, torch.bfloat16, torch.float16)
THREADS = (1, 2, 3, 4, 6, 8)


@dataclass
class Case:
    """A call, how it was drawn, and what was done to it."""

    seed: int
    op: Op
    args: tuple
    kwargs: dict
    dtype: torch.dtype
    backend: str | None
    threads: tuple[int, int]  # the result is the same on both
    values: str  # "normal", or one of VALUES
    example: str  # of the operator, or "drawn" by fuzz_calls
    mistake: str  # what was spoiled; empty for a call that is meant to be right
    layouts: random.Random  # for the strides of the incoming gradients

    def __str__(self) -> str:
        what = [self.op.name, self.example, self.values, str(self.dtype).removeprefix("torch."), f"on {self.backend}"]
        named = {**dict(enumerate(self.args)), **self.kwargs}
        what += [f"{name}={_short(value)}" for name, value in named.items()]
        return " ".join([*what, f"threads={self.threads}", self.mistake])

    @property
    def written(self) -> tuple[int | str, ...]:
        """The arguments that the call writes to, as torch does: running statistics."""
        if self.op.name != "batch_norm" or not self.kwargs["training"]:
            return ()
        return tuple(place for place in (1, 2) if isinstance(self.args[place], Tensor))


def _short(value: Any) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    kind = "" if value.is_floating_point() else str(value.dtype).removeprefix("torch.")
    return f"{kind}{tuple(value.shape)}/{value.stride()}{'*' if value.requires_grad else ''}".replace(" ", "")


def draw(seed: int) -> Case:
    """The case of this number, always the same; torch's random state is left as it was."""
    source = random.Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        op = OPS[source.choice(list(OPS))]
        d = Draw(source, source.choice(DTYPES))
        example = "drawn"
        if op.name in DRAWERS and d.chance(0.8):
            args, kwargs = DRAWERS[op.name](d)
        else:
            example = source.choice(list(op.examples))
            args, kwargs = op.examples[example](*d.sizes(2, 2_000), d.dtype)
        values = source.choice(list(VALUES)) if d.chance(0.4) else "normal"
        if values == "special" and (kwargs.get("is_causal") or kwargs.get("window")):
            values = "normal"  # 0 times what no query sees: NaN in some blocks of attention, left out in others
        if values != "normal":
            args, kwargs = on_tensors(lambda t: _revalued(d, op, values, t), args, kwargs)
        args, kwargs = on_tensors(lambda t: strided(source, t), args, kwargs)
        if "batch_sizes" in kwargs:  # torch reads them as if they were contiguous
            kwargs["batch_sizes"] = kwargs["batch_sizes"].contiguous()
        wanted = source.choice((1.0, 1.0, 1.0, 0.7, 0.5, 0.0))  # the fraction of gradients asked for
        args, kwargs = on_tensors(lambda t: t.detach().requires_grad_(t.requires_grad and d.chance(wanted)), args, kwargs)
        mistake = ""
        both = kwargs.get("attn_mask") is not None  # with is_causal: one of torch's paths refuses that
        if op.name != "recurrence" and not both and d.chance(0.2):  # torch's layers check no shape and write past their memory
            args, kwargs, mistake = spoil(d, args, kwargs)
    column = source.choice(("cpp",) * 5 + ("rung",) * 3 + (None,) * 2 + ("reference", "numpy"))
    highest = max(len(op.rungs("cpp")) for op in OPS.values())
    if column == "reference" and (values != "normal" or d.dtype != torch.float64):
        column = (
            "cpp"  # that column is torch's own sums and autograd, with torch's rounding and infinities: its formulas are judged
        )
    backend = f"cpp:{source.randint(1, highest)}" if column == "rung" else column
    threads = tuple(source.sample(THREADS, 2))
    case = Case(seed, op, args, kwargs, d.dtype, backend, threads, values, example, mistake, source)
    written = lambda place, t: t.clone() if place in case.written else t  # written to: no two of its elements share a place
    case.args = tuple(written(*each) for each in enumerate(args))
    return case


# ---- values ------------------------------------------------------------------------------------------------------------


def _revalued(d: Draw, op: Op, values: str, t: Tensor) -> Tensor:
    """A tensor of floats with other numbers; the largest are the dtype's largest to a power.

    Where the square of a number is out of range, torch's own norms give 0 or NaN, depending on its place in the row. Sums of
    the very largest number are infinite or not depending on the order of their terms: they get a tenth of its digits less. And
    class weights and probabilities stay small: for one class, the gradient is a difference of two numbers of their size.
    """
    if not t.is_floating_point():
        return t
    power = 0.0 if not t.requires_grad else 0.4 if op.primitive == "layer_norm" else 0.9
    return VALUES[values](d, t.detach().contiguous(), torch.finfo(t.dtype).max ** power).requires_grad_(t.requires_grad)


def _special(d: Draw, t: Tensor, large: float) -> Tensor:
    """Some entries, or none, become numbers that are easily forgotten."""
    bits = torch.finfo(t.dtype)
    numbers = [0.0, -0.0, large, -large, bits.tiny, -bits.tiny, bits.smallest_normal * bits.eps, 1.0, bits.eps]
    if d.chance(0.6):
        numbers += [float("inf"), -float("inf"), float("nan")]
    for _ in range(d.pick(0, 1, 1, 2, 5) if t.numel() else 0):
        t.view(-1)[d.whole(0, t.numel() - 1)] = d.random.choice(numbers)
    return t


VALUES: dict[str, Callable[[Draw, Tensor, float], Tensor]] = {
    "special": _special,
    "ties": lambda d, t, _: (t * 2).round() * 0.3,  # whose sums are not exact
    "zeros": lambda d, t, _: t * d.pick(0.0, 1.0, -0.0),
    "large": lambda d, t, _: t * 10 ** d.random.uniform(0, 4),
    "small": lambda d, t, _: t * 10 ** d.random.uniform(-40, 0),
}


# ---- strides -----------------------------------------------------------------------------------------------------------


def strided(source: random.Random, t: Tensor) -> Tensor:
    """The numbers of a tensor in another order in memory, spread apart, after an offset, or one in place of several.

    Between them lies NaN, or an index far out of range. Only floats change their values: rows that repeat.
    """
    kind = source.choice(("contiguous", "contiguous", "dense", "gaps", "gaps", "expanded", "overlapping"))
    if kind == "contiguous" or not t.dim():
        return t
    order = list(range(t.dim()))
    if source.random() < 0.6:
        source.shuffle(order)
    if kind in ("expanded", "overlapping") and t.is_floating_point() and t.numel():
        strides = [0 if source.random() < 0.5 else source.randint(0, 3) * (kind == "overlapping") or s for s in t.stride()]
        return torch.as_strided(t.detach(), t.shape, _within(strides, t)).requires_grad_(t.requires_grad)
    strides, step = [0] * t.dim(), 1
    for axis in reversed(order):
        gap = source.choice((1, 1, 2, 3)) if kind == "gaps" else 1
        strides[axis] = step * gap
        step *= gap * max(t.shape[axis], 1) + (source.randint(0, 2) if kind == "gaps" else 0)
    offset = source.randint(0, 5) if kind == "gaps" else 0
    outside = float("nan") if t.is_floating_point() else 2 ** (8 * t.element_size() - 1) - 1 if t.dtype != torch.bool else True
    memory = torch.full((offset + step,), outside, dtype=t.dtype)
    view = memory.as_strided(t.shape, strides, offset)
    view.copy_(t.detach())
    return view.requires_grad_(t.requires_grad)


def _within(strides: list[int], t: Tensor) -> list[int]:
    """The strides, with those that would leave the tensor's memory set to 0."""
    room, kept = t.untyped_storage().nbytes() // t.element_size() - 1 - t.storage_offset(), []
    for size, stride in zip(t.shape, strides, strict=True):
        stride = stride if (size - 1) * stride <= room else 0
        room -= (size - 1) * stride
        kept.append(stride)
    return kept


# ---- mistakes ----------------------------------------------------------------------------------------------------------


def spoil(d: Draw, args: tuple, kwargs: dict) -> tuple[tuple, dict, str]:
    """The call with one argument changed, so that it is wrong, or right in another way."""
    named = {**dict(enumerate(args)), **kwargs}
    place = d.random.choice(list(named))
    value = _spoiled_tensor(d, named[place]) if isinstance(named[place], Tensor) else _spoiled_option(d, named[place])
    if place != "seed" or value is not None:  # without one each call draws a mask of its own
        named[place] = value
    said = f"mistake at {place}"
    return tuple(named[i] for i in range(len(args))), {name: named[name] for name in kwargs}, said


def _spoiled_tensor(d: Draw, t: Tensor) -> Tensor | None:
    wanted, t = t.requires_grad, t.detach()
    ways = ["dtype", "axis more", "None"] + ["longer", "shorter", "fewer axes"] * (t.dim() > 0)
    if not t.is_floating_point() and t.numel():
        ways += ["entry"] * 4
    way = d.random.choice(ways)
    if way == "None":
        return None
    axis = d.whole(0, max(t.dim() - 1, 0))
    if way == "dtype":
        kinds = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.bool)
        t = t.to(d.pick(*kinds, torch.complex64))
    elif way == "axis more":
        t = t.unsqueeze(d.whole(0, t.dim()))
    elif way == "longer":
        t = torch.cat([t, t.narrow(axis, 0, min(1, t.shape[axis]))], axis)
    elif way == "shorter":
        t = t.narrow(axis, 0, max(t.shape[axis] - 1, 0))
    elif way == "fewer axes":
        t = t.select(axis, 0) if t.shape[axis] else t.flatten()
    else:
        t = t.clone()
        t[tuple(d.whole(0, n - 1) for n in t.shape)] = d.pick(-1, -100, 100, 40, 1) if t.dtype != torch.uint8 else 200
    return t.requires_grad_(wanted and t.is_floating_point())


def _spoiled_option(d: Draw, value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        numbers = list(value)
        ways = [numbers + [1], numbers[:-1]]
        if numbers:
            ways.append([d.pick(-1, 0, 1, 2, 7), *numbers[1:]])
        return d.random.choice(ways)
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return d.pick(-1, 1, 2, 7, -0.5, 1.5) if value else d.pick(-1, 0, 1, 2, 7, -0.5, 1.5)  # an eps of 0 leaves no digit
    if isinstance(value, str):
        return "nonsense"
    return d.pick(0, 1, torch.ones(3, dtype=d.dtype))
