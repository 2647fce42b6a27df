"""One helper that turns a plain torch.autograd.Function and its kernels into operators that compose with all of PyTorch.

Per operator and backend there are three registered operators (`<namespace>` is scratchnet, scratchnet_numpy, ...):

    <namespace>::<op>_forward, <op>_backward   the raw pair of kernels, unknown to autograd
    <namespace>::<op>                          the differentiable operator, which torch.compile and torch.export put into graphs

The differentiable one carries a Python kernel for each situation, because the public ways to register a gradient are silently
wrong in some of them (zero gradients under compile(func.grad), none through an exported program, wrong jvp):

    Autograd           apply the Function, whose backward calls the raw backward kernel
    FuncTorchBatched   (vmap) and, in Autograd, any torch.func transform or forward-mode AD: the torch column, which is made of
                       differentiable operations and therefore composes with every transform
    everything else    the raw forward kernel

A plain eager call takes none of this: it goes straight to `Function.apply` or, without gradients, to the raw kernel.
"""

from __future__ import annotations

import functools
from importlib import import_module
from importlib.util import find_spec
from typing import Callable, Iterable, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.autograd import forward_ad

from scratchnet import backends
from scratchnet.registry import BACKENDS, OPS, Op

_Call = TypeVar("_Call", bound=Callable)  # a decorated function keeps its signature
_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
OPERATORS: dict[str, Operator] = {}  # by name; a primitive's are there once its file in functions/ is imported
_libraries = {}  # namespace -> torch.library.Library; an operator lives as long as the Library that registered it


def tensors(args: tuple) -> list[Tensor]:
    return [a for a in args if isinstance(a, Tensor)]


class Function(torch.autograd.Function):
    """torch's, with the name of the function that saved it in the error about a saved tensor that was changed in place."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "backward" in vars(cls):
            cls.backward = staticmethod(_naming(cls.__name__, cls.backward))


def _naming(name: str, backward: Callable) -> Callable:
    @functools.wraps(backward)
    def call(ctx, *grads):
        try:
            return backward(ctx, *grads)
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            reason = f"The forward of {name} had saved it, for its backward needs it as it was"
            raise RuntimeError(f"{error} {reason}: write x = x + 1 in place of x += 1, or change a clone") from None

    return call


class Kernel:
    """One cell of the grid: the forward and backward kernel of an operator on one backend, at one rung."""

    def __init__(self, op: Op, column: str, rung: int):
        operators = getattr(torch.ops, backends.NAMESPACES[column])
        self.differentiable = getattr(operators, op.name).default
        self._forward = getattr(operators, f"{op.name}_forward").default
        self._backward = getattr(operators, f"{op.name}_backward").default
        self._formula = reference(op, "backward")
        self.gradients = None  # a kernel for outputs and gradients at once, with the arguments of forward and who needs one
        if op.gradients and column == "cpp":
            both = getattr(operators, f"{op.name}_gradients").default
            self.gradients = lambda *args: both(*args, rung)
        self.rung = rung
        self.devices = BACKENDS[column].devices

    def forward(self, *args):
        return self._forward(*args, self.rung)

    def backward(self, *args):
        if torch.is_grad_enabled():  # create_graph=True: the formula in plain torch operations is differentiable again
            return self._formula(*args)
        return self._backward(*args, self.rung)


def reference(op: Op, direction: str) -> Callable:
    """The torch column's function for an operator."""
    return getattr(import_module(f"scratchnet.reference.{op.room}"), f"{op.name}_{direction}")


def shapes(op: Op, direction: str) -> Callable:
    """What tells the shapes and dtypes of a kernel's results: <op>_<direction>_shapes of the torch column, else its formula."""
    column = import_module(f"scratchnet.reference.{op.room}")
    return getattr(column, f"{op.name}_{direction}_shapes", None) or reference(op, direction)


class Operator:
    """A user-level function's way to its kernels: chooses the backend and calls it so that autograd knows.

    function: the torch.autograd.Function; its forward takes (ctx, kernel, *arguments of the schema).
    outputs: how many results are outputs; the others are saved for backward and not returned.
    autocast: device types on which torch.autocast casts the floating arguments to its low precision ("low"), or to float32.
    """

    def __init__(self, name: str, function: type[Function], outputs: int = 1, autocast: dict[str, str] = {}):  # noqa: B006
        self.op = OPS[name]
        self.function = function
        self.outputs = outputs
        self.autocast = autocast
        self.formula = reference(self.op, "forward")
        for namespace in dict.fromkeys(name for column, name in backends.NAMESPACES.items() if self.op.rungs(column)):
            _register(self, namespace)
        # Every cell of the row, made now and not on first use: torch.compile traces the choice, not the construction.
        self.cells: dict[str, Kernel | None] = {}
        for column, backend in BACKENDS.items():
            last = len(self.op.rungs(column)) if column in backends.NAMESPACES else 0
            highest = max(map(len, backend.rungs.values()))  # a primitive with fewer rungs answers with its last one
            rungs = range(1, highest + 1)
            kernels = [Kernel(self.op, column, min(rung, last)) if last else None for rung in rungs]
            self.cells.update({f"{column}:{rung}": kernel for rung, kernel in zip(rungs, kernels, strict=True)})
            self.cells[column] = kernels[-1]
        self.fastest = {"cpu": self.cells[backends.fastest()]}
        OPERATORS[name] = self

    def take(self, results):
        """The outputs among a forward kernel's results."""
        if isinstance(results, Tensor):
            return results
        return results[0] if self.outputs == 1 else tuple(results[: self.outputs])

    def kernel(self, device: str, dtype: torch.dtype) -> Kernel | None:
        if dtype not in _FLOATS:  # integers and complex numbers: plain torch
            return None
        if backends._named is None:
            return self.fastest.get(device)
        cell = self.cells[backends._named]
        return cell if cell is not None and device in cell.devices else None

    def cell(self, namespace: str, rung: int) -> Kernel:
        """The cell that an operator of a graph names by its namespace and rung."""
        column = next(c for c, n in backends.NAMESPACES.items() if n == namespace)
        return self.cells[f"{column}:{rung}"]

    def plain(self, *args):
        """The torch column: plain differentiable PyTorch operations."""
        return self.take(self.formula(*args))

    def __call__(self, *args):
        first = args[0]
        device = first.device.type
        if self.autocast and device in self.autocast and torch.is_autocast_enabled(device):
            args = self.cast(device, args)
            first = args[0]
        kernel = self.kernel(device, first.dtype)
        if kernel is None or any(a.dtype not in (first.dtype, torch.int64) for a in args if isinstance(a, Tensor)):
            return self.plain(*args)
        if torch.compiler.is_compiling() or transforming():
            return kernel.differentiable(*args, kernel.rung)
        if torch.is_grad_enabled() and any(a.requires_grad for a in args if isinstance(a, Tensor)):
            return self.function.apply(kernel, *args)
        return self.take(kernel.forward(*args))

    def cast(self, device: str, args: tuple) -> tuple:
        dtype = torch.get_autocast_dtype(device) if self.autocast[device] == "low" else torch.float32
        return tuple(a.to(dtype) if isinstance(a, Tensor) and a.dtype in _FLOATS[:1] + _FLOATS[2:] else a for a in args)


# What a kernel may be called with: plain tensors, and the two kinds that stand for one while a graph is made.
_KNOWN = frozenset({Tensor, torch.nn.Parameter, FakeTensor, FunctionalTensor})
_OPTIONS = frozenset({type(None), bool, int, float, str, tuple, list, torch.Size, torch.dtype})


def unknown(values: Iterable) -> bool:
    """Whether a tensor among the arguments of a call is one that no kernel knows, so that torch's own function has to run.

    That is any layout but the strided one, any subclass that is not named above (DTensor, weights that are quantized, jagged
    nested tensors), a first tensor that is quantized or nested, and what takes the place of a tensor, as an fx.Proxy does.
    """
    first = True
    for value in values:
        kind = type(value)
        if kind in _KNOWN:
            if value.layout is not torch.strided or first and (value.is_nested or value.is_quantized):
                return True
            first = False
        elif kind not in _OPTIONS and hasattr(kind, "__torch_function__"):
            return True
    return False


def or_torch(own: Callable) -> Callable[[_Call], _Call]:
    """Decorate a user-level function: `own`, torch's for the same arguments, takes the calls with `unknown` tensors."""

    def decorate(function: _Call) -> _Call:
        @functools.wraps(function)
        def call(*args, **kwargs):
            if unknown(args) or kwargs and unknown(kwargs.values()):
                return own(*args, **kwargs)
            return function(*args, **kwargs)

        return call

    return decorate


def torch_is_faster(op: Op, x: Tensor) -> bool:
    """Whether no backend is named and torch's own runs faster in eager code: up to `Op.own_up_to` elements of x."""
    dtypes = (torch.float32, torch.float64, torch.bfloat16)  # not float16: torch's products are many times slower there
    return (
        not torch.compiler.is_compiling()  # first: a traced size would be a guard, and another graph for each side of the limit
        and backends._named is None
        and type(x) in (Tensor, torch.nn.Parameter)
        and x.dtype in dtypes
        and x.numel() <= op.own_up_to
        and not transforming()
    )


def fastest_first(name: str, look: Callable[[Tensor], None] | None = None) -> Callable[[_Call], _Call]:
    """`or_torch` for the user-level function of operator `name`, whose own also runs where it is faster for the first argument.

    A call that torch's own refuses goes on to ours, whose checks say what is wrong and how to mend it; so this is not for
    functions that write to their arguments. `look` may warn of the first argument.
    """
    op = OPS[name]

    def decorate(function: _Call) -> _Call:
        @functools.wraps(function)
        def call(*args, **kwargs):
            if unknown(args) or kwargs and unknown(kwargs.values()):
                return op.torch(*args, **kwargs)
            if look and args and type(args[0]) is Tensor:
                look(args[0])
            if args and torch_is_faster(op, args[0]):
                try:
                    return op.torch(*args, **kwargs)
                except (RuntimeError, LookupError, ValueError, TypeError):  # ours says it better
                    pass
            return function(*args, **kwargs)

        return call

    return decorate


def transforming() -> bool:
    """Whether a torch.func transform or forward-mode AD is at work."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def batched(grad: Tensor) -> bool:
    """Whether a vmap, new or old, may be at work on `grad`: it cannot write a batch into a tensor that is none."""
    return transforming() or torch._C._functorch.is_legacy_batchedtensor(grad)


def _register(operator: Operator, namespace: str) -> None:
    """Define the three operators of one namespace; the C++ module supplies the raw kernels of "scratchnet"."""
    op, function = operator.op, operator.function
    library = _libraries.setdefault(namespace, torch.library.Library(namespace, "FRAGMENT"))

    def define(name: str, schema: str, fake: Callable) -> None:
        arguments, results = schema.split(" -> ")
        library.define(f"{name}{arguments[:-1]}, int rung) -> {results}", tags=(torch.Tag.pt2_compliant_tag,))
        torch.library.register_fake(f"{namespace}::{name}", fake, lib=library)

    directions = ("forward", "backward", "gradients") if op.gradients and namespace == "scratchnet" else ("forward", "backward")
    for direction in directions:
        formula = shapes(op, direction)
        fake = lambda *args, formula=formula: _allocate(formula(*args[:-1]), args)
        define(f"{op.name}_{direction}", getattr(op, direction), fake)
        if namespace == "scratchnet_numpy":
            kernel = getattr(import_module(f"scratchnet.numpy.{op.room}"), f"{op.name}_{direction}")
            library.impl(f"{op.name}_{direction}", _on_numpy(kernel, formula), "CPU")
        if namespace == "scratchnet_triton":
            for device in ("CPU", "CUDA"):  # ROCm calls itself CUDA too
                library.impl(f"{op.name}_{direction}", _on_triton(op, direction), device)

    arguments, results = op.forward.split(" -> ")
    outputs = "Tensor" if operator.outputs == 1 else f"({', '.join(['Tensor'] * operator.outputs)})"
    library.define(f"{op.name}{arguments[:-1]}, int rung) -> {outputs}", tags=(torch.Tag.pt2_compliant_tag,))
    raw = f"{op.name}_forward"

    def composite(*args):
        return operator.take(getattr(getattr(torch.ops, namespace), raw).default(*args))

    def autograd(keyset, *args):
        if transforming():
            return operator.plain(*args[:-1])
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*tensors(args)):
            return function.apply(operator.cell(namespace, args[-1]), *args[:-1])
        with torch._C._AutoDispatchBelowAutograd():
            return composite(*args)

    library.impl(op.name, composite, "CompositeExplicitAutograd")
    library.impl(op.name, autograd, "Autograd", with_keyset=True)
    library.impl(op.name, lambda *args: operator.plain(*args[:-1]), "FuncTorchBatched")


def _allocate(results, args: tuple):
    """Fake results of a kernel: what the formula would return, contiguous; an empty tensor where it returns None."""
    like = next(a for a in args if isinstance(a, Tensor))

    def allocate(t: Tensor | None) -> Tensor:
        return like.new_empty(0) if t is None else like.new_empty(t.shape, dtype=t.dtype)

    return allocate(results) if isinstance(results, Tensor) else tuple(map(allocate, results))


def _on_numpy(kernel: Callable, formula: Callable) -> Callable:
    """A NumPy kernel as a torch one: float64 arrays in, results rounded to the dtypes that the torch column has."""

    @functools.lru_cache(1024)  # running the formula takes several milliseconds
    def like(*args):
        return formula(*(torch.empty(a.shape, dtype=a.dtype, device="meta") if isinstance(a, _Like) else a for a in args))

    def run(*args):
        wanted = like(*map(_hashable, args[:-1]))
        results = kernel(*(_array(a) if isinstance(a, Tensor) else a for a in args[:-1]))
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


def launcher(op: Op, direction: str, rung: int | None = None) -> Callable:
    """The Triton column's function for an operator, of its best rung if none is named."""
    return getattr(import_module(triton_file(op.name, op.primitive, rung)), f"{op.name}_{direction}")


@functools.cache
def triton_file(name: str, primitive: str, rung: int | None) -> str:
    """The file of an early rung if there is one, else the operator's own, else its primitive's."""
    files = [f"scratchnet.kernels.{file}" for file in (f"{name}_{rung}", name, primitive)]
    return next(file for file in files if find_spec(file))


def _on_triton(op: Op, direction: str) -> Callable:
    """A Triton launcher as a kernel; Triton is imported when the first one runs, which takes a second or two."""

    def run(*args):
        results = launcher(op, direction, args[-1])(*args[:-1])
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
