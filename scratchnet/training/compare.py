"""Runs that must stay together: a scratchnet.nn model and its torch.nn twin, from one seed, on the same batches."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from statistics import median
from types import ModuleType
from typing import Callable

import torch
from torch import Tensor

import scratchnet.nn
import scratchnet.optim
from scratchnet.backends import backend as use_backend
from scratchnet.data import Split
from scratchnet.training.batches import Batches
from scratchnet.training.evaluate import predict
from scratchnet.training.fit import train_step
from scratchnet.training.tasks import Task

ULPS = 16  # units in the last place of the loss that a different order of summation may cost
TIMES_SHADOW = 32  # runs drift at different rates: by up to a factor of 6 in 6 runs of torch against itself


@dataclass
class Comparison:
    """What `compare` saw. Each entry is (ours, torch's), or (ours, torch's, the shadow's)."""

    dtype: torch.dtype
    losses: list[tuple[float, float, float]] = field(default_factory=list)  # of every step
    seconds: list[tuple[float, float]] = field(default_factory=list)  # likewise
    mean_losses: list[tuple[float, float]] = field(default_factory=list)  # of every epoch
    results: list[tuple[float, float]] = field(default_factory=list)  # the task's metric on held-out data, after every epoch
    same_predictions: float = float("nan")  # fraction of the held-out rows on which the two models agree in the end

    @property
    def differences(self) -> Tensor:
        """How far our loss is from torch's in each step, (steps) float64."""
        return (self._loss(0) - self._loss(1)).abs()

    @property
    def rounding(self) -> Tensor:
        """How far rounding may have driven them apart by each step, (steps) float64.

        Training amplifies rounding, some models by 10^5 in 200 steps. The shadow shows by how much: it is torch's own model,
        whose parameters start a few units in the last place off. The bound is a multiple of its drift so far.
        """
        unit = torch.finfo(self.dtype).eps * self._loss(1).abs().cummax(0).values
        return ULPS * unit + TIMES_SHADOW * (self._loss(2) - self._loss(1)).abs().cummax(0).values

    @property
    def agree(self) -> bool:
        """Whether no step differs by more than rounding; NaN counts as a difference."""
        return bool((self.differences <= self.rounding).all())

    @property
    def step_time(self) -> tuple[float, float]:
        """The median seconds of a step, ours and torch's."""
        return median(ours for ours, _ in self.seconds), median(theirs for _, theirs in self.seconds)

    def _loss(self, which: int) -> Tensor:
        return torch.tensor(self.losses, dtype=torch.float64)[:, which]


class _Twin:
    """A model, its loss and its optimizer, all from one library, with their own random numbers (dropout draws some)."""

    def __init__(self, task: Task, library: ModuleType, backend: str | None, seed: int, dtype: torch.dtype):
        torch.manual_seed(seed)
        self.model = task.model(library.nn).to(dtype)
        self.loss = task.loss(library.nn)
        self.optimizer = task.optimizer(library.optim, self.model)
        self.backend = backend
        self.random = torch.get_rng_state()

    def on(self) -> contextlib.AbstractContextManager:
        """The context that its kernels run in."""
        return use_backend(self.backend) if self.backend else contextlib.nullcontext()

    def step(self, x: Tensor, y: Tensor) -> tuple[float, float]:
        """One training step: its loss and its seconds."""
        torch.set_rng_state(self.random)
        with self.on():
            start = time.perf_counter()
            loss = train_step(self.model, self.loss, self.optimizer, x, y).item()
            seconds = time.perf_counter() - start
        self.random = torch.get_rng_state()
        return loss, seconds

    @torch.no_grad()
    def nudge(self) -> None:
        """Move every parameter by a few units in the last place, at random."""
        for parameter in self.model.parameters():
            parameter.mul_(1 + ULPS * torch.finfo(parameter.dtype).eps * torch.randn_like(parameter))


def compare(
    task: Task,
    *,
    backend: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    on_step: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Comparison], None] = lambda result: None,
) -> Comparison:
    """Train the task's model in lockstep with scratchnet (on `backend`), with torch, and with torch from a few ulp away.

    The first two take turns going first, so that neither always finds the caches warm. The caller's random state is
    untouched. epochs: the task's if not given.
    """
    train, test = (Split(_floats(part.x, dtype), _floats(part.y, dtype)) for part in (task.train, task.test))
    result = Comparison(dtype)
    with torch.random.fork_rng(devices=[]):
        ours = _Twin(task, scratchnet, backend, seed, dtype)
        theirs, shadow = (_Twin(task, torch, None, seed, dtype) for _ in range(2))
        shadow.nudge()
        loader = Batches(*train, task.batch_size, seed)
        for _ in range(task.epochs if epochs is None else epochs):
            for x, y in loader:
                turn = slice(None, None, 1 if len(result.losses) % 2 else -1)
                steps = [twin.step(x, y) for twin in (ours, theirs)[turn]]
                (loss, seconds), (torch_loss, torch_seconds) = steps[turn]
                result.losses.append((loss, torch_loss, shadow.step(x, y)[0]))
                result.seconds.append((seconds, torch_seconds))
                on_step()
            means = torch.tensor(result.losses[-len(loader) :], dtype=torch.float64).mean(0).tolist()
            result.mean_losses.append((means[0], means[1]))
            outputs = []
            for twin in (ours, theirs):
                with twin.on():
                    outputs.append(predict(twin.model, test)[0])
            result.results.append(tuple(task.metric(part, test.y) for part in outputs))
            result.same_predictions = _same(*outputs)
            on_epoch(result)
    return result


def _floats(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Floating-point numbers in the dtype; ids and classes unchanged."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _same(ours: Tensor, theirs: Tensor) -> float:
    """The fraction of rows with the same class, or with numbers that differ by less than 1 % of their standard deviation."""
    if ours.shape[1] > 1:
        same = ours.argmax(1) == theirs.argmax(1)
    else:
        same = (ours - theirs).abs() <= 0.01 * theirs.std()
    return same.double().mean().item()
