"""What a kernel takes and returns: `forward` and `backward` of one operator, in Python or in C++.

Both take the arguments of torch's function of that name, in its order; backward takes grad_output before them (of several
outputs, one each) and returns one gradient for each tensor that has one. Nothing is saved: backward recomputes what it needs.
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor

from scratchnet.measure.verify import Call, as_tuple, function
from scratchnet.ops import Op

DIRECTIONS = ("forward", "backward")
C_TYPES = {float: "double", int: "int64_t", bool: "bool", str: "const char*"}
PROBES = ((5, 7), (11, 13))  # sizes of examples, from which sizes that are always equal can be told


class KernelError(Exception):
    """What is wrong with a kernel, in words for its author."""


class Contract:
    """What a kernel of one operator takes and returns, read from the operator's examples.

    The arguments in order are those of the example `plain`; what other examples have beside them are options, by keyword.
    """

    def __init__(self, op: Op):
        self.op = op
        self.plain = _of_a_matrix(op)
        args, kwargs = op.examples[self.plain](2, 3, torch.float32)
        self.signature = inspect.signature(function(op))
        self.arguments = self.signature.bind(*args, **kwargs).arguments
        learned = [isinstance(a, Tensor) and a.requires_grad for a in self.arguments.values()]
        self.learned = [place for place, wanted in enumerate(learned) if wanted]  # the arguments that have a gradient
        count = len(as_tuple(function(op)(*args, **kwargs)))
        one = count == 1
        self.incoming = {"forward": [], "backward": ["grad_output"] if one else [f"grad_{y}" for y in op.outputs[:count]]}
        gradients = [f"grad_{list(self.arguments)[place]}" for place in self.learned]
        self.results = {"forward": ["output"] if one else list(op.outputs[:count]), "backward": gradients}

    def names(self, direction: str) -> list[str]:
        """The arguments of the function."""
        return [*self.incoming[direction], *self.arguments]

    def python(self, direction: str) -> str:
        """The function's signature in Python."""
        return f"{direction}({', '.join(self.names(direction))}) -> {', '.join(self.results[direction])}"

    def prototype(self, direction: str) -> str:
        """The function's signature in C++: arguments, results, sizes."""
        values = dict.fromkeys(self.incoming[direction], torch.empty(0)) | self.arguments
        there = [name for name in self.names(direction) if not isinstance(values[name], (tuple, type(None)))]
        parts = [_declare(name, values[name]) for name in there]
        parts += [f"float* {name}" for name in self.results[direction]]
        parts += [f"int64_t {name}" for name in self.sizes(*self.arguments.values())]
        return f"void {direction}({', '.join(parts)})"

    def bound(self, call: Call) -> dict[str, object]:
        """The arguments of a call by name."""
        return self.signature.bind(*call.args, **call.kwargs).arguments

    def positional(self, call: Call) -> list:
        """The arguments in order; those that the call leaves out have torch's default."""
        bound = self.bound(call)
        return [bound.get(name, self.signature.parameters[name].default) for name in self.arguments]

    def options(self, call: Call) -> dict[str, object]:
        """What the call has beside them, by name."""
        return {name: value for name, value in self.bound(call).items() if name not in self.arguments}

    def fits(self, call: Call) -> bool:
        """Whether the C++ prototype has room for a call: arguments of the same types, arrays of as many axes."""
        form = lambda value: (type(value), value.dtype, value.dim()) if isinstance(value, Tensor) else type(value)
        return not self.options(call) and list(map(form, self.positional(call))) == list(map(form, self.arguments.values()))

    def sizes(self, *args) -> dict[str, int]:
        """The sizes that a C++ function gets: those of the first argument, and of the others what they add."""
        if self.op.name == "matmul":
            return dict(zip(("rows", "inner", "columns"), (*args[0].shape, args[1].shape[1]), strict=True))
        if self.op.name == "rope":
            sizes = dict(zip(("batch", "heads", "tokens", "columns"), args[0].shape, strict=True))
            return sizes | {"key_heads": args[1].shape[1], "rotary": args[2].shape[-1]}
        return {name: args[place].shape[axis] for name, (place, axis) in self._places().items()}

    def _places(self) -> dict[str, tuple[int, int]]:
        """Name of a size -> which argument has it, and on which axis."""
        probes = []
        for rows, columns in PROBES:
            args, kwargs = self.op.examples[self.plain](rows, columns, torch.float32)
            probes.append(list(self.signature.bind(*args, **kwargs).arguments.values()))
        found, known = {}, set()
        for place, (name, value) in enumerate(self.arguments.items()):
            matrix = place == 0 and isinstance(value, Tensor) and value.dim() == 2
            for axis in range(value.dim() if isinstance(value, Tensor) else 0):
                sizes = tuple(probe[place].shape[axis] for probe in probes)
                if matrix or sizes not in known or len(set(sizes)) == 1:
                    found[("rows", "columns")[axis] if matrix else f"{name}_{axis}"] = place, axis
                known.add(sizes)
        return found

    def shapes(self, direction: str, call: Call) -> list[torch.Size]:
        """The shapes of the results."""
        if direction == "backward":
            own = self.positional(call)
            return [own[place].shape for place in self.learned]
        return [grad.shape for grad in call.upstream]

    def needed(self, direction: str, call: Call) -> list[bool]:
        """Which results may not be None: all but gradients of arguments that are."""
        if direction == "forward":
            return [True] * len(self.results["forward"])
        own = self.positional(call)
        return [isinstance(own[place], Tensor) for place in self.learned]

    def aligned(self, call: Call, direction: str, results: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        """The results of one direction among the outputs and gradients of a call, None for what it does not have."""
        outputs = len(call.upstream)
        if direction == "forward":
            return (*results, *[None] * (len(call.names) - outputs))
        own = dict(zip(self.results["backward"], results, strict=True))
        return (*[None] * outputs, *(own.get(f"grad_{name.removeprefix('gradient of ')}") for name in call.names[outputs:]))


def _of_a_matrix(op: Op) -> str:
    """The first example whose first argument is a matrix, or the first one if there is none."""
    matrices = (name for name, example in op.examples.items() if example(2, 3, torch.float32)[0][0].dim() == 2)
    return next(matrices, next(iter(op.examples)))


def _declare(name: str, value: object) -> str:
    if isinstance(value, Tensor):
        kind = "float" if value.is_floating_point() else "bool" if value.dtype == torch.bool else "int64_t"
        return f"const {kind}* {name}"
    return f"{C_TYPES[type(value)]} {name}"
