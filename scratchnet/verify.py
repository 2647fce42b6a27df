"""Ours against the float64 oracle, judged by how far torch itself is from it at the same dtype.

    error(ours) <= 2 * error(torch) + 4 ulp of the largest entry + sensitivity

for every output and every gradient, where the sensitivity is what moving every input by 4 ulp changes: no computation in
that dtype can be asked for more (the gradient of a LayerNorm over two equal numbers, of a softmax over equal rows).
`scratchnet verify`, the tests and the benchmarks share this one rule.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from importlib import import_module
from typing import Callable

import torch
from torch import Tensor

from scratchnet.backends import backend as use_backend
from scratchnet.registry import Op

TIMES_TORCH = 2
ULPS = 4


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
        """The share of the bound that the error takes: above 1 it is too large, infinite if no bound would do."""
        return math.inf if self.problem or math.isnan(self.error) else self.error / self.bound

    def __str__(self) -> str:
        verdict = "ok" if self.ok else f"FAIL {self.problem}".rstrip()
        return f"{self.what}: error {self.error:.2e}, torch's {self.torch_error:.2e}, bound {self.bound:.2e}: {verdict}"


@dataclass(frozen=True)
class Result:
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
    return getattr(import_module(f"scratchnet.functions.{op.room}"), op.name)


def on_tensors(change: Callable[[Tensor], Tensor], args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments with `change` applied to every tensor."""
    one = lambda value: change(value) if isinstance(value, Tensor) else value
    return tuple(map(one, args)), {name: one(value) for name, value in kwargs.items()}


def differentiable(args: tuple, kwargs: dict) -> list[Tensor]:
    return [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.requires_grad]


def as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


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
) -> Result:
    """Run one of the registry's example calls, forward and backward, on `backend` (None: the default), torch and the oracle.

    layout: gives every tensor other strides, also the gradients that come in (`lambda t: t.mT.contiguous().mT`); it may
    change values (`lambda t: t[:1].expand_as(t)`), never shapes. The caller's random state is untouched.
    oracle: the column that judges in float64: "numpy", on the CPU, or, where that is too slow, "torch" on the device.
    The calls run on the device of the surrounding `with torch.device(...)` block, by default the CPU.
    """
    device = torch.get_default_device()
    court = torch.device("cpu") if oracle == "numpy" else device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with torch.device("cpu"):  # the same numbers on every device
            args, kwargs = op.examples[example](rows, columns, dtype)
        place = lambda t: layout(t.detach().to(device)).requires_grad_(t.requires_grad)
        args, kwargs = on_tensors(place, args, kwargs)
        widened = on_tensors(lambda t: _copy(t, torch.float64, court), args, kwargs)
        with use_backend(oracle), court:
            exact = as_tuple(function(op)(*widened[0], **widened[1]))
            upstream = [place(torch.randn(y.shape, dtype=torch.float64, device="cpu").to(dtype)) for y in exact]
            exact += _gradients(exact, *widened, [g.to(court, torch.float64) for g in upstream])
            nudge = lambda t: _nudged(t, ULPS * torch.finfo(dtype).eps)
            nudged = _run(function(op), *on_tensors(nudge, *widened), [nudge(g.to(court, torch.float64)) for g in upstream])
        own = _run(op.torch, *on_tensors(lambda t: _copy(t, t.dtype, device), args, kwargs), [g.clone() for g in upstream])
        with use_backend(backend):
            ours = _run(function(op), args, kwargs, upstream)
    names = _names(op, args, kwargs, len(upstream))
    incoming = max(_largest(g.double().nan_to_num(0, 0, 0)) for g in upstream)
    checks = tuple(_check(*row, incoming, dtype) for row in zip(names, ours, own, exact, nudged, strict=True))
    call = f"[{example}] {rows}x{columns} {str(dtype).removeprefix('torch.')} on {backend or 'the default'}"
    return Result(op.name, call, checks)


def _copy(t: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    return t.detach().clone().to(device, dtype if t.is_floating_point() else t.dtype).requires_grad_(t.requires_grad)


def _nudged(t: Tensor, eps: float) -> Tensor:
    """Every float moved up or down by a share `eps` of itself, at random."""
    if not t.is_floating_point():
        return t
    sign = torch.randint(2, t.shape, dtype=t.dtype) * 2 - 1
    return (t.detach() * (1 + eps * sign)).requires_grad_(t.requires_grad)


def _gradients(outputs: tuple[Tensor, ...], args: tuple, kwargs: dict, upstream: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(outputs, differentiable(args, kwargs), upstream)


def _run(call: Callable, args: tuple, kwargs: dict, upstream: list[Tensor]) -> tuple[Tensor, ...]:
    outputs = as_tuple(call(*args, **kwargs))
    return (*outputs, *_gradients(outputs, args, kwargs, upstream))


def _names(op: Op, args: tuple, kwargs: dict, outputs: int) -> list[str]:
    bound = inspect.signature(function(op)).bind(*args, **kwargs).arguments
    inputs = [name for name, value in bound.items() if isinstance(value, Tensor) and value.requires_grad]
    return [f"output {i}" if outputs > 1 else "output" for i in range(outputs)] + [f"gradient of {name}" for name in inputs]


def _check(
    what: str, ours: Tensor, own: Tensor, oracle: Tensor, nudged: Tensor, incoming: float, dtype: torch.dtype
) -> Check:
    ours, own, oracle, nudged = (t.detach().cpu() for t in (ours, own, oracle, nudged))
    expected = oracle.to(dtype)  # too large for a 16-bit type is infinite there
    finite = expected.isfinite()
    scale = oracle[finite].abs().max().item() if finite.any() else 0.0
    bits = torch.finfo(dtype)
    ulp = max(bits.eps * (scale or incoming), bits.smallest_normal * bits.eps)  # all zero: it cancelled, see what came in
    torch_error = _largest((own.double() - oracle)[finite & own.isfinite()])
    sensitivity = _largest((nudged - oracle)[finite & nudged.isfinite()])
    if dtype == torch.float64:
        sensitivity *= 2  # the oracle computes in float64 too
    error = math.nan if ours.shape != expected.shape else _largest((ours.double() - oracle)[finite])
    problem = ""
    if ours.shape != expected.shape or ours.dtype != dtype:
        problem = f"{tuple(ours.shape)} {ours.dtype} instead of {tuple(expected.shape)} {dtype}"
    elif not torch.allclose(ours[~finite], expected[~finite], rtol=0, atol=0, equal_nan=True):
        problem = "NaN or infinity in other places than the oracle's"
    elif not (torch_error <= math.sqrt(bits.eps) * scale + 100 * bits.eps + 8 * sensitivity or bits.bits == 16):
        # in 16 bits torch may sum in 16 bits; else: its 1 + erf(x) cancels in GELU's tail, more than that is another function
        problem = "torch is too far from the oracle to judge by it: they compute different things"
    return Check(what, scale, error, torch_error, TIMES_TORCH * torch_error + ULPS * ulp + sensitivity, problem)


def _largest(difference: Tensor) -> float:
    return difference.abs().max().item() if difference.numel() else 0.0  # NaN if there is one
