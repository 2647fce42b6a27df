"""What a case has to satisfy: torch's exceptions, the oracle's numbers, the same bits on all threads, unharmed inputs."""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from typing import Callable

import torch
import torch.nn.functional as F
from fuzz_case import Case, strided
from torch import Tensor
from torch.utils._pytree import tree_leaves

import scratchnet
from scratchnet.measure.verify import ULPS, Rule, as_tuple, copied, function, nudge, on_tensors, run, verdict

Results = tuple[Tensor, ...]

# An operator and part of an exception where ours and torch's differ on purpose: torch refuses what has only one meaning, ...
TORCH_REFUSES = (
    ("linear", "mat2 must be a matrix"),  # rows, a weight (in,) and a bias (): rows of any other rank are taken
    ("cross_entropy", "Byte"),  # uint8 classes: torch takes them only for (N, C) logits without smoothing
    ("cross_entropy", "Expected dtype int32/int64 for index"),  # the same
    ("linear_cross_entropy", "Byte"),
    ("linear_cross_entropy", "Expected dtype int32/int64 for index"),
    ("cross_entropy", "doesn't match the broadcast shape"),  # (C,) logits and a target (1,): taken without smoothing
    ("linear_cross_entropy", "doesn't match the broadcast shape"),
    ("cross_entropy", "size mismatch (got input: ["),  # the backward of the same
    ("linear_cross_entropy", "expected linear_bias shape"),  # for a few rows torch's linear and cross_entropy run: () is taken
    ("linear_cross_entropy", "size mismatch"),  # one row as (K,) and its target as (1,), which cross_entropy takes
    ("layer_norm", "expected scalar type Half but found Float"),  # float16 beside float32 parameters, taken for other shapes
    ("batch_norm", "expect parameter to have scalar type of Float"),  # the same, for some strides
    ("batch_norm", "INTERNAL ASSERT FAILED"),  # 16-bit numbers, one of the statistics in float32
    ("logsumexp", "doesn't match the broadcast shape"),  # over no dims of shape (..., 1): it means all of them
    ("recurrence", "incorrect number of RNN parameters"),  # one bias without the other
    ("recurrence", "not divisible by stride"),  # the same
    ("max_pool2d", "half of kernel size, but got padW"),  # XNNPACK, which runs without gradients, leaves out the dilation
    ("embedding_bag", "Expected i < index_size"),  # a table without columns
    ("scatter_add", "ScatterAddBackward0 returned an invalid gradient"),  # () and a source (1,): its forward takes them
    ("adaptive_avg_pool2d", "Expected grad_output to have non-zero size"),  # to no windows: torch has no gradient for them
)
# ... or computes what no caller can have meant.
OURS_REFUSES = (
    ("linear", "one bias for each row of weight"),  # a bias of two axes, taken only for an input of two axes
    ("cross_entropy", "label_smoothing must be between"),  # a negative one counts as none
    ("linear_cross_entropy", "label_smoothing must be between"),
    ("cross_entropy", "weight tensor should be defined"),  # (1, C), taken for logits of more than two axes
    ("embedding_bag", "scalar types: Long, Int; but got torch.bool"),  # bool indices, on some paths
    ("batch_norm", "mixed dtype: running_"),  # integers as statistics
    ("batch_norm", "should contain 1 elements not 1"),  # but of shape (1, 1)
    ("max_pool2d", "a window would see nothing but padding"),  # the gradient of its maximum goes to some other entry
)
# ... or raises another type of exception on one of its code paths.
OTHER_TYPES = {
    ("cross_entropy", "size mismatch"): IndexError,  # an index where there are no classes: about the sizes
    ("embedding", "out of DATA bounds"): IndexError,
    ("embedding", "indexing axis dim should be positive"): IndexError,  # of a table without rows
    ("embedding", "Padding_idx must be within"): RuntimeError,  # of a weight that is not a matrix: ours is about that
    ("embedding_bag", "object has no attribute"): TypeError,
    ("embedding_bag", "index out of range in self"): RuntimeError,  # a wrong offset, of a maximum
    ("index_add", "index out of range in self"): RuntimeError,  # for some strides: the message of its other code path
    ("scatter_add", "Dimension out of range"): RuntimeError,  # a source of fewer axes, none of which is dim
    ("cross_entropy", "codec can't decode"): IndexError,  # the message about a class above 127, as a byte
    ("linear_cross_entropy", "codec can't decode"): IndexError,
    ("conv2d", "slow_conv2d_cpu"): RuntimeError,  # bool input and another weight: torch's is only about the input
    ("matmul", "not implemented for 'Bool'"): RuntimeError,  # bool and another dtype: about the two
    ("batch_norm", "Expected more than 1 value"): TypeError,  # raised before it checks the types of the others
    ("batch_norm", "select()"): (RuntimeError, ValueError),  # for no elements, raised before it checks the others
}


def problems(case: Case) -> list[str]:
    """What is wrong with a case; empty if nothing is."""
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), contextlib.ExitStack() as stack:
            warnings.simplefilter("ignore")  # of softmax twice, of infinities in NumPy
            torch.manual_seed(case.seed)
            if (case.op.name, case.dtype) == ("conv2d", torch.float16):
                # oneDNN's dies of SIGSEGV for some narrow images with a dilation, on CPUs with AVX512-FP16
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            return _problems(case)
    finally:
        torch.set_num_threads(threads)


def _problems(case: Case) -> list[str]:
    twin = _twin(case)
    outputs, refusal = _attempt(lambda: _outputs(twin or case.op.torch, *copy.deepcopy((case.args, case.kwargs))))
    upstream = None if refusal else [strided(case.layouts, torch.randn(y.shape).to(y.dtype)) for y in outputs]
    given = (case.args, case.kwargs, upstream)
    fresh = lambda: copy.deepcopy(given)  # with the same strides, and what lies between
    # Torch's results for contiguous copies and for these strides: sometimes torch accepts only one of them, and its batch_norm
    # reads past a weight of stride 0.
    own, strides_refused = [], None
    if not refusal:
        plain = lambda t: copied(t, t.dtype, t.device).contiguous()
        given_plain = lambda: (*on_tensors(plain, *given[:2]), list(map(plain, upstream)))
        attempts = [_attempt(lambda make=make: _results(case, case.op.torch, *make())) for make in (given_plain, fresh)]
        own = [results for results, error in attempts if not error]
        refusal = None if own else attempts[0][1]
        strides_refused = attempts[1][1]
    found, ours, errors = [], [], []
    for threads in case.threads:
        torch.set_num_threads(threads)
        inputs = fresh()
        with scratchnet.backend(case.backend):
            results, error = _attempt(lambda inputs=inputs: _results(case, function(case.op), *inputs))
        ours.append(results)
        errors.append(error)
        found += _harmed(case, inputs, given)
    if case.backend is None and errors[0] and str(errors[0]) == str(strides_refused):
        return found  # torch's own ran, whose backward takes such numbers, but not with these strides
    if refusal or errors[0]:
        return found + _exceptions(case, errors[0], refusal, twin is not None)
    column = (case.backend or "torch").partition(":")[0]
    if column == "cpp" and not all(map(_same_bits, *ours)):
        found.append(f"other bits on {case.threads[1]} threads than on {case.threads[0]}")
    if case.backend is None and own and all(map(_same_bits, ours[0], own[-1])):
        return found  # torch's own ran
    return found + _numbers(case, ours[0], own, upstream, twin is not None)


def _attempt(call: Callable[[], Results]) -> tuple[Results | None, Exception | None]:
    try:
        return call(), None
    except Exception as error:
        return None, error


def _outputs(call: Callable, args: tuple, kwargs: dict) -> Results:
    return as_tuple(call(*args, **kwargs))


def _results(case: Case, call: Callable, args: tuple, kwargs: dict, upstream: list[Tensor] | None) -> Results:
    """Outputs, gradients unless torch has no outputs, and what was written to."""
    if upstream is None:
        return _outputs(call, args, kwargs)
    return (*run(call, args, kwargs, upstream), *(args[place] for place in case.written))


# ---- exceptions --------------------------------------------------------------------------------------------------------


def _twin(case: Case) -> Callable | None:
    """torch's function of the same name and arguments, whose exceptions are binding; None for a call that only we have."""
    own = getattr(F, case.op.name, None) or getattr(torch, case.op.name, None)
    return None if case.kwargs.keys() & {"activation", "z_loss", "softcap", "token_weight", "seed"} else own


def _exceptions(case: Case, ours: Exception | None, theirs: Exception | None, twin: bool) -> list[str]:
    """Ours where torch raises one, of its type; a call that only we have may refuse more than torch's parts would."""
    said = f"ours {_said(ours)}, torch's {_said(theirs)}"
    for error, table in ((theirs, TORCH_REFUSES), (ours, OURS_REFUSES)):
        if any(name == case.op.name and words in str(error) for name, words in table):
            return []
    if theirs and not ours:
        return [f"no exception: {said}"]
    if ours and not theirs:
        empty = any(isinstance(t, Tensor) and not t.numel() for t in tree_leaves((case.args, case.kwargs)))
        # torch does not check everything about a tensor without elements
        return [f"exception: {said}"] if not case.mistake or twin and not empty else []
    # torch's Python code fails on None and numbers with an AttributeError; ours says which type it needs
    kinds = (type(theirs), TypeError) if isinstance(theirs, AttributeError) else (type(theirs),)
    others = tuple(k for (name, words), k in OTHER_TYPES.items() if name == case.op.name and words in str(theirs))
    return [] if not twin or isinstance(ours, (kinds, others)) else [f"another exception: {said}"]


def _said(error: Exception | None) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[:1]}" if error else "none"


# ---- memory ------------------------------------------------------------------------------------------------------------


def _bytes(t: Tensor) -> Tensor:
    memory = t.detach().untyped_storage()
    return torch.empty(0, dtype=torch.uint8).set_(memory, 0, (memory.nbytes(),), (1,))


def _harmed(case: Case, inputs: tuple, before: tuple) -> list[str]:
    """The arguments and incoming gradients in which a bit has changed, even between their elements."""
    written = [id(inputs[0][place]) for place in case.written]
    pairs = zip(tree_leaves(inputs), tree_leaves(before), strict=True)
    pairs = [(now, old) for now, old in pairs if isinstance(now, Tensor) and id(now) not in written]
    return [f"input of shape {tuple(t.shape)} harmed" for t, old in pairs if not torch.equal(_bytes(t), _bytes(old))]


def _same_bits(a: Tensor, b: Tensor) -> bool:
    a, b = (t.detach().clone(memory_format=torch.contiguous_format) for t in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*(t.flatten().view(torch.uint8) for t in (a, b)))


# ---- numbers -----------------------------------------------------------------------------------------------------------


def _numbers(case: Case, ours: Results, own: list[Results], upstream: list[Tensor], twin: bool) -> list[str]:
    kinds = [(y.dtype, tuple(y.shape)) for y in own[0]]
    if (got := [(y.dtype, tuple(y.shape)) for y in ours]) != kinds:
        if case.mistake and not twin and [shape for _, shape in got] == [shape for _, shape in kinds]:
            return []  # for a call that only we have, the dtype is ours to choose
        return [f"dtypes and shapes are {got} instead of {kinds}"]
    if not all(y.is_floating_point() for y in ours):  # integers and complex numbers: torch's own code runs
        same = [torch.allclose(y, z, equal_nan=True) for y, z in zip(ours, own[0], strict=True)]
        return [] if all(same) else ["not torch's numbers"]
    floats = [t for t in tree_leaves((case.args, case.kwargs)) if isinstance(t, Tensor) and t.is_floating_point()]
    eps = ULPS * max([torch.finfo(t.dtype).eps for t in floats], default=torch.finfo(torch.get_default_dtype()).eps)
    with scratchnet.backend("numpy"):
        given = lambda change: (*on_tensors(change, case.args, case.kwargs), list(map(change, upstream)))
        oracle = lambda change: _results(case, function(case.op), *given(change))
        exact, refusal = _attempt(lambda: oracle(_wide))
        if refusal:
            return [f"the oracle refuses the call: {_said(refusal)}"]
        nudged = oracle(lambda t: _nudged(t, eps))
        found = _verdicts(case, ours, own, exact, nudged, upstream)
        if found:  # was the nudge a lucky one? Sixteen show better what rounding of the inputs can do, above all at a kink
            for k in range(15):
                more = oracle(lambda t, way=(_nudged_alike, _nudged)[k % 2]: way(t, eps))
                nudged = [_further(*of) for of in zip(exact, nudged, more, strict=True)]
            found = _verdicts(case, ours, own, exact, nudged, upstream)
    return found


def _wide(t: Tensor) -> Tensor:
    return copied(t, torch.float64, t.device)


def _nudged(t: Tensor, eps: float) -> Tensor:
    return nudge(_wide(t), eps)


def _nudged_alike(t: Tensor, eps: float) -> Tensor:
    """The numbers in memory: one that is expanded moves alike in all its places, as equal terms round alike."""
    once = t[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in t.stride())]
    return _nudged(once, eps).detach().expand(t.shape).clone().requires_grad_(t.requires_grad)


def _further(exact: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The one of two numbers that is further from the exact one."""
    return torch.where((a - exact).abs() >= (b - exact).abs(), a, b)


def _verdicts(
    case: Case, ours: Results, own: list[Results], exact: Results, nudged: Results, upstream: list[Tensor]
) -> list[str]:
    incoming = max([g.detach().double().nan_to_num(0, 0, 0).abs().max().item() for g in upstream if g.numel()] or [0.0])
    outputs, found = len(upstream), []
    for i, row in enumerate(zip(ours, exact, nudged, *own, strict=True)):
        ours_i, exact_i, nudged_i, *own_i = (t.detach().clone() for t in row)
        if case.values != "normal":
            # with infinite weights a norm's dx has differences, which are infinite or NaN depending on the order of its sums
            _take_either(ours_i, exact_i, nudged_i, own_i, i >= outputs and case.op.primitive == "layer_norm")
        own_i = own_i[0]
        what = f"output {i}" if i < outputs else f"gradient {i - outputs}"
        check = verdict(what, ours_i, own_i, exact_i, nudged_i, incoming, own_i.dtype, Rule())
        # With numbers near a dtype's limits torch's own may be far from float64: then its error alone is the measure.
        # And where the true gradient cancels to zero, as for equal rows, torch's own is rounding: ours has to be exact.
        measure = check.bound if case.values != "normal" else ULPS * torch.finfo(own_i.dtype).eps * check.scale
        far = check.problem.startswith("torch is too far") and check.error <= measure
        rounding = _scale(case, ours) * ULPS * torch.finfo(own_i.dtype).eps * incoming if i >= outputs else 0
        if not (check.ok or far or rounding and not check.problem and check.error <= check.bound + rounding):
            found.append(str(check))
    return found


def _scale(case: Case, ours: Results) -> float:
    """How large the terms may be whose difference a gradient is, relative to what came in; 0: as large as itself.

    Numbers near a dtype's limits make large terms that cancel, even the oracle's in float64. And a gradient computed from a
    rounded output inherits its error:

    dx = p (g - sum(g p)) and g - p sum(g) are differences of numbers as large as g; in g exp(x - y) the error is y's own.
    """
    if case.values != "normal":
        target = case.args[-1] if case.op.name in ("cross_entropy", "linear_cross_entropy") else None
        largest = [1.0]
        for t in tree_leaves((case.args, case.kwargs)):
            if isinstance(t, Tensor) and t.is_floating_point() and t.numel():
                sizes = t.detach().double().nan_to_num(0, 0, 0).abs()
                sizes = sizes.sum(min(1, t.dim() - 1)) if t is target else sizes  # a row's shares add up in p sum(q) - q
                largest.append(max(1.0, sizes.max().item()))
        return math.prod(largest) if case.op.primitive == "cross_entropy" else max(largest)  # weights times shares
    if case.op.name == "logsumexp":
        return max(1.0, ours[0].detach().double().nan_to_num(0, 0, 0).abs().max().item()) if ours[0].numel() else 0
    return 1.0 if case.op.name in ("softmax", "log_softmax") else 0


def _take_either(ours: Tensor, exact: Tensor, nudged: Tensor, own: list[Tensor], alike: bool) -> None:
    """Where torch and the oracle differ in what is infinite or NaN, ours may agree with either.

    In its narrower dtype torch overflows where float64 does not, or the other way round: it applies other factors first, and
    different ones for other strides. alike: NaN and both infinities count as one. Where ours agrees with torch's, all are made
    equal, in place: the verdict is about the rest.
    """
    kind, right = _kind(ours), _kind(exact.to(ours.dtype))
    as_torch = (kind != right) & torch.stack([_kind(t) == kind for t in own]).any(0)
    if alike:
        as_torch |= ~ours.isfinite() & torch.stack([~t.isfinite() for t in (exact.to(ours.dtype), *own)]).any(0)
    # both overflowed 16 bits in between, and the oracle did not
    as_torch |= ~ours.isfinite() & exact.isfinite() & ~torch.stack([t.isfinite() for t in own]).any(0)
    as_torch |= ours.isinf() & (exact.abs() > 0.99 * torch.finfo(ours.dtype).max)  # one rounding away from it
    for t in (ours, exact, nudged, *own):
        t[as_torch] = 0


def _kind(t: Tensor) -> Tensor:
    """0 for a finite number, 1 and -1 for the infinities, 2 for NaN."""
    return torch.where(t.isnan(), 2.0, t.isinf() * t.sign()).float()
