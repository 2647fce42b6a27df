"""What is asked of a case: torch's exceptions, the oracle's numbers, the same bits on all threads, unharmed inputs."""

from __future__ import annotations

import copy
import warnings
from typing import Callable

import torch
import torch.nn.functional as F
from fuzz_case import Case, strided
from torch import Tensor
from torch.utils._pytree import tree_leaves

import scratchnet
from scratchnet.verify import ULPS, Rule, as_tuple, copied, function, nudge, on_tensors, run, verdict

Results = tuple[Tensor, ...]


def problems(case: Case) -> list[str]:
    """What is wrong with a case; empty if nothing is."""
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")  # of softmax twice, of infinities in NumPy
            torch.manual_seed(case.seed)
            return _problems(case)
    finally:
        torch.set_num_threads(threads)


def _problems(case: Case) -> list[str]:
    twin = _twin(case)
    plain = lambda t: copied(t, t.dtype, t.device)
    outputs, refusal = _attempt(lambda: _results(case, twin or case.op.torch, plain, None))
    upstream = [strided(case.layouts, torch.randn(y.shape).to(y.dtype)) for y in outputs or ()]
    if not refusal:
        own, refusal = _attempt(lambda: _results(case, case.op.torch, plain, upstream))
    found, ours, errors = [], [], []
    for threads in case.threads:
        torch.set_num_threads(threads)
        given = (case.args, case.kwargs, None if refusal else upstream)
        inputs = copy.deepcopy(given)  # with the same strides, and what lies between
        with scratchnet.backend(case.backend):
            results, error = _attempt(lambda inputs=inputs: _results(case, function(case.op), None, inputs[2], *inputs[:2]))
        ours.append(results)
        errors.append(error)
        found += _harmed(case, inputs, given)
    if refusal or errors[0]:
        return found + _exceptions(case, errors[0], refusal, twin is not None)
    column = (case.backend or "torch").partition(":")[0]
    if column == "cpp" and not all(map(_same_bits, *ours)):
        found.append(f"other bits on {case.threads[1]} threads than on {case.threads[0]}")
    return found + _numbers(case, ours[0], own, upstream)


def _attempt(call: Callable[[], Results]) -> tuple[Results | None, Exception | None]:
    try:
        return call(), None
    except Exception as error:
        return None, error


def _results(
    case: Case, call: Callable, change: Callable | None, upstream: list[Tensor] | None, args: tuple = (), kwargs: dict = {}
) -> Results:  # noqa: B006
    """Outputs, gradients and what was written to; `change` makes the arguments from the case's, unless they are given."""
    if change:
        args, kwargs = on_tensors(change, case.args, case.kwargs)
    if upstream is None:
        return as_tuple(call(*args, **kwargs))
    return (*run(call, args, kwargs, upstream), *(args[place] for place in case.written))


# ---- exceptions --------------------------------------------------------------------------------------------------------


def _twin(case: Case) -> Callable | None:
    """torch's function of the same name and arguments, whose exceptions bind; None for a call that only we have."""
    own = getattr(F, case.op.name, None) or getattr(torch, case.op.name, None)
    return None if "activation" in case.kwargs else own


def _exceptions(case: Case, ours: Exception | None, theirs: Exception | None, twin: bool) -> list[str]:
    """Ours where torch has one, of its type; where only we have the call, more than what torch is made of may be refused."""
    said = f"ours {_said(ours)}, torch's {_said(theirs)}"
    if theirs and not ours:
        return [f"no exception: {said}"]
    if ours and not theirs:
        return [f"exception: {said}"] if twin or not case.mistake else []
    # torch's Python code stumbles over None and numbers with an AttributeError; ours says which type it needs
    kinds = (type(theirs), TypeError) if isinstance(theirs, AttributeError) else type(theirs)
    return [] if not twin or isinstance(ours, kinds) else [f"another exception: {said}"]


def _said(error: Exception | None) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[:1]}" if error else "none"


# ---- memory ------------------------------------------------------------------------------------------------------------


def _bytes(t: Tensor) -> Tensor:
    memory = t.detach().untyped_storage()
    return torch.empty(0, dtype=torch.uint8).set_(memory, 0, (memory.nbytes(),), (1,))


def _harmed(case: Case, inputs: tuple, before: tuple) -> list[str]:
    """The arguments and incoming gradients with another bit than before, also between their elements."""
    written = [id(inputs[0][place]) for place in case.written]
    pairs = zip(tree_leaves(inputs), tree_leaves(before), strict=True)
    pairs = [(now, old) for now, old in pairs if isinstance(now, Tensor) and id(now) not in written]
    return [f"input of shape {tuple(t.shape)} harmed" for t, old in pairs if not torch.equal(_bytes(t), _bytes(old))]


def _same_bits(a: Tensor, b: Tensor) -> bool:
    a, b = (t.detach().contiguous() for t in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*(t.reshape(-1).view(torch.uint8) for t in (a, b)))


# ---- numbers -----------------------------------------------------------------------------------------------------------


def _numbers(case: Case, ours: Results, own: Results, upstream: list[Tensor]) -> list[str]:
    if len(ours) != len(own):
        return [f"{len(ours)} results instead of {len(own)}"]
    kinds = [(y.dtype, tuple(y.shape)) for y in own]
    if (got := [(y.dtype, tuple(y.shape)) for y in ours]) != kinds:
        return [f"dtypes and shapes are {got} instead of {kinds}"]
    if not all(y.is_floating_point() for y in own):  # integers and complex numbers: torch's own code runs
        return [] if all(torch.allclose(y, z, equal_nan=True) for y, z in zip(ours, own, strict=True)) else ["not torch's numbers"]
    floats = [t for t in tree_leaves((case.args, case.kwargs)) if isinstance(t, Tensor) and t.is_floating_point()]
    eps = ULPS * max(torch.finfo(t.dtype).eps for t in floats)
    wide = lambda t: copied(t, torch.float64, t.device)
    with scratchnet.backend("numpy"):
        oracle = lambda change: _results(case, function(case.op), lambda t: change(wide(t)), [change(wide(g)) for g in upstream])
        exact, refusal = _attempt(lambda: oracle(lambda t: t))
        if refusal:
            return [f"the oracle refuses the call: {_said(refusal)}"]
        nudged = oracle(lambda t: nudge(t, eps))
        found = _verdicts(case, ours, own, exact, nudged, upstream)
        if found:  # was the nudge a lucky one? Sixteen show better what the inputs' rounding can do, at a kink above all
            for _ in range(15):
                nudged = [_further(*of) for of in zip(exact, nudged, oracle(lambda t: nudge(t, eps)), strict=True)]
            found = _verdicts(case, ours, own, exact, nudged, upstream)
    return found


def _further(exact: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Of two numbers the one further from the exact one."""
    return torch.where((a - exact).abs() >= (b - exact).abs(), a, b)


def _verdicts(case: Case, ours: Results, own: Results, exact: Results, nudged: Results, upstream: list[Tensor]) -> list[str]:
    incoming = max([g.detach().double().nan_to_num(0, 0, 0).abs().max().item() for g in upstream if g.numel()] or [0.0])
    outputs, found = len(upstream), []
    for i, row in enumerate(zip(ours, own, exact, nudged, strict=True)):
        ours_i, own_i, exact_i, nudged_i = (t.detach().clone() for t in row)
        if case.values != "normal":
            _take_either(ours_i, own_i, exact_i, nudged_i)
        what = f"output {i}" if i < outputs else f"gradient {i - outputs}"
        check = verdict(what, ours_i, own_i, exact_i, nudged_i, incoming, own_i.dtype, Rule())
        # With numbers near a dtype's ends torch's own may be far from float64: then its error alone is the measure.
        far = case.values != "normal" and check.problem.startswith("torch is too far") and check.error <= check.bound
        if not check.ok and not far:
            found.append(str(check))
    return found


def _take_either(ours: Tensor, own: Tensor, exact: Tensor, nudged: Tensor) -> None:
    """Where torch and the oracle differ in what is infinite or NaN, ours may be as either.

    In its narrower type torch overflows where float64 does not, or the other way round: it scales with other factors first.
    Where ours is as torch's, all are made equal, in place, so that the verdict is about the rest.
    """
    kind, theirs, right = _kind(ours), _kind(own), _kind(exact.to(own.dtype))
    as_torch = (theirs != right) & (kind == theirs)
    for t in (ours, own, exact, nudged):
        t[as_torch] = 0


def _kind(t: Tensor) -> Tensor:
    """0 for a finite number, 1 and -1 for the infinities, 2 for NaN."""
    return torch.where(t.isnan(), 2.0, t.isinf() * t.sign()).float()
