"""Whose kernel a kernel is: one that calls torch's or ours for the operator itself is right, but not one of its author's."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

import torch

from scratchnet import columns, kernels
from scratchnet.checker import operators
from scratchnet.checker.candidate import Candidate
from scratchnet.checker.contract import Contract
from scratchnet.checker.questions import Question
from scratchnet.measure import verify
from scratchnet.ops import Op

# What only makes tensors or looks at them in another way.
VIEWS = {
    "alias", "as_strided", "clone", "contiguous", "copy_", "detach", "empty", "empty_like", "expand", "fill_", "lift_fresh",
    "new_empty", "new_zeros", "ones_like", "permute", "scalar_tensor", "select", "slice", "squeeze", "t", "transpose",
    "unsqueeze", "view", "zero_", "zeros", "zeros_like", "_reshape_alias", "_to_copy", "_unsafe_view",
}  # fmt: skip
PRODUCTS = {"bmm", "addmm", "baddbmm", "mm", "mv", "dot"}  # one product by several names
ONEDNN = "aten::to_mkldnn"  # to a layout in which only torch's kernels compute
MOST = 2  # operators; what torch composes of more is not one kernel
PACKAGE = Path(columns.__file__).parent.resolve()
# Where our kernels and those of the course are. The folders of operators in csrc are the second level.
ROOMS = [PACKAGE / name for name in ("course", "functions", "nn", "numpy", "oracle", "reference")]
ROOMS += [*(folder for folder in columns.CSRC.resolve().glob("*/*/")), Path(kernels.__file__).parent.resolve()]
# Of the files in these folders: one decides whether Triton compiles or interprets, one is asked at every import.
ANYONES = {"launch.py", "flops.py"}


def whose(kernel: Candidate, direction: str) -> str:
    """The operators or files of torch or scratchnet that do a kernel's work, in words; "" if it is its author's own."""
    call = Question("borrowed", kernel.contract.plain, 17, 31).call(kernel.contract.op)
    seen = kernel.call(direction, call, keep=False, trace=True)
    if named := of_a_call(call.op, direction, seen.called, (*seen.files, *kernel.included)):
        return named
    if any(Path(name).name.startswith("libtorch") for name in seen.files):
        return "loads libtorch: those are torch's kernels, not one of yours"
    if kernel.kind != "Triton" and seen.processes:  # which compiles
        return "starts other processes, and whose kernel runs in them is not seen"
    if seen.torch:  # after those who listen were in place, as for a file that says so
        return "imports torch without a line that says so, and which kernels it had before that was noticed is not seen"
    return ""


def of_a_call(op: Op, direction: str, called: Iterable[str], files: Iterable[str]) -> str:
    """Whose work a call was, by the operators that it called and the files that it used."""
    called = set(called)
    if ours := sorted(name for name in called if name.startswith("scratchnet")) or _ours(files):
        return f"{'calls' if '::' in ours[0] else 'uses'} {ours[0]}: that is scratchnet's kernel, not one of yours"
    if ONEDNN in called:
        return f"calls {ONEDNN}: in oneDNN's layout only torch's kernels compute, not yours"
    theirs, work = _torchs(op)[direction], _work(called)
    names = [f"aten::{name}" if name in work else _past(name, called) for name in sorted(theirs)]
    if names and all(names):
        return f"calls {' and '.join(names)}: that is torch's kernel, not one of yours"
    return ""


def _past(name: str, called: set[str]) -> str:
    """The function by which an operator's kernel is called past torch's dispatcher; "" if there is none."""
    bare = "|".join(sorted(PRODUCTS)) if name in PRODUCTS else name.strip("_").removeprefix("native_").removesuffix("_forward")
    among = [function for function in sorted(called) if function.startswith("at::")]
    return next((function for function in among if re.search(rf"(?<![a-z])({bare})(?![a-z])", function)), "")


def _ours(files: Iterable[str]) -> list[str]:
    """Those of some files in which a kernel of ours is."""
    found = []
    for path in (Path(name).resolve() for name in files if name):
        rooms = [room for room in ROOMS if room in path.parents and path.name not in ANYONES]
        if rooms or path.parent == PACKAGE and path.name.startswith(("_C.", "_cuda.")):
            found.append("/".join(path.parts[-3 if rooms else -2 :]))
    return sorted(found)


def operators_of(contract: Contract) -> list[str]:
    """The operators of torch that do a kernel's work, one of them or two, and the one before those that nobody hears."""
    names = set().union(*_torchs(contract.op).values())
    return sorted([ONEDNN, *(f"aten::{name}" for name in names | (PRODUCTS if "mm" in names else set()))])


def _work(called: Iterable[str]) -> set[str]:
    names = {name.removeprefix("aten::") for name in called} - VIEWS
    return {"mm" if name in PRODUCTS else name.removesuffix("_") for name in names}


@functools.cache
def _torchs(op: Op) -> dict[str, set[str]]:
    """What torch's own function calls in each direction, if that is one kernel."""
    call = Question("borrowed", Contract(op).plain, 17, 31, seed=2).call(op)  # whose results no kernel is asked for
    args, kwargs = verify.on_tensors(lambda t: verify.copied(t, t.dtype, t.device), call.args, call.kwargs)
    called: dict[str, set[str]] = {"forward": set(), "backward": set()}
    with operators.trace_to(called["forward"]):
        outputs = verify.as_tuple(call.op.torch(*args, **kwargs))
    with operators.trace_to(called["backward"]):
        torch.autograd.grad(outputs, verify.differentiable(args, kwargs), call.upstream)
    work = {direction: _work(names) for direction, names in called.items()}
    return {direction: names if len(names) <= MOST else set() for direction, names in work.items()}
