"""Schedules with one formula: by hand, in steps, exponential, linear, cosine."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from typing import Callable, Iterable

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from scratchnet.functions.checks import fail
from scratchnet.optim.lr_scheduler.schedule import Rate, Schedule, warn_outside_step


class LambdaLR(Schedule, lr_scheduler.LambdaLR):
    """lr = base_lr * lr_lambda(epoch): any schedule that a function can express, one for all parameter groups or one for each.

    Functions are not saved in the state_dict, callable objects are. ValueError unless a list has one function per group.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = optimizer
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
        if len(self.lr_lambdas) != groups:
            problem = f"Expected {groups} lr_lambdas, but got {len(self.lr_lambdas)}"
            fail(ValueError, "LambdaLR", "lr_lambda", f"{problem}: one per parameter group, or one function for all")
        LRScheduler.__init__(self, optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        warn_outside_step(self)
        return self._get_closed_form_lr()

    def _get_closed_form_lr(self) -> list[Rate]:
        return [base_lr * scale(self.last_epoch) for scale, base_lr in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class StepLR(Schedule, lr_scheduler.StepLR):
    """lr = base_lr * gamma^(epoch // step_size)."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        LRScheduler.__init__(self, optimizer, last_epoch)

    def next_lr(self, lr: Rate, base_lr: Rate) -> Rate:
        return lr if self.last_epoch == 0 or self.last_epoch % self.step_size != 0 else lr * self.gamma

    def lr_at(self, base_lr: Rate) -> Rate:
        return base_lr * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(Schedule, lr_scheduler.MultiStepLR):
    """lr = base_lr * gamma^(number of milestones reached)."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        LRScheduler.__init__(self, optimizer, last_epoch)

    def next_lr(self, lr: Rate, base_lr: Rate) -> Rate:
        here = self.milestones[self.last_epoch]
        return lr * self.gamma**here if here else lr

    def lr_at(self, base_lr: Rate) -> Rate:
        return base_lr * self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ExponentialLR(Schedule, lr_scheduler.ExponentialLR):
    """lr = base_lr * gamma^epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        LRScheduler.__init__(self, optimizer, last_epoch)

    def next_lr(self, lr: Rate, base_lr: Rate) -> Rate:
        return lr if self._is_initial else lr * self.gamma  # restored from a checkpoint, the rate is that of the epoch already

    def lr_at(self, base_lr: Rate) -> Rate:
        return base_lr * self.gamma**self.last_epoch


class LinearLR(Schedule, lr_scheduler.LinearLR):
    """lr = base_lr * factor, which goes linearly from start_factor to end_factor over total_iters epochs: a warm-up.

    ValueError for a start_factor outside (0, 1] or an end_factor outside [0, 1].
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if start_factor > 1.0 or start_factor <= 0:
            needs = "Starting multiplicative factor expected to be greater than 0 and less or equal to 1"
            fail(ValueError, "LinearLR", "start_factor", f"{needs}. It is {start_factor}; to start near 0, use 1e-3")
        if end_factor > 1.0 or end_factor < 0:
            needs = "Ending multiplicative factor expected to be between 0 and 1"
            fail(ValueError, "LinearLR", "end_factor", f"{needs}. It is {end_factor}; it multiplies the optimizer's lr")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        LRScheduler.__init__(self, optimizer, last_epoch)

    def next_lr(self, lr: Rate, base_lr: Rate) -> Rate:
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        return lr * (1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))

    def lr_at(self, base_lr: Rate) -> Rate:
        done = min(self.total_iters, self.last_epoch)
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done / self.total_iters)


class CosineAnnealingLR(Schedule, lr_scheduler.CosineAnnealingLR):
    """lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2: half a cosine down, without a jump.

    Loshchilov, Hutter: SGDR, https://arxiv.org/abs/1608.03983 (without restarts).
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        LRScheduler.__init__(self, optimizer, last_epoch)

    def next_lr(self, lr: Rate, base_lr: Rate) -> Rate:
        epoch, T = self.last_epoch, self.T_max
        if self._is_initial:
            return lr
        if self._step_count == 1 and epoch > 0:
            return self.lr_at(base_lr)
        if (epoch - 1 - T) % (2 * T) == 0:  # the epoch before was at the bottom, where the ratio below is undefined
            return lr + (base_lr - self.eta_min) * (1 - math.cos(math.pi / T)) / 2
        ratio = (1 + math.cos(math.pi * epoch / T)) / (1 + math.cos(math.pi * (epoch - 1) / T))
        return ratio * (lr - self.eta_min) + self.eta_min

    def lr_at(self, base_lr: Rate) -> Rate:
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
