"""Layers of other libraries that compute what a function of ours computes: recognised by their results, not by their names.

Transformers alone has some forty copies of RMSNorm, each a class of its own. A layer is a candidate if it has the parameters
that the function takes and nothing inside, or the layers that a known block holds. Its results and gradients are compared with
ours, in training and in eval mode; it becomes ours only if all agree.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import types
from typing import Any, Callable, Iterator

import torch
from torch import Tensor
from torch.nn import Module

from scratchnet.accelerate.wrapped import plain
from scratchnet.nn import functional as F
from scratchnet.nn.fused import add_norm
from scratchnet.ops.gated import GATES_BY

ACTIVATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "gelu": ("gelu", {}),
    "gelu (tanh)": ("gelu", {"approximate": "tanh"}),
    "silu": ("silu", {}),
    "quick_gelu": ("quick_gelu", {}),
    "squared_relu": ("squared_relu", {}),
}
GATES = tuple(dict.fromkeys(("silu", *GATES_BY)))  # of a gated feed-forward layer, the usual one first: each try runs the layer
EPSILONS = (1e-5, 1e-6, 1e-8, 1e-12)  # of norms that keep theirs in no attribute


class LookAlike:
    """First base of what `twin` makes: a layer of another library whose forward is ours.

    found: what the formula needs besides the parameters, found by trying.
    """

    replaces: type[Module]  # the class that the layer had
    formula: type[LookAlike]
    found: tuple = ()

    def forward(self, *args: Tensor, **named: Tensor) -> Tensor:
        if named:  # by the other library's names
            args = _in_order(self.replaces, *args, **named)
        input, weight = args[0], getattr(self, "weight", args[0])
        if input.dtype != weight.dtype:
            return super().forward(*args)  # the rules for mixed dtypes are that library's
        return self.compute(*args, *self.found)

    def compute(self, *args: Any) -> Tensor:
        """The formula, of the inputs and what was found."""
        raise NotImplementedError

    def what(self) -> str:
        """The formula and what was found, for people."""
        return ", ".join([self.formula.__name__.strip("_"), *map(str, self.found)])

    def __reduce_ex__(self, protocol: Any) -> tuple:
        reduced = tuple(super().__reduce_ex__(protocol))
        return (_empty, (self.replaces, self.formula), *reduced[2:])  # the class was made at run time: this says how


class _Activation(LookAlike):
    """An elementwise function."""

    def compute(self, input: Tensor, name: str) -> Tensor:
        function, options = ACTIVATIONS[name]
        return getattr(F, function)(input, **options)


class _RMSNorm(LookAlike):
    """x / sqrt(mean(x^2) + eps) * (weight + shift); Gemma's shift is 1."""

    def compute(self, input: Tensor, eps: float, shift: float) -> Tensor:
        weight = self.weight + shift if shift else self.weight
        return F.rms_norm(input, weight.shape, weight, eps)


class _LayerNorm(LookAlike):
    """Whose weight and bias belong to the last axis."""

    def compute(self, input: Tensor, eps: float) -> Tensor:
        return F.layer_norm(input, self.weight.shape, self.weight, self.bias, eps)


class _Linear(LookAlike):
    """x weight^T + bias."""

    def compute(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)


class _TransposedLinear(LookAlike):
    """x weight + bias: GPT-2's Conv1D, whose weight is (in, out)."""

    def compute(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.T, self.bias)


class _GatedFeedForward(LookAlike):
    """down(act(gate(x)) * up(x)), Llama's MLP; found: the names of the three layers inside, and the activation."""

    def compute(self, input: Tensor, gate: str, up: str, down: str, activation: str) -> Tensor:
        layers = self._modules
        return layers[down](F.gated(layers[gate](input), layers[up](input), activation))


class _ResidualNorm(LookAlike):
    """norm(dropout(dense(x)) + residual), the end of BERT's blocks, where the sum and its norm are one call.

    found: the names of the three layers inside.
    """

    def compute(self, input: Tensor, residual: Tensor, dense: str, dropout: str, norm: str) -> Tensor:
        layers = self._modules
        return add_norm(layers[dropout](layers[dense](input)), residual, layers[norm])[1]


def _in_order(kind: type[Module], *args: Tensor, **named: Tensor) -> tuple[Tensor, ...]:
    bound = inspect.signature(kind.forward).bind(None, *args, **named)
    return bound.args[1:]


@functools.cache
def twin(kind: type[Module], formula: type[LookAlike]) -> type[Module]:
    """The class `kind` with the forward of a formula: an instance of one is a valid instance of the other."""
    facts = {"replaces": kind, "formula": formula, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return types.new_class(kind.__name__, (formula, kind), exec_body=lambda names: names.update(facts))


def recognise(module: Module) -> tuple[type[LookAlike], tuple] | None:
    """The formula that a layer computes, and what it needs besides the parameters; None if that could not be shown."""
    shapes = {name: parameter.dim() for name, parameter in module.named_parameters(recurse=False)}
    buffers = any(True for _ in module.buffers())
    if buffers or not all(parameter.is_cpu for parameter in module.parameters()) or plain(type(module)) is not type(module):
        return None  # a layer that fully_shard has split would be gathered to be tried
    for formula, found in _candidates(module, shapes):
        layer = functools.partial(_call_as, module, twin(type(module), formula), found)
        if _agree(module, layer, shapes):
            return formula, found
    return None


def _candidates(module: Module, shapes: dict[str, int]) -> Iterator[tuple[type[LookAlike], tuple]]:
    """What a layer with these parameters may be."""
    if children := dict(module.named_children()):
        ranks = {name: _rank(child) for name, child in children.items()}
        matrices = [name for name, rank in ranks.items() if rank == 2]
        if not shapes and sorted(ranks.values()) == [0, 1, 2]:
            yield _ResidualNorm, tuple(sorted(ranks, key=lambda name: (2, 0, 1).index(ranks[name])))
        if not shapes and len(children) == 4 and len(matrices) == 3:
            orders = ((gate, up, down) for gate, up, down in itertools.permutations(matrices) if _fit(children, gate, up, down))
            yield from ((_GatedFeedForward, (*order, gate)) for order in orders for gate in GATES)
        return
    own = (value for name, value in vars(module).items() if isinstance(value, float) and 0 < value < 0.1)
    epsilons = [*own, *EPSILONS]
    if not shapes:
        yield from ((_Activation, (name,)) for name in ACTIVATIONS)
    elif shapes == {"weight": 1}:
        yield from ((_RMSNorm, (eps, shift)) for eps in epsilons for shift in (0.0, 1.0))
    if "bias" in shapes or getattr(module, "bias", module) is None:
        if shapes in ({"weight": 1}, {"weight": 1, "bias": 1}):
            yield from ((_LayerNorm, (eps,)) for eps in epsilons)
        elif shapes in ({"weight": 2}, {"weight": 2, "bias": 1}):
            yield from ((formula, ()) for formula in (_Linear, _TransposedLinear))


def _rank(layer: Module) -> int:
    """How many axes the weight of a layer has."""
    weight = getattr(layer, "weight", None)
    return 0 if weight is None else weight.dim()


def _fit(layers: dict[str, Module], gate: str, up: str, down: str) -> bool:
    """Whether a row of the first two matrices' results is one that the third takes, whose results are like their inputs."""
    first, second, third = (tuple(layers[name].weight.shape) for name in (gate, up, down))
    return first == second == third[::-1]


def _call_as(module: Module, kind: type[Module], found: tuple, parameters: dict[str, Tensor], *inputs: Tensor) -> Tensor:
    """Call a stand-in of the class `kind` on the parameters; the layer itself does not change."""
    stand_in = _empty(kind.replaces, kind.formula)
    stand_in.__dict__ |= module.__dict__ | {"found": found}
    return torch.func.functional_call(stand_in, parameters, inputs)


def _agree(module: Module, ours: Callable[..., Tensor], shapes: dict[str, int]) -> bool:
    """Whether results and gradients are the same up to rounding, in both modes, for inputs and parameters of many sizes."""
    modes = {inside: inside.training for inside in module.modules()}
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            for inputs, parameters in _probes(module, shapes):
                for mode in (True, False):
                    for inside in modes:
                        inside.training = mode
                    theirs = _with_gradients(lambda p, *x: torch.func.functional_call(module, p, x), parameters, inputs)
                    if not _close(theirs, _with_gradients(ours, parameters, inputs)):
                        return False
        return True
    except Exception:  # another signature, other shapes, no gradient: whatever it is, it is not this formula
        return False
    finally:
        for inside, mode in modes.items():
            inside.training = mode


def _probes(module: Module, shapes: dict[str, int]) -> Iterator[tuple[tuple[Tensor, ...], dict[str, Tensor]]]:
    """Inputs and parameters. Random ones for vectors, which start as ones or zeros; the layer's own for matrices."""
    dtypes = (torch.float64, torch.float32, torch.bfloat16)
    if children := list(module.children()):
        matrix = next(child.weight for child in children if _rank(child) == 2)
        parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
        sizes = matrix.shape[::-1] if len(children) == 3 else matrix.shape[1:]  # a residual is like the result
        yield tuple(torch.randn(2, 3, size, dtype=torch.float64).to(matrix.dtype) for size in sizes), parameters
    elif not shapes:
        grid = torch.linspace(-12, 12, 1001, dtype=torch.float64)
        for shape in ((1001,), (7, 143), (7, 11, 13, 1)):
            yield from (((grid.view(shape).to(dtype),), {}) for dtype in dtypes)
    elif shapes["weight"] == 1:
        (size,) = module.weight.shape
        for scale in (1.0, 1e-3, 30.0):  # at the second, epsilon matters
            for dtype in dtypes if scale == 1 else dtypes[:1]:
                parameters = {name: torch.randn(size, dtype=torch.float64).to(dtype) for name in shapes}
                yield ((torch.randn(2, 3, size, dtype=torch.float64) * scale + 0.3 * scale).to(dtype),), parameters
                yield ((torch.randn(5, size, dtype=torch.float64) * scale).to(dtype),), parameters
    else:
        for features in {*module.weight.shape}:
            try:
                for input in (torch.randn(3, features), torch.randn(2, 1, features)):
                    input = input.to(module.weight.dtype)
                    module(input)
                    yield (input,), {name: parameter.detach() for name, parameter in module.named_parameters()}
            except RuntimeError:  # the other size is that of its input
                continue


def _with_gradients(call: Callable, parameters: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    leaves = [leaf.detach().requires_grad_() for leaf in (*inputs, *parameters.values())]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)  # of dropout
        y = call(dict(zip(parameters, leaves[len(inputs) :], strict=True)), *leaves[: len(inputs)])
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, leaves, upstream)]


def _close(theirs: list[Tensor], ours: list[Tensor]) -> bool:
    """Libraries compute norms of any dtype in float32, and round 16-bit results more than once."""
    for a, b in zip(theirs, ours, strict=True):
        bound = (4 * torch.finfo(a.dtype).eps if a.element_size() == 2 else 1e-5) * a.abs().max()
        if a.shape != b.shape or a.dtype != b.dtype or not ((a - b).abs() <= bound).all():
            return False
    return True


def _empty(kind: type[Module], formula: type[LookAlike]) -> Module:
    return object.__new__(twin(kind, formula))
