"""The training loop: five steps per batch, and around them what real runs need."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Sequence

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from scratchnet import nn
from scratchnet.data.split import split
from scratchnet.training import checkpoint as checkpoints
from scratchnet.training import parallel
from scratchnet.training.batches import Batches
from scratchnet.training.evaluate import Data, Loss, Metric, device_of, evaluate

History = dict[str, list[float]]  # one number per epoch under each name


def train_step(model: Module, loss: Loss, optimizer: Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """Just the five steps on a batch x (N, ...), y (N, ...): the loss before the update."""
    optimizer.zero_grad()
    outputs = model(x)
    value = loss(outputs, y)
    value.backward()
    optimizer.step()
    return value.detach()


def fit(
    model: Module,
    data: Data,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
    validation: Data | float | None = None,
    metrics: Sequence[Metric] = (),
    scheduler: LRScheduler | None = None,
    schedule: str = "epoch",
    clip_norm: float | None = None,
    accumulate: int = 1,
    bfloat16: bool = False,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool | Console = True,
) -> History:
    """Train the model in place and return the history: one number per epoch under "loss", "val_loss", "val_accuracy", ...

    data:        a DataLoader of batches (x, y); or a pair of tensors: batches of `batch_size` are drawn, shuffled by `seed`
    loss:        called as loss(model(x), y); in the history, its mean over the samples as they were seen
    validation:  data of either kind, or the fraction of the pair of tensors to hold out (drawn by `seed`), on which the loss
                 and the `metrics` (training.accuracy, ...) are taken after every epoch
    scheduler:   stepped after every epoch, ReduceLROnPlateau with the validation loss; or after every update: schedule="batch"
    clip_norm:   gradients of a larger norm are scaled down to it (Pascanu et al. 2013, https://arxiv.org/abs/1211.5063)
    accumulate:  update after this many batches, with the mean of their gradients: a large batch in little memory
    bfloat16:    run forward under torch.autocast
    patience:    stop after this many epochs without a lower validation loss, and go back to the parameters of the best epoch
    checkpoint:  a file, rewritten after every epoch; with resume=True the run continues from it, if it exists, to the same bits
                 (on as many threads: with no backend named, torch's own functions run small tensors, and their bits depend on
                 the number of threads)
    progress:    show a bar and one line per epoch, on your own rich Console if given

    In several processes (`training.processes`) each takes its rows of every batch, unless a DistributedSampler has chosen them,
    and the gradients are averaged, by DistributedDataParallel or as `training.shard` has it: the losses are those of one
    process, if `loss` is a mean over the rows. Dropout draws other numbers in each, and batch_norm sees the rows of its own.

    Modules in eval mode, such as frozen ones, stay in it, unless the whole model is in eval mode. ValueError for options that
    do not fit together and for a damaged checkpoint, FloatingPointError as soon as the loss is not finite.
    """
    _check(data, schedule, accumulate, validation, metrics, scheduler, patience, checkpoint, resume)
    if isinstance(validation, float):
        data, validation = split(*data, round(validation * len(data[0])), seed)
    loader = Batches(*data, batch_size, seed) if isinstance(data, tuple) else data
    parallel.check(loader)
    run, model = parallel.together(model)
    device = device_of(model)
    history: History = {}
    best = {"epoch": 0, "loss": math.inf}
    stateful = {"model": model, "optimizer": optimizer} | ({"scheduler": scheduler} if scheduler else {})
    generator = getattr(loader, "generator", None)  # of the order of the batches; None: torch's global one
    if resume and _found(checkpoint, device):
        state = checkpoints.load(checkpoint, stateful, generator, {"history": dict, "best": dict})
        history, best = state["history"], state["best"]
    done = len(history.get("loss", ()))
    if not model.training:  # otherwise a frozen part stays in eval mode
        model.train()

    progress = progress if parallel.rank() == 0 else False
    with _progress_bar(progress) as bar:
        task = bar.add_task("", total=epochs * len(loader), completed=done * len(loader))
        for epoch in range(done + 1, epochs + 1):
            if patience is not None and epoch - 1 - best["epoch"] >= patience:
                break
            title = f"epoch {epoch}/{epochs}"
            total, samples = 0.0, 0
            parallel.start_epoch(loader, epoch, seed)
            for i, (x, y) in enumerate(loader):
                x, y, weight, rows = parallel.share(loader, x, y)
                x, y = x.to(device), y.to(device)
                group = min(accumulate, len(loader) - i + i % accumulate)  # the last group of a pass may be smaller
                if i % accumulate == 0:
                    optimizer.zero_grad()
                with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                    outputs = run(x)
                    value = loss(outputs, y) * weight
                (value / group).backward()
                number = parallel.mean(value.item(), device)
                if not math.isfinite(number):
                    where = f"{title}, batch {i + 1}"
                    raise FloatingPointError(f"fit: the loss is {number} in {where}. {_reason(optimizer, x, y)}")
                if i % accumulate == group - 1:
                    if clip_norm is not None:
                        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
                    optimizer.step()
                    if scheduler and schedule == "batch":
                        scheduler.step()
                total, samples = total + number * rows, samples + rows
                bar.update(task, advance=1, description=f"{title}  loss {number:.4f}")

            results = {"loss": total / samples}
            parallel.agree(model)
            if validation is not None:
                found = parallel.of_the_first(evaluate(model, validation, loss, metrics), device)
                results |= {f"val_{name}": value for name, value in found.items()}
            for name, value in results.items():
                history.setdefault(name, []).append(value)
            if progress:
                bar.print(title, *(f"{name} {value:.4f}" for name, value in results.items()), sep="  ")
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(results["val_loss"])
            elif scheduler and schedule == "epoch":
                scheduler.step()
            if patience is not None and results["val_loss"] < best["loss"]:
                best = {"epoch": epoch, "loss": results["val_loss"], "model": deepcopy(model.state_dict())}
            if checkpoint is not None:
                checkpoints.save(checkpoint, stateful, generator, {"history": history, "best": best})
    if "model" in best:
        model.load_state_dict(parallel.split(best["model"], model))
    return history


def _found(checkpoint: str | Path, device: torch.device) -> bool:
    """Whether there is a file to resume from; ValueError if only some of the processes see it."""
    share = parallel.mean(float(Path(checkpoint).exists()), device)
    if share not in (0, 1):
        raise ValueError(f"fit: the checkpoint {checkpoint} is there for some processes only: put it on a disk that all share")
    return share == 1


def _reason(optimizer: Optimizer, x: Tensor, y: Tensor) -> str:
    """Why the loss of a batch is NaN or infinite, and what to do: the data first."""
    for name, values in (("x", x), ("y", y)):
        if isinstance(values, Tensor) and (count := int((~torch.isfinite(values)).sum())):
            what = f"{count} of the {values.numel()} numbers in this batch's {name} are NaN or infinity"
            return f"The data is not finite: {what}; clean it first, torch.isfinite(...) finds them"
    rate = optimizer.param_groups[0]["lr"]
    features = "features of mean 0 and standard deviation 1"
    return f"Training diverges: try a learning rate below {rate}, clip_norm=1 and {features}"


def _check(data, schedule, accumulate, validation, metrics, scheduler, patience, checkpoint, resume) -> None:
    """ValueError for options that do not fit together."""
    if schedule not in ("epoch", "batch"):
        raise ValueError(f"fit: schedule must be 'epoch' or 'batch', not {schedule!r}")
    if accumulate < 1:
        raise ValueError(f"fit: accumulate must be at least 1, not {accumulate}")
    if resume and checkpoint is None:
        raise ValueError("fit: resume=True needs checkpoint=..., the file to resume from")
    if isinstance(validation, float) and not isinstance(data, tuple):
        hint = "torch.utils.data.random_split divides the data set of a DataLoader"
        raise ValueError(f"fit: validation={validation} needs a pair of tensors to hold out that fraction of; {hint}")
    if validation is None:
        needed = {"metrics": metrics, "patience": patience, "ReduceLROnPlateau": isinstance(scheduler, ReduceLROnPlateau)}
        for name, given in needed.items():
            if given:
                raise ValueError(f"fit: {name} needs validation=..., the data to measure on")


def _progress_bar(show: bool | Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    return Progress(*columns, console=show if isinstance(show, Console) else None, transient=True, disable=not show)
