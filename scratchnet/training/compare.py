"""Two runs that must stay together: a model of scratchnet.nn and its twin of torch.nn, from one seed, on the same batches."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Callable

import torch

from scratchnet import nn, optim
from scratchnet.backends import backend as use_backend
from scratchnet.data import Split
from scratchnet.training.fit import LABEL_SMOOTHING, Epoch, accuracy, batches, classifier, train_step


@dataclass
class Comparison:
    """What `compare` saw."""

    dtype: torch.dtype
    ours: list[Epoch] = field(default_factory=list)
    torch: list[Epoch] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)  # of every step, ours and torch's
    seconds: list[tuple[float, float]] = field(default_factory=list)  # likewise

    @property
    def loss_difference(self) -> float:
        """The largest difference between the two losses of one step; NaN if any of them is."""
        ours, theirs = torch.tensor(self.losses, dtype=torch.float64).unbind(-1)
        return (ours - theirs).abs().max().item()

    @property
    def rounding(self) -> float:
        """How far rounding may drive the losses apart: 16 units in the last place of the largest one.

        Two torch twins that add the rows of a batch in another order differ by 4 such units after 900 steps.
        """
        return 16 * torch.finfo(self.dtype).eps * torch.tensor(self.losses).max().item()

    @property
    def agree(self) -> bool:
        """Whether the twins differ by no more than rounding."""
        return self.loss_difference <= self.rounding

    @property
    def step_time(self) -> tuple[float, float]:
        """The median seconds of a step, ours and torch's."""
        return median(ours for ours, _ in self.seconds), median(theirs for _, theirs in self.seconds)


class _Twin:
    """A model, its loss and its optimizer, all from one library."""

    def __init__(self, layers, optimizers, backend: str | None, seed: int, hidden: int, dtype: torch.dtype):
        torch.manual_seed(seed)
        self.model = classifier(layers, hidden=hidden, dtype=dtype)
        self.loss = layers.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
        self.optimizer = optimizers.Adam(self.model.parameters())
        self.backend = backend

    def on(self) -> contextlib.AbstractContextManager:
        """The context that its kernels run in."""
        return use_backend(self.backend) if self.backend else contextlib.nullcontext()

    def step(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        """One training step: its loss and its seconds."""
        with self.on():
            start = time.perf_counter()
            loss = train_step(self.model, self.loss, self.optimizer, x, y)
            return loss.item(), time.perf_counter() - start

    def epoch(self, losses: list[float], test: Split) -> Epoch:
        """What an epoch with these losses came to."""
        with self.on():
            return Epoch(mean(losses), accuracy(self.model, test))


def compare(
    train: Split,
    test: Split,
    *,
    backend: str | None = None,
    epochs: int = 20,
    batch_size: int = 32,
    hidden: int = 256,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    on_step: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Comparison], None] = lambda result: None,
) -> Comparison:
    """Train the digits classifier twice in lockstep, with scratchnet (on `backend`) and with torch, and return both histories.

    The twins take turns in going first, so that neither always finds the caches warm. The caller's random state is untouched.
    """
    train, test = (Split(data.x.to(dtype), data.y) for data in (train, test))
    with torch.random.fork_rng(devices=[]):
        twins = [
            _Twin(nn, optim, backend, seed, hidden, dtype),
            _Twin(torch.nn, torch.optim, None, seed, hidden, dtype),
        ]
    generator = torch.Generator().manual_seed(seed)
    result = Comparison(dtype)
    for _ in range(epochs):
        first = len(result.losses)
        for index in batches(len(train.y), batch_size, generator):
            order = slice(None, None, 1 if len(result.losses) % 2 else -1)  # ours first, or torch first
            steps = [twin.step(train.x[index], train.y[index]) for twin in twins[order]]
            (loss, seconds), (torch_loss, torch_seconds) = steps[order]
            result.losses.append((loss, torch_loss))
            result.seconds.append((seconds, torch_seconds))
            on_step()
        result.ours.append(twins[0].epoch([ours for ours, _ in result.losses[first:]], test))
        result.torch.append(twins[1].epoch([theirs for _, theirs in result.losses[first:]], test))
        on_epoch(result)
    return result
