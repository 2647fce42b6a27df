"""Registration with torch: a torch.autograd.Function and its kernels become operators that compose with all of PyTorch.

Per operator and backend there are three registered operators (`<namespace>` is scratchnet, scratchnet_numpy, ...):

    <namespace>::<op>_forward, <op>_backward   the raw pair of kernels, unknown to autograd
    <namespace>::<op>                          the differentiable operator, which torch.compile and torch.export put into graphs

The differentiable one carries a Python kernel for each situation, because the public ways to register a gradient are silently
wrong in some of them (zero gradients under compile(func.grad), none through an exported program, wrong jvp):

    Autograd           apply the Function, whose backward calls the raw backward kernel
    FuncTorchBatched   (vmap) and, in Autograd, any torch.func transform or forward-mode AD: the reference, which is made of
                       differentiable operations and therefore composes with every transform
    everything else    the raw forward kernel

A plain eager call takes none of this: dispatch.py goes straight to `Function.apply` or, without gradients, to the raw kernel.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Callable, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scratchnet import columns
from scratchnet.functions.flops import count
from scratchnet.ops import Op
from scratchnet.ops.op import result_types
from scratchnet.torch_private import any_requires_grad, below_autograd, transforming

if TYPE_CHECKING:
    from scratchnet.functions.dispatch import Operator

_libraries = {}  # namespace -> torch.library.Library; an operator lives as long as the Library that registered it


def tensors(args: tuple) -> list[Tensor]:
    return [a for a in args if isinstance(a, Tensor)]


def register(operator: Operator, namespace: str) -> None:
    """Define the three operators of one namespace; the C++ module supplies the raw kernels of "scratchnet"."""
    op, function = operator.op, operator.function
    library = _libraries.setdefault(namespace, torch.library.Library(namespace, "FRAGMENT"))
    operators = getattr(torch.ops, namespace)
    alone = f"{op.name}_{'outputs' if op.outputs_alone and namespace == 'scratchnet' else 'forward'}"

    for direction in op.directions if namespace == "scratchnet" else ("forward", "backward"):
        library.define(f"{op.name}_{direction}{op.schema(direction)}", tags=(torch.Tag.pt2_compliant_tag,))
        library.impl(f"{op.name}_{direction}", _on_nothing(op, direction), "Meta")
        count(operators, f"{op.name}_{direction}", op, direction)
        if namespace == "scratchnet_numpy":
            library.impl(f"{op.name}_{direction}", _on_numpy(op, direction), "CPU")
        if namespace == "scratchnet_triton":
            for device in ("CPU", "CUDA"):  # ROCm calls itself CUDA too
                library.impl(f"{op.name}_{direction}", _on_triton(op, direction), device)

    arguments = op.schema("forward").partition(" -> ")[0]
    library.define(f"{op.name}{arguments} -> {result_types(len(op.outputs))}", tags=(torch.Tag.pt2_compliant_tag,))
    count(operators, op.name, op, "forward")

    def plain(*args):
        return operator.plain(*op.packed("forward", args[:-1]))

    def composite(*args):
        return operator.take(getattr(operators, alone).default(*args))

    def autograd(keyset, *args):
        if transforming():
            return plain(*args)
        if torch.is_grad_enabled() and any_requires_grad(*tensors(args)):
            return function.apply(operator.cell(namespace, args[-1]), *op.packed("forward", args[:-1]))
        with below_autograd():
            return composite(*args)

    library.impl(op.name, composite, "CompositeExplicitAutograd")
    library.impl(op.name, autograd, "Autograd", with_keyset=True)
    library.impl(op.name, plain, "FuncTorchBatched")


@functools.cache
def _on_nothing(op: Op, direction: str) -> Callable:
    """A kernel for tensors without numbers: what the formula would return, contiguous; empty where it returns None."""

    def run(*args):
        results = columns.shapes(op, direction)(*op.packed(direction, args[:-1]))
        like = tensors(args)[0]
        allocate = lambda t: like.new_empty(0) if t is None else like.new_empty(t.shape, dtype=t.dtype)
        return allocate(results) if isinstance(results, Tensor) else tuple(map(allocate, results))

    return run


def _on_numpy(op: Op, direction: str) -> Callable:
    """A NumPy kernel as a torch one: float64 arrays in, results rounded to the dtypes that the reference has."""

    @functools.lru_cache(1024)  # running the formula takes several milliseconds
    def like(*args):
        args = [torch.empty(a.shape, dtype=a.dtype, device="meta") if isinstance(a, _Like) else a for a in args]
        return columns.shapes(op, direction)(*op.packed(direction, args))

    def run(*args):
        wanted = like(*map(_hashable, args[:-1]))
        arrays = [_array(a) if isinstance(a, Tensor) else a for a in args[:-1]]
        results = columns.kernel(op, "numpy", direction)(*op.packed(direction, arrays))
        if isinstance(wanted, Tensor):
            return _tensor(results, wanted)
        return tuple(map(_tensor, results, wanted))

    return run


class _Like(NamedTuple):
    """A tensor without its numbers."""

    shape: torch.Size
    dtype: torch.dtype


def _hashable(argument):
    if isinstance(argument, Tensor):
        return _Like(argument.shape, argument.dtype)
    return tuple(argument) if isinstance(argument, list) else argument


def _on_triton(op: Op, direction: str) -> Callable:
    """A Triton launcher as a kernel; the first one to run imports Triton, which takes a second or two."""

    def run(*args):
        results = columns.kernel(op, "triton", direction, args[-1])(*op.packed(direction, args[:-1]))
        if isinstance(results, Tensor):
            return results
        return tuple(next(iter(tensors(args))).new_empty(0) if t is None else t for t in results)

    return run


def _array(t: Tensor) -> np.ndarray:
    return (t.double() if t.is_floating_point() else t).numpy(force=True)


def _tensor(array: np.ndarray | None, like: Tensor | None) -> Tensor:
    if like is None:
        return torch.empty(0)
    return torch.from_numpy(np.array(array, order="C")).to(like.dtype)
