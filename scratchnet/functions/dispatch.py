"""Which kernel runs a call, and why: torch's own function, or one of ours, called in a way that autograd can follow.

User-level functions are decorated: `or_torch` and `fastest_first` send to torch's own function the calls that it has to take
(`backend("torch")`, tensors that no kernel knows, devices without measured kernels) and those at which it was measured to be
faster. The rest go through an `Operator`: to a kernel of the named backend or of "cpp", or to the reference if there is none.
"""

from __future__ import annotations

import functools
import inspect
from typing import Callable, Iterable, TypeVar

import torch
from torch import Tensor, get_num_threads
from torch.compiler import is_compiling, is_dynamo_compiling

from scratchnet import backends, columns, profile
from scratchnet.functions.checks import AUTOCAST, FLOATS, HALVES
from scratchnet.functions.layout import LaidOut, Layout
from scratchnet.functions.library import register
from scratchnet.ops import BACKENDS, OPS, Op
from scratchnet.ops.op import one_variant
from scratchnet.torch_private import (
    FakeTensor,
    FunctionalTensor,
    channels_last,
    goes_on_to,
    mapping,
    recording,
    tracing,
    transforming,
)

_Call = TypeVar("_Call", bound=Callable)  # a decorated function keeps its signature
OPERATORS: dict[str, Operator] = {}  # by name; a primitive's are there once its file in functions/ is imported
_NOT_FLOATS = (torch.int64, torch.bool)  # what kernels take beside tensors of their own dtype: indices, masks
_DEFAULT = backends.default()  # where kernels are measured against torch's own, which is on the CPU


class Function(torch.autograd.Function):
    """torch's, for an operator: `forward(ctx, kernel, *inputs, options)` stores the kernel in ctx.

    The error about a saved tensor that was changed in place names the function that saved it.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "backward" in vars(cls):
            cls.backward = staticmethod(_naming(cls.__name__, cls.backward))


def wanted(ctx) -> tuple[bool, ...]:
    """Which arguments of `forward` this backward pass needs a gradient of; for `backward` alone.

    ctx.needs_input_grad says which of them require one. torch.autograd.grad(y, x) and backward(inputs=...) ask for some of
    these only: the engine does not go on to the nodes of the others.
    """
    required = ctx.needs_input_grad
    if required.count(True) < 2 or is_compiling():  # a single one is wanted, or backward would not run; a graph is for all
        return required
    run = goes_on_to(ctx.next_functions)
    return tuple([need and run.pop() for need in required]) if run else required


def gradients(ctx, *args) -> tuple[Tensor | None, ...]:
    """The result of `backward`, by the kernel that `forward` stored in ctx; args: the kernel's, without what is needed."""
    places, needed = ctx.kernel.places, wanted(ctx)
    if len(places) == 1:
        return lined_up(ctx, needed, ctx.kernel.backward(*args))
    return lined_up(ctx, needed, *ctx.kernel.backward(*args, *[needed[place] for place in places]))


def lined_up(ctx, needed: tuple[bool, ...], *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    """The operator's gradients in the places of the arguments of `forward`, None in the others and where none is needed."""
    result: list[Tensor | None] = [None] * len(needed)
    for place, gradient in zip(ctx.kernel.places, gradients, strict=True):
        if needed[place]:
            result[place] = gradient
    return tuple(result)


def _naming(name: str, backward: Callable) -> Callable:
    @functools.wraps(backward)
    def call(ctx, *grads):
        try:
            return backward(ctx, *grads)
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            reason = f"{name} saved this tensor for its backward pass"
            raise RuntimeError(f"{error} {reason}: write x = x + 1 in place of x += 1, or change a clone") from None

    return call


class Kernel:
    """One cell of the grid: the forward and backward kernel of an operator on one backend, at one rung."""

    def __init__(self, op: Op, column: str, rung: int):
        self.op, self.column, self.rung = op, column, rung
        self.optional = op.options is not None
        self.places = [1 + place for place in op.places]  # after the kernel itself, in the arguments of a Function
        self.devices = BACKENDS[column].devices
        self.differentiable = columns.raw(op, column)
        self.gradients = None  # a kernel that returns outputs and gradients; its arguments: those of forward, the needs
        if op.at_once and column == "cpp":
            self.gradients = columns.kernel(op, column, "gradients", rung)

    # Looked up on first use: most cells never run in a process, and looking up all of them would lengthen the import.
    @functools.cached_property
    def _forward(self) -> Callable:
        return columns.raw(self.op, self.column, "forward")

    @functools.cached_property
    def _outputs(self) -> Callable:
        alone = self.op.outputs_alone and columns.NAMESPACES[self.column] == "scratchnet"
        return columns.raw(self.op, self.column, "outputs" if alone else "forward")

    @functools.cached_property
    def _backward(self) -> Callable:
        return columns.raw(self.op, self.column, "backward")

    def flat(self, args: tuple) -> tuple:
        """The arguments of forward as registered operators take them; op.flat, for any direction, takes twice as long."""
        return (*args[:-1], *args[-1], self.rung) if self.optional else (*args, self.rung)

    def graphed(self, args: tuple):
        """The outputs by the differentiable operator, which a graph that is being recorded holds as one node."""
        flat = self.flat(args)
        if tracing():  # by torch.jit.trace, for which a size is a tensor: in a list of options it becomes a constant
            flat = tuple(list(map(int, value)) if isinstance(value, (list, tuple)) else value for value in flat)
        return self.differentiable(*flat)

    def forward(self, *args):
        return self._forward(*self.flat(args))

    def outputs(self, *args):
        """Those of forward, perhaps without what is kept for backward."""
        return self._outputs(*self.flat(args))

    def backward(self, *args):
        if torch.is_grad_enabled():  # create_graph=True: the formula in plain torch operations is differentiable again
            return columns.kernel(self.op, "reference", "backward")(*args)
        return self._backward(*self.op.flat("backward", args), self.rung)


class Operator:
    """The link between a user-level function and its kernels: chooses one and calls it in a way that autograd can follow.

    function: the torch.autograd.Function; its forward takes (ctx, kernel, *the arguments that `Op` names).
    autocast: device types on which torch.autocast casts the floating arguments to its low precision ("low"), or to float32.
    constant: inputs that no kernel has a gradient for; where one is needed, the reference runs.
    layout: how the kernels are to see a first input that does not lie in memory as they expect it, or None.
    wide: the kernels take inputs in float32 beside 16-bit ones.
    """

    def __init__(
        self,
        name: str,
        function: type[Function],
        autocast: dict[str, str] | None = None,
        constant: tuple[str, ...] = (),
        layout: Callable[[Tensor], Layout | None] | None = None,
        wide: bool = False,
    ):
        self.op = OPS[name]
        self.function = function
        self.inputs, self.outputs = len(self.op.inputs), len(self.op.outputs)
        self.autocast = autocast or {}
        self.layout = layout
        self.wide = wide
        self.constant = [self.op.arguments("forward").index(argument) for argument in constant]
        self.formula = columns.kernel(self.op, "reference", "forward")
        for namespace in dict.fromkeys(name for column, name in columns.NAMESPACES.items() if self.op.rungs(column)):
            register(self, namespace)
        # All cells of the row are made now, not on first use, so that torch.compile traces the choice and not the construction.
        self.cells: dict[str, Kernel] = {}  # by the name that backend(...) takes; a column without kernels has none
        for column in columns.NAMESPACES:
            rungs = columns.numbered(self.op, column)
            kernels = {rung: Kernel(self.op, column, rung) for rung in set(rungs.values())}
            self.cells.update({name: kernels[rung] for name, rung in rungs.items()})
        OPERATORS[name] = self

    def take(self, results):
        """The outputs among a forward kernel's results."""
        if isinstance(results, Tensor):
            return results
        return results[0] if self.outputs == 1 else tuple(results[: self.outputs])

    def kernel(self, device: str, dtype: torch.dtype) -> Kernel | None:
        """The kernel that runs on tensors of a device and dtype; None: the reference."""
        if dtype not in FLOATS:  # integers and complex numbers
            return None
        cell = self.cells.get(backends._named or _DEFAULT)
        return cell if cell is not None and device in cell.devices else None

    def cell(self, namespace: str, rung: int) -> Kernel:
        """The cell that an operator of a graph names by its namespace and rung."""
        column = next(c for c, n in columns.NAMESPACES.items() if n == namespace)
        return self.cells[f"{column}:{rung}"]

    def plain(self, *args):
        """The reference: plain differentiable PyTorch operations."""
        return self.take(self.formula(*args))

    def __call__(self, *args):
        first = args[0]
        device = first.device.type  # a graph would hold is_cpu, which is quicker, as a node
        if self.autocast and device in self.autocast and torch.is_autocast_enabled(device):
            args = self.cast(device, args)
            first = args[0]
        dtype = first.dtype
        kernel = self.kernel(device, dtype)
        if kernel is None:
            return self.plain(*args)
        learns = first.requires_grad
        for a in args[1 : self.inputs]:
            if a is not None:
                if a.dtype is not dtype and a.dtype not in _NOT_FLOATS:
                    if not (self.wide and a.dtype is torch.float32 and dtype in HALVES):
                        return self.plain(*args)
                learns = learns or a.requires_grad
        learns = learns and torch.is_grad_enabled()
        if learns and any(args[place] is not None and args[place].requires_grad for place in self.constant):
            return self.plain(*args)
        layout = self.layout(first) if self.layout else None
        if recording():
            if layout is None:
                return kernel.graphed(args)
            results = kernel.graphed((layout.into(first), *args[1:]))
            return layout.back(results) if isinstance(results, Tensor) else (layout.back(results[0]), *results[1:])
        if layout is not None:
            kernel = LaidOut(kernel, layout)
        if learns:
            return self.function.apply(kernel, *args)
        return self.take(kernel.outputs(*args))

    def cast(self, device: str, args: tuple) -> tuple:
        dtype = torch.get_autocast_dtype(device) if self.autocast[device] == "low" else torch.float32
        return tuple(a.to(dtype) if isinstance(a, Tensor) and a.dtype in AUTOCAST else a for a in args)


# What a kernel may be called with: plain tensors, and the two kinds that stand in for one while a graph is traced.
_KNOWN = frozenset({Tensor, torch.nn.Parameter, FakeTensor, FunctionalTensor})
_STRIDED = torch.strided
PLAIN = frozenset({Tensor, torch.nn.Parameter})
_NO_LIMITS = (0, 0)
_OPTIONS = frozenset({type(None), bool, int, float, str, tuple, list, torch.Size, torch.dtype})


def unknown(values: Iterable) -> bool:
    """Whether the arguments of a call include a tensor that no kernel knows, so that torch's own function has to run.

    That is any layout except strided, any subclass that is not named above (DTensor, quantized weights, jagged nested tensors),
    a first tensor that is quantized or nested, and anything that stands in for a tensor, such as an fx.Proxy.
    """
    first = True
    for value in values:
        kind = type(value)
        if kind in _KNOWN:
            if value.layout is not _STRIDED or first and (value.is_nested or value.is_quantized):
                return True
            first = False
        elif kind not in _OPTIONS and hasattr(kind, "__torch_function__"):
            return True
    return False


def torch_runs(x: Tensor, op: Op | None = None, args: tuple = (), kwargs: dict = {}) -> bool:  # noqa: B006
    """Whether torch's own function runs: it is named; or no backend is, and it is the fastest one for a first argument x.

    On a device whose kernels have not been measured against torch's own, it always is; elsewhere, it is in eager code where the
    profile says so of this call of op, whose arguments are args and kwargs.
    """
    if backends._named is not None:
        return backends._named == backends.TORCH
    kind = type(x)
    if kind not in _KNOWN:
        return False
    if _DEFAULT == backends.TORCH or not x.is_cpu:
        return True
    if op is None:
        return False
    if kind in PLAIN and not is_compiling():  # a traced size would be a guard, and another graph for each side of it
        variant = "" if op.variant is one_variant else op.variant(*args, **kwargs)  # small calls have no time for it
        size = op.work(*args, **kwargs) if op.work else x.numel()
        if not profile.ours(op.name, variant, x.dtype, size) and not transforming():
            return True
    if op.planar:
        for a in (*args, *kwargs.values()) if kwargs else args:
            if type(a) in _KNOWN and channels_last(a):
                return True
    return False


def or_torch(
    own: Callable,
    op: Op | None = None,
    look: Callable[[Tensor], None] | None = None,
    explain: Callable[..., None] | None = None,
    by: int = 0,
) -> Callable[[_Call], _Call]:
    """Decorate a user-level function: `own`, torch's for the same arguments, runs where it has to or is faster.

    op: the operator whose figures say where it is faster, for the size of argument number `by`, the operator's first. A call
    that `own` refuses goes on to ours, which says what is wrong and what would be right. `look` may warn about that argument.
    explain: for functions of indices or classes. The kernels of all columns raise IndexError for one that is out of range; then
    `explain` is called with all arguments by name and raises the user's error.
    """

    def decorate(function: _Call) -> _Call:
        name = list(inspect.signature(function).parameters)[by]
        named, variant_of, work = (op.name, op.variant, op.work) if op else ("", one_variant, None)

        @functools.wraps(function)
        def call(*args, **kwargs):
            first = args[by] if len(args) > by else kwargs.get(name)
            if look and type(first) is Tensor:
                look(first)
            try:
                # What torch_runs would say of a small call, in half the time
                if named and type(first) in PLAIN and backends._named is None and not is_dynamo_compiling():
                    variant = "" if variant_of is one_variant else variant_of(*args, **kwargs)
                    limit = profile.tiny.get((named, variant), _NO_LIMITS)[get_num_threads() > 1]
                    size = work(*args, **kwargs) if work else first.numel()
                    if size < limit and first.dtype is torch.float32 and not mapping():
                        return own(*args, **kwargs)
                if torch_runs(first, op, args, kwargs):
                    return own(*args, **kwargs)
            except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError):
                pass  # ours explains it better
            if unknown(args) or kwargs and unknown(kwargs.values()):  # only now: small calls have no time for it
                return own(*args, **kwargs)
            if explain is None:
                return function(*args, **kwargs)
            try:
                return function(*args, **kwargs)
            except IndexError as error:
                refused = error
            # outside the except clause: the user reads one error, not two
            given = inspect.signature(function).bind(*args, **kwargs)
            given.apply_defaults()
            explain(**given.arguments)
            raise refused

        return call

    return decorate


def fastest_first(
    name: str, look: Callable[[Tensor], None] | None = None, explain: Callable[..., None] | None = None
) -> Callable[[_Call], _Call]:
    """`or_torch` for the function of operator `name`, not for one that writes to its arguments before it can fail."""
    op = OPS[name]
    return or_torch(op.torch, op, look, explain)


def default(op: Op, args: tuple, kwargs: dict) -> str:
    """The backend that runs a call when none is named."""
    first = next(value for value in args if isinstance(value, Tensor) and value.is_floating_point())
    with backends.backend(None):
        return backends.TORCH if torch_runs(first, op, args, kwargs) else backends.default()
