"""The schedule that reacts to the results."""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal, SupportsFloat

import torch.optim.lr_scheduler
from torch.optim import Optimizer

from scratchnet.functions.checks import fail
from scratchnet.optim.lr_scheduler.schedule import check_optimizer, copy, set_rate


class ReduceLROnPlateau(torch.optim.lr_scheduler.ReduceLROnPlateau):
    """lr *= factor after more than `patience` epochs without a better metric; `step(metric)` after every epoch.

    Better: below best * (1 - threshold), for threshold_mode "abs" below best - threshold; for mode "max" above instead.
    After a cut, `cooldown` epochs do not count as bad; no rate falls below min_lr; a cut smaller than eps is not made.
    A subclass of torch's, because training loops look for that class to pass it the metric. ValueError for a factor of 1 or
    more, an unknown mode, or a list of min_lr without one value per parameter group; RuntimeError in step if there was a list
    and groups have been added since.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            fail(ValueError, "ReduceLROnPlateau", "factor", f"Factor should be < 1.0. It is {factor}: no reduction")
        check_optimizer(optimizer)
        groups = len(optimizer.param_groups)
        listed = isinstance(min_lr, (list, tuple))
        if listed and len(min_lr) != groups:
            fail(ValueError, "ReduceLROnPlateau", "min_lr", f"expected {groups} min_lrs, got {len(min_lr)}: one per group")
        for name, value, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if value not in known:
                words = f"{name.replace('_', ' ')} {value} is unknown!"
                fail(ValueError, "ReduceLROnPlateau", name, f"{words} It is one of {known[0]!r} and {known[1]!r}")

        self.factor = factor
        self.optimizer = optimizer
        self.default_min_lr = None if listed else min_lr
        self.min_lrs = list(min_lr) if listed else [min_lr] * groups
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = [copy(group["lr"]) for group in optimizer.param_groups]
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:
        """Judge an epoch by its metric, a number or a one-element tensor."""
        current = float(metrics)
        if epoch is not None:
            warnings.warn(torch.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch

        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [copy(group["lr"]) for group in self.optimizer.param_groups]

    def _is_better(self, value: float, best: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        bar = best * (1.0 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return value > bar if self.mode == "max" else value < bar

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when `ReduceLROnPlateau` was "
                    f"initialized ({len(self.min_lrs)}), usually due to a new param group being added to the optimizer. Please "
                    "modify the `min_lrs` field to match the length of the `optimizer` param groups."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, min_lr in zip(groups, self.min_lrs, strict=True):
            lr = float(group["lr"])
            reduced = max(lr * self.factor, min_lr)
            if lr - reduced > self.eps:
                set_rate(group, reduced)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from where the state was saved."""
        self.__dict__.update(state_dict)
