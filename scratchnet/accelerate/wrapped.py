"""What other tools put around a model or a layer: fully_shard's classes, peft, DistributedDataParallel, schedulers' steps."""

from __future__ import annotations

import functools
import sys
import weakref
from typing import Any, Callable

from torch.nn import Module
from torch.optim import Optimizer

# Every module that fully_shard has been called with is of a class FSDP<its own>(FSDPModule, its own).
_PLACE = 2  # of its own among the bases


def plain(kind: type[Module]) -> type[Module]:
    """The class that a layer had before fully_shard."""
    sharding = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", None)
    return kind.__mro__[_PLACE] if sharding and kind.__mro__[1:2] == (sharding,) else kind


def give(module: Module, kind: type[Module]) -> None:
    """Make a layer an instance of `kind`, and let fully_shard's class around the one that it has stay there."""
    has = type(module)
    module.__class__ = kind if plain(has) is has else _sharded(has, kind)


@functools.cache
def _sharded(has: type[Module], kind: type[Module]) -> type[Module]:
    """fully_shard's class around `kind`, as `has` is one."""
    facts = {name: vars(has)[name] for name in ("__module__", "__deepcopy__")}
    return type(f"FSDP{kind.__name__}", (has.__mro__[1], kind), facts)


def inner(model: Module) -> Module:
    """The model of Transformers inside, which has a loss and an attention; the model itself if there is none."""
    return next((module for module in model.modules() if hasattr(type(module), "loss_function")), model)


def scheduled(optimizer: Optimizer) -> bool:
    """Whether a scheduler has put a function in front of the step, to see that it was called."""
    return hasattr(vars(optimizer).get("step"), "_wrapped_by_lr_sched")


def told(optimizer: Optimizer) -> Callable[..., Any]:
    """Such a function for the class that the optimizer has now: the scheduler's own calls that of the class before."""
    found = weakref.ref(optimizer)  # the optimizer holds the function

    def step(*args: Any, **kwargs: Any) -> Any:
        optimizer = found()
        optimizer._opt_called = True
        return type(optimizer).step(optimizer, *args, **kwargs)

    step._wrapped_by_lr_sched = True
    return step
