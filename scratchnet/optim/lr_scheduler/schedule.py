"""What the schedules share."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from scratchnet.functions.checks import fail

Rate = float | Tensor


class Schedule(LRScheduler):
    """A schedule in two forms: `next_lr` continues from the rate in use, so that schedules can be chained; `lr_at` is closed.

    Each schedule is a subclass of torch's too, sets its options itself and calls LRScheduler.__init__ in place of super()'s.
    """

    def get_lr(self) -> list[Rate]:
        """The rates of this epoch, for `step` to call; elsewhere use `get_last_lr()`."""
        warn_outside_step(self)
        groups = zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        return [copy(self.next_lr(group["lr"], base_lr)) for group, base_lr in groups]

    def next_lr(self, lr: Rate, base_lr: Rate) -> Rate:
        """The rate of epoch `self.last_epoch`, given that of the epoch before it."""
        raise NotImplementedError

    def lr_at(self, base_lr: Rate) -> Rate:
        """The rate of epoch `self.last_epoch`, given the one that the optimizer was created with."""
        raise NotImplementedError

    def _get_closed_form_lr(self) -> list[Rate]:  # torch's `step(epoch)` looks for this name
        return [self.lr_at(base_lr) for base_lr in self.base_lrs]


def warn_outside_step(scheduler: LRScheduler) -> None:
    """torch's warning: `get_lr` says how to continue from the rate in use, not which one that is."""
    if not scheduler._get_lr_called_within_step:
        words = "To get the last learning rate computed by the scheduler, please use `get_last_lr()`."
        warnings.warn(words, UserWarning, stacklevel=3)


def copy(value: Any) -> Any:
    """A copy of a tensor, so that no rate changes with another; any other value itself."""
    return value.clone() if isinstance(value, Tensor) else value


def set_rate(group: dict[str, Any], lr: Rate) -> None:
    """Set a group's rate; one that is a tensor stays that tensor, because compiled steps hold on to it."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr.squeeze() if isinstance(lr, Tensor) else lr)
    else:
        group["lr"] = lr


def check_optimizer(optimizer: object) -> None:
    """TypeError, in torch's words."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def per_group(schedule: str, name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value per parameter group; ValueError for a list of another length."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [copy(value) for _ in range(groups)]
    if len(value) != groups:
        problem = f"{name} must have the same length as optimizer.param_groups"
        lengths = f"{name} has {len(value)} values, param_groups has {groups}"
        fail(ValueError, schedule, name, f"{problem}: {lengths}; one number serves all groups")
    return [copy(v) for v in value]
