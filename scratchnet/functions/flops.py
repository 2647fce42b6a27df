"""What torch.utils.flop_counter counts for our operators: the products of each, from its cost in scratchnet.ops."""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import sys
from types import ModuleType
from typing import Callable

import torch
from torch import Tensor

from scratchnet.ops import Op

_COUNTER = "torch.utils.flop_counter"
_formulas: dict[tuple[object, str], Callable[..., int]] = {}  # by namespace and name, looked up when the counter is there


def count(operators: object, name: str, op: Op, direction: str) -> None:
    """Let torch count one registered operator: `name` in the namespace `operators` computes a direction of op."""
    _formulas[operators, name] = _formula(op, direction)
    if counter := sys.modules.get(_COUNTER):
        counter.flop_registry[getattr(operators, name)] = _formulas[operators, name]


def _formula(op: Op, direction: str) -> Callable[..., int]:
    """(arguments of the registered operator, out_val=its result) -> FLOP, as torch counts: those of matrix products alone."""
    wanted = list(inspect.signature(op.products).parameters) if op.products else []

    def flops(*args: object, out_val: object = None) -> int:
        if not op.products:
            return 0
        named = dict(zip(op.arguments(direction), op.packed(direction, args[:-1]), strict=True))
        options = named.pop("options", None)
        named |= options._asdict() if options else {}
        cost = op.products(**{name: _shaped(named.get(name)) for name in wanted})
        if direction in ("forward", "outputs"):
            return cost.forward_flops
        # a product for each of the two operands that needs a gradient; the loss of a product makes its logits as well
        needed = sum(bool(named[f"need_{name}"]) for name in op.gradients[:2])
        return cost.forward_flops * op.at_once + cost.backward_flops * needed // 2

    flops._get_raw = True  # type: ignore[attr-defined]
    return flops


def _shaped(value: object) -> object:
    """A tensor without numbers: counting is no part of what the counter sees."""
    return torch.empty(value.shape, dtype=value.dtype, device="meta") if isinstance(value, Tensor) else value


def _tell(counter: ModuleType) -> None:
    for (operators, name), flops in _formulas.items():
        counter.flop_registry[getattr(operators, name)] = flops


class _WhenImported(importlib.abc.MetaPathFinder):
    """Fills the counter's table as soon as a program imports it: it imports Triton, so that we do not."""

    def find_spec(self, name, path, target=None):
        if name != _COUNTER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _tell(module)

        spec.loader.exec_module = exec_module
        return spec


if _COUNTER not in sys.modules:
    sys.meta_path.insert(0, _WhenImported())
