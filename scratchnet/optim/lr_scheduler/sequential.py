"""One schedule after another."""

from __future__ import annotations

from bisect import bisect_right

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.lr_scheduler import ReduceLROnPlateau as AnyReduceLROnPlateau

from scratchnet.functions.checks import fail
from scratchnet.optim.lr_scheduler.schedule import copy, set_rate


class SequentialLR(lr_scheduler.SequentialLR):
    """The k-th schedule from epoch milestones[k - 1] on, each counting its own epochs from 0; e.g. a warm-up, then a cosine.

    ValueError for no schedule, one of another optimizer, ReduceLROnPlateau, or a wrong number of milestones;
    TypeError for anything that is not a schedule.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        if len(schedulers) < 1:
            problem = "SequentialLR expects at least one scheduler, but got no scheduler."
            fail(ValueError, "SequentialLR", "schedulers", problem)
        for k, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                needs = f"SequentialLR at index {k} should have `optimizer` as its attribute; it needs a scheduler"
                fail(TypeError, "SequentialLR", "schedulers", f"{needs}, not {type(scheduler).__name__}")
            if isinstance(scheduler, AnyReduceLROnPlateau):
                problem = (
                    "SequentialLR does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be "
                    f"specified when calling `step`, but got one at index {k} in the given schedulers sequence."
                )
                fail(ValueError, "SequentialLR", "schedulers", problem)
            if optimizer != scheduler.optimizer:
                problem = (
                    "SequentialLR expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {k} has {scheduler.optimizer}, which is different from "
                    f"{type(optimizer).__name__}."
                )
                fail(ValueError, "SequentialLR", "schedulers", problem)
        if len(milestones) != len(schedulers) - 1:
            problem = (
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
                f"points, but got number of schedulers {len(schedulers)} and the number of milestones to be equal to "
                f"{len(milestones)}"
            )
            fail(ValueError, "SequentialLR", "milestones", problem)
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer

        # Every schedule set its first rate when it was created: undo that, then let the first one begin.
        for group in optimizer.param_groups:
            set_rate(group, copy(group["initial_lr"]))
        for scheduler in schedulers:
            _take_back(scheduler)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """Move on to the next epoch."""
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[k]
        if k > 0 and self._milestones[k - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _take_back(scheduler: LRScheduler) -> None:
    """Undo the epoch that a schedule counted when it was created; if it consists of schedules, undo theirs."""
    if hasattr(scheduler, "_schedulers"):
        for inner in scheduler._schedulers:
            _take_back(inner)
    else:
        scheduler.last_epoch -= 1
