"""Turn the torch.nn layers of an existing model into ours, in place."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import torch
from torch.nn import Module
from torch.nn.utils.parametrize import is_parametrized

from scratchnet import nn
from scratchnet.functions.checks import fail
from scratchnet.nn.attention import NonDynamicallyQuantizableLinear
from scratchnet.nn.torchs_own import why

# Every layer that scratchnet.nn and torch.nn both have under one name. Ours keep torch's attributes, so that an instance of
# one is a valid instance of the other: swapping a layer changes its class and nothing else.
TWINS: dict[type[Module], type[Module]] = {
    getattr(torch.nn, name): getattr(nn, name)
    for name in nn.__all__
    if inspect.isclass(getattr(torch.nn, name, None)) and getattr(torch.nn, name) is not getattr(nn, name)
}
TWINS[torch.nn.modules.linear.NonDynamicallyQuantizableLinear] = NonDynamicallyQuantizableLinear  # MultiheadAttention.out_proj
TORCHS = {ours: theirs for theirs, ours in TWINS.items()}
OURS = frozenset(TORCHS)


@dataclass
class Report:
    """What `accelerate` did: print it, or reverse it with `undo()`.

    swapped: the name and class of every layer that is ours now. left: name, class and reason for every layer that is not.
    """

    swapped: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str, str]] = field(default_factory=list)
    _before: list[tuple[Module, type[Module]]] = field(default_factory=list, repr=False)

    def undo(self) -> None:
        """Give every swapped layer torch's class back; one that has been parametrized since is left as it is.

        The layers of this model: for a deepcopy of it, or one loaded by torch.load, there is `scratchnet.decelerate`.
        """
        for module, kind in self._before:
            _give_back(module, kind)
        self._before.clear()

    def __str__(self) -> str:
        rows = [(name, kind, "scratchnet's now") for name, kind in self.swapped]
        rows += [(name, kind, f"left: {reason}") for name, kind, reason in self.left]
        wide = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        lines = [f"{name:{wide[0]}}  {kind:{wide[1]}}  {what}" for name, kind, what in rows]
        lines.append(f"{len(self.swapped)} layers swapped, {len(self.left)} left")
        if self.swapped:
            lines.append("torch.ao.quantization looks layers up by their exact class and skips swapped ones: undo() first")
            lines.append("a file of torch.save(model) needs scratchnet to be read: undo() first, or save state_dict()")
        return "\n".join(lines)


def accelerate(model: Module) -> Report:
    """Swap the torch.nn layers of a model for ours, in place, and say which: parameters, buffers, hooks, names and modes stay.

    Only layers of exactly torch's class are swapped, and remain instances of it; a lazy one becomes ours when it learns its
    size. Subclasses, parametrized and scripted layers and those that scratchnet.nn has from torch are left, with the reason;
    our own layers and their subclasses stay. The results are torch's up to rounding; optimizers, references and checkpoints
    made before keep working. TypeError for anything but a Module.
    """
    _check_model("accelerate", model)
    report = Report()
    _visit(model, "", report, set())
    return report


def decelerate(model: Module) -> int:
    """Turn every layer of exactly one of our classes into torch's, in place, whoever made it; return how many.

    For what no report knows of: a copy of an accelerated model, or one that was loaded. Before torch.save(model), it makes the
    file one that can be read without scratchnet. TypeError for anything but a Module.
    """
    _check_model("decelerate", model)
    ours = [module for module in model.modules() if type(module) in TORCHS]
    for module in ours:
        _give_back(module, TORCHS[type(module)])
    return len(ours)


def _check_model(function: str, model: Module) -> None:
    if not isinstance(model, Module):
        kind = model.__name__ if inspect.isclass(model) else type(model).__name__
        hint = f": call it first, {function} takes a model" if inspect.isclass(model) else ""
        fail(TypeError, function, "model", f"must be torch.nn.Module, not {kind}{hint}")


def _give_back(module: Module, kind: type[Module]) -> None:
    """Make a layer of ours one of torch's class `kind`; a lazy one may know its size by now and have become another."""
    if type(module) is getattr(TWINS[kind], "cls_to_become", None):
        kind = kind.cls_to_become
    if type(module) is TWINS[kind]:  # one that has been parametrized since has a class of its own
        module.__class__ = kind


def _visit(module: Module, name: str, report: Report, seen: set[Module]) -> None:
    """Swap one module if possible, then those inside it; one that occurs in several places is visited once."""
    if module in seen:
        return
    seen.add(module)
    kind = type(module)
    shown = name or "(model)"
    if reason := _reason(module):
        report.left.append((shown, kind.__name__, reason))
        if _twin(module) or isinstance(module, torch.jit.ScriptModule):
            return  # what is inside it is its own affair
    elif kind in TWINS:
        module.__class__ = TWINS[kind]
        report.swapped.append((shown, kind.__name__))
        report._before.append((module, kind))
    for child_name, child in module.named_children():
        _visit(child, f"{name}.{child_name}" if name else child_name, report, seen)


def _twin(module: Module) -> type[Module] | None:
    """The torch.nn class of a module that we have too; None for our own classes and their subclasses."""
    known = next((base for base in type(module).__mro__ if base in TWINS or base in OURS), None)
    return None if known in OURS else known


def _reason(module: Module) -> str | None:
    """Why a torch.nn layer stays as it is; None for one that is swapped, for containers and for a user's own modules."""
    kind, twin = type(module), _twin(module)
    if isinstance(module, torch.jit.ScriptModule):
        return "compiled by torch.jit"
    if twin is None:
        reason = why(kind)
        return reason and f"torch's own: {reason}"
    if is_parametrized(module):
        return "parametrized: " + ", ".join(module.parametrizations)
    if kind is not twin:
        return f"a subclass of {twin.__name__}"
    if "forward" in vars(module):
        return "its forward has been replaced"
    for hook in module._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils"):
            return f"{type(hook).__name__} recomputes its weight before every call"
    return None
