"""Ours against the float64 oracle, judged by how far torch itself is from it at the same dtype.

    error(ours) <= 2 * error(torch) + 4 ulp of the largest entry + sensitivity

for every output and every gradient, where the sensitivity is what moving every input by 4 ulp changes: no computation in
that dtype can be asked for more (the gradient of a LayerNorm over two equal numbers, of a softmax over equal rows).
`scratchnet verify`, the tests and the benchmarks share this one rule; `scratchnet check` gives a reader's kernel more room,
but judges each row by itself.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from dataclasses import dataclass
from importlib import import_module
from typing import Callable, Sequence

import torch
from torch import Tensor

from scratchnet.backends import backend as use_backend
from scratchnet.ops import FILES, Op

TIMES_TORCH = 2
ULPS = 4


@dataclass(frozen=True)
class Rule:
    """How far from the oracle a result may be."""

    times_torch: float = TIMES_TORCH
    ulps: float = ULPS
    by_row: bool = False  # ulps of the largest entry of each row, not of all
    exact_inputs: bool = False  # their own ulps are not forgiven, only those of the float32 in which 16 bits are computed


# What a kernel meets: (rows, columns) around powers of two, empty ones, and strides. The layouts are for `compare`.
SIZES = ((1, 1), (2, 3), (3, 2), (17, 31), (31, 17), (33, 127), (127, 33), (129, 2), (3, 129), (2, 1000))
EMPTY = ((0, 3), (3, 0), (0, 0))


def transposed(t: Tensor) -> Tensor:
    return t.mT.contiguous().mT if t.dim() > 1 else t


def sliced(t: Tensor) -> Tensor:
    """Every second element of a larger tensor, after an offset."""
    if t.dim() == 0:
        return t
    wide = torch.full((*t.shape[:-1], 2 * t.shape[-1] + 1), 7, dtype=t.dtype, device=t.device)
    wide[..., 1::2] = t
    return wide[..., 1::2]


def expanded(t: Tensor) -> Tensor:
    """The first row repeated, with stride 0."""
    return t[:1].expand_as(t) if t.dim() else t


LAYOUTS = {"contiguous": lambda t: t, "transposed": transposed, "sliced": sliced, "expanded": expanded}


@dataclass(frozen=True)
class Check:
    """One output or gradient: errors are the largest absolute ones, `scale` is the oracle's largest entry."""

    what: str  # "output" or "gradient of <argument>"
    scale: float
    error: float
    torch_error: float
    bound: float
    problem: str = ""  # what no bound can forgive: a wrong shape or dtype, NaN or infinity in other places

    @property
    def ok(self) -> bool:
        return not self.problem and self.error <= self.bound  # a NaN is never <= anything

    @property
    def used(self) -> float:
        """The fraction of the bound that the error takes: above 1 it is too large, infinite if no bound would do."""
        return math.inf if self.problem or math.isnan(self.error) else self.error / self.bound

    def __str__(self) -> str:
        verdict = "ok" if self.ok else f"FAIL {self.problem}".rstrip()
        return f"{self.what}: error {self.error:.2e}, torch's {self.torch_error:.2e}, bound {self.bound:.2e}: {verdict}"


@dataclass(frozen=True)
class Judgement:
    """All checks of one call."""

    op: str
    call: str  # which example, sizes, dtype and backend
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def worst(self) -> Check:
        return max(self.checks, key=lambda check: check.used)

    def __str__(self) -> str:
        return "\n    ".join([f"{self.op} {self.call}", *map(str, self.checks)])


def function(op: Op) -> Callable:
    """The user-level function of an operator."""
    return getattr(import_module(f"scratchnet.functions.{FILES[op.name]}"), op.name)


def on_tensors(change: Callable[[Tensor], Tensor], args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments with `change` applied to every tensor."""
    one = lambda value: change(value) if isinstance(value, Tensor) else value
    return tuple(map(one, args)), {name: one(value) for name, value in kwargs.items()}


def differentiable(args: tuple, kwargs: dict) -> list[Tensor]:
    return [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.requires_grad]


def as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


@dataclass(frozen=True)
class Call:
    """One of an operator's example calls and its incoming gradients.

    What is right for it is computed when it is first asked for: until then no answer is in memory.
    """

    op: Op
    args: tuple
    kwargs: dict
    upstream: tuple[Tensor, ...]
    dtype: torch.dtype
    oracle: str  # "numpy" or "torch"
    draws: Tensor  # the state of the random numbers by which the inputs are moved

    @classmethod
    def make(
        cls,
        op: Op,
        example: str,
        rows: int,
        columns: int,
        dtype: torch.dtype,
        layout: Callable[[Tensor], Tensor] = lambda t: t,
        seed: int = 0,
        oracle: str = "numpy",
    ) -> Call:
        """Draw the numbers; the arguments are those of `compare`."""
        device = torch.get_default_device()
        court = torch.device("cpu") if oracle == "numpy" else device
        with torch.random.fork_rng(devices=[court.index] if court.type == "cuda" else []):
            torch.manual_seed(seed)
            with court:  # for the NumPy oracle the same numbers on every device
                args, kwargs = op.examples[example](rows, columns, dtype)
            place = lambda t: layout(t.detach().to(device)).requires_grad_(t.requires_grad)
            args, kwargs = on_tensors(place, args, kwargs)
            drawn = [torch.randn(shape, dtype=torch.float64, device=court) for shape in _shapes(op, args, kwargs, court)]
            upstream = tuple(place(g.to(dtype)) for g in drawn)
            draws = torch.cuda.get_rng_state(court) if court.type == "cuda" else torch.get_rng_state()
        return cls(op, args, kwargs, upstream, dtype, oracle, draws)

    @functools.cached_property
    def exact(self) -> tuple[Tensor, ...]:
        """The oracle's outputs, then its gradients."""
        return self._asked(lambda t: t)

    @functools.cached_property
    def nudged(self) -> tuple[Tensor, ...]:
        """The same for inputs moved by 4 ulp."""
        generator = torch.Generator(self._court)
        generator.set_state(self.draws)
        return self._asked(lambda t: nudge(t, ULPS * torch.finfo(self.dtype).eps, generator))

    @property
    def _court(self) -> torch.device:
        """Where the oracle computes."""
        return torch.device("cpu") if self.oracle == "numpy" else self.upstream[0].device

    def _asked(self, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        """What the oracle returns for the inputs in float64, changed."""
        court = self._court
        changed = lambda t: change(copied(t, torch.float64, court))
        with use_backend(self.oracle), _within(court):
            return run(function(self.op), *on_tensors(changed, self.args, self.kwargs), [changed(g) for g in self.upstream])

    @property
    def names(self) -> list[str]:
        """What the outputs and gradients are called."""
        bound = inspect.signature(function(self.op)).bind(*self.args, **self.kwargs).arguments
        inputs = [name for name, value in bound.items() if isinstance(value, Tensor) and value.requires_grad]
        outputs = len(self.upstream)
        return [f"output {i}" if outputs > 1 else "output" for i in range(outputs)] + [f"gradient of {name}" for name in inputs]

    def run(self, call: Callable) -> tuple[Tensor, ...]:
        """The outputs of a function that takes the same arguments, then its gradients by autograd."""
        return run(call, self.args, self.kwargs, self.upstream)

    def judge(self, ours: Sequence[Tensor | None], rule: Rule = Rule()) -> tuple[Check, ...]:  # noqa: B008
        """Outputs and gradients against the oracle; None for one that was not asked for."""
        device = self.upstream[0].device
        own = run(
            self.op.torch,
            *on_tensors(lambda t: copied(t, t.dtype, device), self.args, self.kwargs),
            [g.clone() for g in self.upstream],
        )
        incoming = max(_largest(g.double().nan_to_num(0, 0, 0)).item() for g in self.upstream)
        rows = zip(self.names, ours, own, self.exact, self.nudged, strict=True)
        return tuple(verdict(*row, incoming, self.dtype, rule) for row in rows if row[1] is not None)


def compare(
    op: Op,
    example: str,
    rows: int,
    columns: int,
    dtype: torch.dtype,
    backend: str | None = None,
    layout: Callable[[Tensor], Tensor] = lambda t: t,
    seed: int = 0,
    oracle: str = "numpy",
) -> Judgement:
    """Run one of an operator's example calls, forward and backward, on `backend` (None: the default), torch and the oracle.

    layout: gives every tensor, incoming gradients included, other strides (`lambda t: t.mT.contiguous().mT`); it may
    change values (`lambda t: t[:1].expand_as(t)`), never shapes. The caller's random state is untouched.
    oracle: what judges in float64: "numpy" on the CPU or, where that is too slow, "torch", its own functions on the device.
    The calls run on the device of the surrounding `with torch.device(...)` block, by default the CPU.
    """
    call = Call.make(op, example, rows, columns, dtype, layout, seed, oracle)
    with use_backend(backend):
        ours = call.run(function(op))
    label = f"[{example}] {rows}x{columns} {str(dtype).removeprefix('torch.')} on {backend or 'the default'}"
    return Judgement(op.name, label, call.judge(ours))


def copied(t: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A new leaf with the same numbers, floats in `dtype`."""
    return t.detach().clone().to(device, dtype if t.is_floating_point() else t.dtype).requires_grad_(t.requires_grad)


def nudge(t: Tensor, eps: float, generator: torch.Generator | None = None) -> Tensor:
    """Every float moved up or down, at random, by the fraction `eps` of itself."""
    if not t.is_floating_point():
        return t
    sign = torch.randint(2, t.shape, dtype=t.dtype, device=t.device, generator=generator) * 2 - 1
    return (t.detach() * (1 + eps * sign)).requires_grad_(t.requires_grad)


def _within(device: torch.device) -> contextlib.AbstractContextManager:
    """The context in which tensors are made on a device; none where they are anyway, for it slows every torch function."""
    return contextlib.nullcontext() if device == torch.get_default_device() else device


def _shapes(op: Op, args: tuple, kwargs: dict, court: torch.device) -> list[torch.Size]:
    """The shapes of the outputs, from what torch returns for zeros: that is nobody's answer."""
    zeros = lambda t: copied(t, torch.float32, court).detach().zero_() if t.is_floating_point() else t.to(court)
    with torch.random.fork_rng(devices=[court.index] if court.type == "cuda" else []), torch.no_grad(), _within(court):
        args, kwargs = on_tensors(zeros, args, kwargs)
        return [y.shape for y in as_tuple(op.torch(*args, **kwargs))]


def _gradients(outputs: tuple[Tensor, ...], args: tuple, kwargs: dict, upstream: list[Tensor]) -> tuple[Tensor, ...]:
    pairs = [pair for pair in zip(outputs, upstream, strict=True) if pair[0].requires_grad]
    inputs = differentiable(args, kwargs)
    if not (pairs and inputs):
        return tuple(map(torch.zeros_like, inputs))
    reached, grads = zip(*pairs, strict=True)
    return torch.autograd.grad(reached, inputs, grads, materialize_grads=True)


def run(call: Callable, args: tuple, kwargs: dict, upstream: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The outputs of a call, then the gradients of the arguments that require one; zeros where no output depends on it."""
    outputs = as_tuple(call(*args, **kwargs))
    return (*outputs, *_gradients(outputs, args, kwargs, upstream))


def verdict(
    what: str, ours: Tensor, own: Tensor, oracle: Tensor, nudged: Tensor, incoming: float, dtype: torch.dtype, rule: Rule
) -> Check:
    """One output or gradient by the rule; `incoming` is the largest gradient that came in."""
    ours, own, oracle, nudged = (t.detach().to(oracle.device) for t in (ours, own, oracle, nudged))
    expected = oracle.to(dtype)  # what is too large for a 16-bit dtype is infinite in it
    finite = expected.isfinite()
    scales = _largest(oracle.where(finite, 0), rule.by_row)
    scale = _largest(scales).item()
    bits = torch.finfo(dtype)
    # where all entries are 0, they cancelled: take the scale of what came in
    ulp = (bits.eps * scales.where(scales > 0, scale or incoming)).clamp(min=bits.smallest_normal * bits.eps)
    torch_error = _largest((own.double() - oracle)[finite & own.isfinite()]).item()
    sensitivity = _largest((nudged - oracle)[finite & nudged.isfinite()]).item()
    if dtype == torch.float64:
        sensitivity *= 2  # the oracle computes in float64 too
    if rule.exact_inputs:
        sensitivity *= torch.finfo(torch.float32).eps / bits.eps
    bounds = (rule.times_torch * torch_error + rule.ulps * ulp + sensitivity).flatten()
    errors, worst = torch.full_like(bounds, math.nan), 0
    problem = ""
    if ours.shape != expected.shape or ours.dtype != dtype:
        problem = f"{tuple(ours.shape)} {ours.dtype} instead of {tuple(expected.shape)} {dtype}"
    else:
        errors = _largest((ours.double() - oracle).where(finite, 0), rule.by_row).flatten()
        worst = int((errors / bounds).argmax())  # a NaN, if there is one
        if not torch.allclose(ours[~finite], expected[~finite], rtol=0, atol=0, equal_nan=True):
            problem = "NaN or infinity in other places than the oracle's"
        elif not (torch_error <= math.sqrt(bits.eps) * scale + 100 * bits.eps + 8 * sensitivity or bits.bits == 16):
            # torch may sum 16-bit numbers in 16 bits. Otherwise 1 + erf(x), which cancels in GELU's tail, is the worst it does
            problem = "torch is too far from the oracle to judge by it: they compute different things"
    return Check(what, scale, errors[worst].item(), torch_error, bounds[worst].item(), problem)


def _largest(t: Tensor, by_row: bool = False) -> Tensor:
    """The largest absolute value of all or of each row, NaN if there is one; 0 where there are none."""
    if t.numel() == 0:
        return torch.zeros(1, dtype=torch.float64)
    return t.abs().amax(-1, keepdim=True) if by_row else t.abs().amax()
