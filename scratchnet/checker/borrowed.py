"""Whose kernel a kernel is: one that calls torch's or ours for the operator itself is right, but not one of its author's."""

from __future__ import annotations

import torch

from scratchnet.checker import surroundings
from scratchnet.checker.candidate import Candidate
from scratchnet.checker.questions import Question
from scratchnet.measure import verify

# What only makes tensors or looks at them in another way.
VIEWS = {
    "alias", "as_strided", "clone", "contiguous", "copy_", "detach", "empty", "empty_like", "expand", "fill_", "lift_fresh",
    "new_empty", "new_zeros", "ones_like", "permute", "scalar_tensor", "select", "slice", "squeeze", "t", "transpose",
    "unsqueeze", "view", "zero_", "zeros", "zeros_like", "_reshape_alias", "_to_copy", "_unsafe_view",
}  # fmt: skip
PRODUCTS = {"bmm", "addmm", "baddbmm", "mm", "mv", "dot"}  # one product by several names
MOST = 2  # operators; what torch composes of more is not one kernel


def whose(kernel: Candidate, direction: str) -> str:
    """The operators of torch or scratchnet that do a kernel's work, in words; "" if they are its author's own."""
    if kernel.kind not in ("torch", "Triton"):
        return ""
    call = Question("borrowed", kernel.contract.plain, 17, 31).call(kernel.contract.op)
    called = set(kernel.call(direction, call, keep=False, trace=True).called)
    if ours := sorted(name for name in called if name.startswith("scratchnet")):
        return f"calls {ours[0]}: that is scratchnet's kernel, not one of yours"
    theirs = _work(_torchs(call, direction))
    if theirs and len(theirs) <= MOST and theirs <= _work(called):
        return f"calls {' and '.join(sorted(f'aten::{name}' for name in theirs))}: that is torch's kernel, not one of yours"
    return ""


def _work(called: set[str]) -> set[str]:
    names = {name.removeprefix("aten::") for name in called} - VIEWS
    return {"mm" if name in PRODUCTS else name for name in names}


def _torchs(call: verify.Call, direction: str) -> set[str]:
    """What torch's own function calls."""
    args, kwargs = verify.on_tensors(lambda t: verify.copied(t, t.dtype, t.device), call.args, call.kwargs)
    forward, backward = set(), set()
    with surroundings.trace_to(forward):
        outputs = verify.as_tuple(call.op.torch(*args, **kwargs))
    with surroundings.trace_to(backward):
        torch.autograd.grad(outputs, verify.differentiable(args, kwargs), call.upstream)
    return forward if direction == "forward" else backward
