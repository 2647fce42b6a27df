"""Turn the layers of an existing model into ours, in place, and its loss and optimizer."""

from __future__ import annotations

import functools
import inspect
from typing import Iterable

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer

from scratchnet import nn
from scratchnet.accelerate import attention, head, losses, wrapped
from scratchnet.accelerate.lookalikes import LookAlike, recognise, twin
from scratchnet.accelerate.report import Report
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
TORCHS = {ours: theirs for theirs, ours in TWINS.items()} | {head.Head: torch.nn.Linear}
OURS = frozenset(TORCHS)


def accelerate(
    model: Module, optimizer: Optimizer | None = None, *, loss: bool = True, logits: bool = False, dry_run: bool = False
) -> Report:
    """Swap the layers of a model for ours, in place, and say which: parameters, buffers, hooks, names and modes stay.

    Swapped are the layers of exactly torch.nn's classes, of which a lazy one becomes ours when it learns its size; and layers
    of other classes that are shown to compute what a function of ours does (copies of RMSNorm, LayerNorm, Linear and Conv1D,
    GELU, SiLU), by comparing results and gradients. They remain instances of their classes. Everything else is left, with the
    reason. A Transformers model that uses torch's attention uses ours. loss: also set its `loss_function`, if it is that of
    the next token, which then needs no logits, whether the model caps them or not: they are made when they are read, or with
    logits=True in any case. optimizer: of torch.optim, becomes ours with its state. dry_run: only say what would happen.
    `with accelerate(model):` undoes it at the end.

    The results are the same up to rounding; references and checkpoints made before keep working. TypeError for anything but a
    Module and an Optimizer.
    """
    _check_model("accelerate", model)
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        fail(TypeError, "accelerate", "optimizer", f"must be torch.optim.Optimizer, not {type(optimizer).__name__}")
    report = Report()
    _visit(model, "", report, set())
    ours = {parameter for module in model.modules() if _is_ours(module) for parameter in module.parameters(recurse=False)}
    report.parameters = _numbers(ours), _numbers(model.parameters())
    inner = wrapped.inner(model)
    if loss:
        _swap_loss(inner, report)
        _swap_head(inner, report, logits)
    if back := attention.choose(inner):
        report.attention = "scratchnet's now, as the model's attn_implementation"
        report._back.append(back)
    _swap_optimizer(optimizer, report)
    if dry_run:
        report.undo()
    return report


def decelerate(model: Module) -> int:
    """Give every layer of exactly one of our classes the class it had, in place, whoever swapped it; return how many.

    A Transformers model's attention and loss are its own again too.
    For what no report knows of: a copy of an accelerated model, or one that was loaded. Before torch.save(model), it makes the
    file one that can be read without scratchnet. TypeError for anything but a Module.
    """
    _check_model("decelerate", model)
    attention.give_back(model)
    losses.give_back(model)
    ours = [module for module in model.modules() if _is_ours(module)]
    for module in ours:
        _give_back(module)
    return len(ours)


def _numbers(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters if not is_lazy(parameter))


def _check_model(function: str, model: Module) -> None:
    if not isinstance(model, Module):
        kind = model.__name__ if inspect.isclass(model) else type(model).__name__
        hint = f": call it first, {function} takes a model" if inspect.isclass(model) else ""
        fail(TypeError, function, "model", f"must be torch.nn.Module, not {kind}{hint}")


_OURS_ALONE = {"z_loss", "softcap"}  # options of LinearCrossEntropyLoss without which torch's computes something else


def _is_ours(module: Module) -> bool:
    """Whether a layer is of exactly one of our classes, or one of another library with a forward of ours."""
    kind = wrapped.plain(type(module))
    if isinstance(module, LookAlike):
        return kind is twin(module.replaces, module.formula)
    return kind in OURS and not vars(module).keys() & _OURS_ALONE


def _give_back(module: Module) -> None:
    """Give a layer of ours the class it had; one that has been parametrized since has a class of its own, and keeps it."""
    if isinstance(module, LookAlike) and _is_ours(module):
        del module.found
        wrapped.give(module, module.replaces)
    elif _is_ours(module):
        wrapped.give(module, TORCHS[wrapped.plain(type(module))])


def _visit(module: Module, name: str, report: Report, seen: set[Module]) -> None:
    """Swap one module if possible, then those inside it; one that occurs in several places is visited once."""
    if module in seen:
        return
    seen.add(module)
    kind, new, shown = wrapped.plain(type(module)), _new_class(module), name or "(model)"
    if isinstance(new, str):
        report.left.append((shown, kind.__name__, new))
        if _twin(module) or isinstance(module, torch.jit.ScriptModule):
            return  # what is inside it is its own affair
    elif new:
        wrapped.give(module, new)
        report.swapped.append((shown, kind.__name__))
        report._back.append(functools.partial(_give_back, module))
        if isinstance(module, LookAlike):
            report.computes[shown] = module.what()
    for child_name, child in module.named_children():
        _visit(child, f"{name}.{child_name}" if name else child_name, report, seen)


def _twin(module: Module) -> type[Module] | None:
    """The torch.nn class of a module that we have too; None for our own classes and their subclasses."""
    known = next((base for base in type(module).__mro__ if base in TWINS or base in OURS), None)
    return None if known in OURS else known


def _new_class(module: Module) -> type[Module] | str | None:
    """The class that a layer gets, or why it stays as it is; None for our own, and for what holds layers."""
    kind, known = wrapped.plain(type(module)), _twin(module)
    if isinstance(module, LookAlike):
        return None
    if isinstance(module, torch.jit.ScriptModule):
        return "compiled by torch.jit"
    if reason := why(kind) if known is None else None:
        return f"torch's own: {reason}"
    if known is None and (kind.__module__.startswith("torch.") or isinstance(module, tuple(OURS))):
        return None
    holds = known is None and any(True for _ in module.children())  # layers: a feed-forward layer of a known form, or a model
    if obstacle := _obstacle(module):
        return None if holds else obstacle
    if kind in TWINS:
        return TWINS[kind]
    if found := recognise(module):
        formula, module.found = found
        return twin(kind, formula)
    if holds:
        return None
    return f"a subclass of {known.__name__}" if known else "no function of ours was shown to compute the same"


def _obstacle(module: Module) -> str | None:
    """What keeps a layer from having the forward of its class, if anything."""
    if is_parametrized(module):
        return "parametrized: " + ", ".join(module.parametrizations)
    if "forward" in vars(module):
        return "its forward has been replaced"
    for hook in module._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils"):
            return f"{type(hook).__name__} recomputes its weight before every call"
    return None


def _swap_loss(model: Module, report: Report) -> None:
    """Set the loss that a model of Transformers computes when it is given labels."""
    before = getattr(model, "loss_function", None)
    if not callable(before):
        report.loss = "outside of the model: scratchnet.nn.functional.cross_entropy takes the place of torch's"
    elif before is losses.next_token_loss:
        report.loss = "scratchnet's cross_entropy"
    elif losses.is_next_token_loss(before):
        model.loss_function = losses.next_token_loss
        report._back.append(lambda: setattr(model, "loss_function", before))
        report.loss = "scratchnet's cross_entropy now, as the model's loss_function"
    else:
        report.loss = "left: the model's loss_function is not that of the next token"


def _swap_head(model: Module, report: Report, logits: bool) -> None:
    """Let the logits of a model of Transformers be made when they are read: by something else than a cross-entropy."""
    if not callable(getattr(model, "loss_function", None)):
        return
    ours = model.loss_function is losses.next_token_loss
    layer = "logits=True" if logits else head.find(model)
    if isinstance(layer, str):
        report.loss += f"; with logits: {layer}" if ours else ""
        return
    before = type(layer)
    wrapped.give(layer, head.Head)
    report._back.append(lambda: wrapped.give(layer, before) if type(layer) is head.Head else None)
    report.loss += ", without logits" if ours else "; torch's cross_entropy of its logits goes without them"
    report.loss += ": they are made when they are read"
    at_once = ["in torch.compile(fullgraph=True)", *["under autocast on a GPU"] * layer.weight.is_cuda]
    report.loss += f"; {' and '.join(at_once)}, at once"


def _swap_optimizer(optimizer: Optimizer | None, report: Report) -> None:
    """Make one of torch.optim's an instance of ours: parameters, options and state stay where they are."""
    if optimizer is None:
        report.optimizer = "not given: scratchnet.accelerate(model, optimizer) makes one of torch.optim ours"
        return
    from scratchnet import optim  # on first use, so that importing scratchnet itself stays fast

    kind = type(optimizer)
    ours = getattr(optim, kind.__name__, None) if kind.__name__ in optim.__all__ else None
    if ours is kind:
        report.optimizer = f"scratchnet's {kind.__name__}"
    elif ours is None or kind is not getattr(torch.optim, kind.__name__, None):
        report.optimizer = f"left: {kind.__name__} is none of torch.optim's that scratchnet.optim has"
    elif "step" in vars(optimizer) and not wrapped.scheduled(optimizer):
        report.optimizer = f"left: the step of this {kind.__name__} has been replaced; accelerate it first"
    else:
        _become(optimizer, ours)
        report._back.append(functools.partial(_become, optimizer, kind))
        report.optimizer = f"scratchnet's {kind.__name__} now"


def _become(optimizer: Optimizer, kind: type[Optimizer]) -> None:
    optimizer.__class__ = kind
    optimizer._patch_step_function()  # hooks and the profiler wrap the step of a class when its first instance is made
    if wrapped.scheduled(optimizer):
        optimizer.step = wrapped.told(optimizer)
