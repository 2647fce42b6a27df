"""Two runs that must stay together: a model of scratchnet.nn and its twin of torch.nn, from one seed, on the same batches."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Callable

import torch

from scratchnet import nn, optim
from scratchnet.backends import backend as use_backend
from scratchnet.data import Split
from scratchnet.training.fit import Epoch, accuracy, batches, classifier, train_step


@dataclass
class Comparison:
    """What `compare` saw."""

    ours: list[Epoch] = field(default_factory=list)
    torch: list[Epoch] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)  # of every step, ours and torch's
    seconds: list[tuple[float, float]] = field(default_factory=list)  # likewise

    @property
    def loss_difference(self) -> float:
        """The largest difference between the two losses of one step."""
        return max(abs(ours - theirs) for ours, theirs in self.losses)

    @property
    def step_time(self) -> tuple[float, float]:
        """The median seconds of a step, ours and torch's."""
        ours, theirs = zip(*self.seconds)
        return median(ours), median(theirs)


class _Twin:
    """A model, its loss and its optimizer, all from one library."""

    def __init__(self, layers, optimizers, backend: str | None, seed: int, hidden: int, dtype: torch.dtype):
        torch.manual_seed(seed)
        self.model = classifier(layers, hidden=hidden, dtype=dtype)
        self.loss = layers.CrossEntropyLoss()
        self.optimizer = optimizers.Adam(self.model.parameters())
        self.backend = backend

    def on(self) -> contextlib.AbstractContextManager:
        return use_backend(self.backend) if self.backend else contextlib.nullcontext()

    def step(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        """One training step: its loss and its seconds."""
        with self.on():
            start = time.perf_counter()
            loss = train_step(self.model, self.loss, self.optimizer, x, y)
            return loss.item(), time.perf_counter() - start

    def epoch(self, losses: list[float], test: Split) -> Epoch:
        with self.on():
            return Epoch(sum(losses) / len(losses), accuracy(self.model, test))


def compare(
    train: Split,
    test: Split,
    *,
    backend: str | None = None,
    epochs: int = 20,
    batch_size: int = 32,
    hidden: int = 128,
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
    result = Comparison()
    for _ in range(epochs):
        first = len(result.losses)
        for index in batches(len(train.y), batch_size, generator):
            x, y = train.x[index], train.y[index]
            steps = {}
            for twin in twins if len(result.losses) % 2 else reversed(twins):
                steps[twin] = twin.step(x, y)
            losses, seconds = zip(*(steps[twin] for twin in twins))
            result.losses.append(losses)
            result.seconds.append(seconds)
            on_step()
        for twin, history, losses in zip(twins, (result.ours, result.torch), zip(*result.losses[first:])):
            history.append(twin.epoch(losses, test))
        on_epoch(result)
    return result
