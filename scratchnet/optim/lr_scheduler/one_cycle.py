"""One rise and one long fall of the learning rate, and the opposite for the momentum."""

from __future__ import annotations

import math
from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from scratchnet.functions.checks import fail
from scratchnet.optim.lr_scheduler.schedule import Rate, check_optimizer, per_group, warn_outside_step


class OneCycleLR(lr_scheduler.OneCycleLR):
    """Up from max_lr / div_factor to max_lr in the first pct_start of all steps, then down to the initial / final_div_factor.

    Momentum (for Adam beta1) moves the other way, from max_momentum to base_momentum and back. three_phase: down to the initial
    rate at the pace of the rise, then to the lowest. Step it after every batch, total_steps times.

    Smith, Topin: Super-convergence, https://arxiv.org/abs/1708.07120
    ValueError for options that do not make a cycle, and for one step too many.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            problem = f"Expected float between 0 and 1 pct_start, but got {pct_start}"
            fail(ValueError, "OneCycleLR", "pct_start", f"{problem}: the fraction of the steps in which the rate rises")
        if anneal_strategy not in ("cos", "linear"):
            problem = f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            fail(ValueError, "OneCycleLR", "anneal_strategy", problem)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy

        # The values that the phases name are kept in the parameter groups, and so in the optimizer's checkpoint.
        max_lrs = per_group("OneCycleLR", "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, highest in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = highest / div_factor
                group["max_lr"] = highest
                group["min_lr"] = group["initial_lr"] / final_div_factor

        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
                problem = "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
                hint = f"for {type(optimizer).__name__} use cycle_momentum=False"
                fail(ValueError, "OneCycleLR", "cycle_momentum", f"{problem}; {hint}")
            self.use_beta1 = "betas" in optimizer.defaults
            highest = per_group("OneCycleLR", "max_momentum", optimizer, max_momentum)
            lowest = per_group("OneCycleLR", "base_momentum", optimizer, base_momentum)
            if last_epoch == -1:
                for group, high, low in zip(optimizer.param_groups, highest, lowest, strict=True):
                    self._set_momentum(group, high)
                    group["max_momentum"] = high
                    group["base_momentum"] = low
        LRScheduler.__init__(self, optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates of this step, for `step` to call: it sets the momenta too. Elsewhere use `get_last_lr()`."""
        warn_outside_step(self)
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is {self.total_steps}: "
                "OneCycleLR counts batches, total_steps = epochs * steps_per_epoch"
            )
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        done = (step - start) / (phase["end_step"] - start)

        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], done)
                self._set_momentum(group, momentum)
        return [self._between(group[phase["start_lr"]], group[phase["end_lr"]], done) for group in self.optimizer.param_groups]

    def _between(self, start: Rate, end: Rate, done: float) -> Rate:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)
        return (end - start) * done + start

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


def _total_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    given = {"total_steps": total_steps} if total_steps is not None else {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    if None in given.values():
        problem = "You must define either total_steps OR (epochs AND steps_per_epoch); steps_per_epoch is len(loader)"
        fail(ValueError, "OneCycleLR", "total_steps", problem)
    for name, value in given.items():
        if not isinstance(value, int) or value <= 0:
            fail(ValueError, "OneCycleLR", name, f"Expected positive integer {name}, but got {value}")
    return math.prod(given.values())


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and between which values of the parameter group it moves rate and momentum."""

    def phase(end_step: float, start_lr: str, end_lr: str, start_momentum: str, end_momentum: str) -> dict[str, Any]:
        return {
            "end_step": end_step,
            "start_lr": start_lr,
            "end_lr": end_lr,
            "start_momentum": start_momentum,
            "end_momentum": end_momentum,
        }

    rise = phase(float(pct_start * total_steps) - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [rise, phase(total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    fall = phase(float(2 * pct_start * total_steps) - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum")
    return [rise, fall, phase(total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
