"""accelerate as a callback of other libraries' trainers: while they train, a model's layers, loss and optimizer are ours."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from torch.nn import Module
from torch.optim import Optimizer

from scratchnet.accelerate import Report, accelerate
from scratchnet.optional import need


class _Accelerated:
    """What both callbacks do: `begin` and `end`, and the reports in between and after."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.options = options
        self.reports: list[Report] = []  # one for each optimizer; the first has the model's layers

    def begin(self, model: Module, optimizers: list[Optimizer | None]) -> None:
        self.end()
        self.reports = [accelerate(model, optimizer, **self.options) for optimizer in optimizers or [None]]

    def end(self) -> None:
        for report in reversed(self.reports):
            report.undo()


def trainer_callback(**options: Any) -> Any:
    """For the Trainer of Transformers: `Trainer(..., callbacks=[training.trainer_callback()])`.

    When training begins, `scratchnet.accelerate(model, optimizer, **options)` is called, whatever the Trainer has put around
    them by then: peft, DistributedDataParallel, FSDP2, torch.compile, a scheduler. When it ends, the model is as before.
    `reports` has what accelerate said. ImportError without Transformers.
    """
    need("scratchnet.training.trainer_callback", "transformers", "Transformers", "transformers")
    from transformers import TrainerCallback

    class Accelerated(_Accelerated, TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            optimizer = given["optimizer"]  # the package accelerate has put one of its own around it
            self.begin(given["model"], [getattr(optimizer, "optimizer", optimizer)])

        def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.end()

    return Accelerated(options)


def lightning_callback(**options: Any) -> Any:
    """For the Trainer of Lightning: `Trainer(..., callbacks=[training.lightning_callback()])`.

    When training begins, `scratchnet.accelerate(module, optimizer, **options)` is called for each optimizer, whatever the
    strategy has put around the module by then. When it ends or fails, the module is as before. `reports` has what accelerate
    said. ImportError without Lightning.
    """
    name = "pytorch_lightning" if "pytorch_lightning" in sys.modules and "lightning" not in sys.modules else "lightning"
    need("scratchnet.training.lightning_callback", name, "Lightning", "lightning")
    library: Any = import_module("lightning.pytorch" if name == "lightning" else name)

    class Accelerated(_Accelerated, library.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.begin(pl_module, [*trainer.optimizers])

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self.end()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self.end()

    return Accelerated(options)
