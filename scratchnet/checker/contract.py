"""What a kernel takes and returns: `forward` and `backward` of one primitive, in Python or in C++.

Both take the arguments of torch's function of that name, in its order; backward takes grad_output before them (of several
outputs, one each) and returns one gradient for each tensor that has one. Nothing is saved: backward recomputes what it needs.
"""

from __future__ import annotations

import ctypes
import inspect

import torch
from torch import Tensor

from scratchnet.measure.verify import as_tuple, function
from scratchnet.ops import Op

DIRECTIONS = ("forward", "backward")
C_TYPES = {float: (ctypes.c_double, "double"), int: (ctypes.c_int64, "int64_t")}


class KernelError(Exception):
    """What is wrong with a kernel, in words for its author."""


class Contract:
    """What a kernel of one operator takes and returns, read from the operator's examples."""

    def __init__(self, op: Op):
        self.op = op
        self.examples = ("dim 0", "dim 1") if op.name == "gather" else (_of_a_matrix(op),)
        args, kwargs = op.examples[self.examples[0]](2, 3, torch.float32)
        self.arguments = inspect.signature(function(op)).bind(*args, **kwargs).arguments
        learned = [isinstance(a, Tensor) and a.requires_grad for a in self.arguments.values()]
        self.learned = [place for place, wanted in enumerate(learned) if wanted]  # the arguments that have a gradient
        one = len(op.outputs) == 1
        self.incoming = {"forward": [], "backward": ["grad_output"] if one else list(op.grads)}
        gradients = [f"grad_{list(self.arguments)[place]}" for place in self.learned]
        self.results = {"forward": ["output"] if one else list(op.outputs), "backward": gradients}

    def names(self, direction: str) -> list[str]:
        """The arguments of the function."""
        return [*self.incoming[direction], *self.arguments]

    def python(self, direction: str) -> str:
        """The function's signature in Python."""
        return f"{direction}({', '.join(self.names(direction))}) -> {', '.join(self.results[direction])}"

    def prototype(self, direction: str) -> str:
        """The function's signature in C++: arguments, results, sizes."""
        values = dict.fromkeys(self.incoming[direction], torch.empty(0)) | self.arguments
        parts = [_declare(name, values[name]) for name in self.names(direction) if not isinstance(values[name], tuple)]
        parts += [f"float* {name}" for name in self.results[direction]]
        parts += [f"int64_t {name}" for name in self.sizes(*self.arguments.values())]
        return f"void {direction}({', '.join(parts)})"

    def sizes(self, *args) -> dict[str, int]:
        """The sizes that a C++ function gets: those of the first argument, and of the second and third what they add."""
        if self.op.name == "matmul":
            return dict(zip(("rows", "inner", "columns"), (*args[0].shape, args[1].shape[1]), strict=True))
        if self.op.name == "rope":
            sizes = dict(zip(("batch", "heads", "tokens", "columns"), args[0].shape, strict=True))
            return sizes | {"key_heads": args[1].shape[1], "rotary": args[2].shape[-1]}
        return dict(zip(("rows", "columns"), args[0].shape, strict=True))

    def shapes(self, direction: str, *args) -> list[torch.Size]:
        """The shapes of the results."""
        if direction == "backward":
            own = args[len(self.incoming[direction]) :]
            return [own[place].shape for place in self.learned]
        outputs = self.op.torch(*(a.to("meta") if isinstance(a, Tensor) else a for a in args))
        return [y.shape for y in as_tuple(outputs)]


def _of_a_matrix(op: Op) -> str:
    """The first example whose first argument is a matrix, or the first one if there is none."""
    matrices = (name for name, example in op.examples.items() if example(2, 3, torch.float32)[0][0].dim() == 2)
    return next(matrices, next(iter(op.examples)))


def _declare(name: str, value: object) -> str:
    if isinstance(value, Tensor):
        return f"const {'float' if value.is_floating_point() else 'int64_t'}* {name}"
    return f"{C_TYPES[type(value)][1]} {name}"
