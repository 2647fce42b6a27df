"""The training loop, step by step, and the classifier of the digits job."""

from __future__ import annotations

from statistics import mean
from types import ModuleType
from typing import Callable, Iterator, NamedTuple

import torch
from torch import Tensor
from torch.nn import Module

from scratchnet import nn, optim
from scratchnet.data import Split


class Epoch(NamedTuple):
    """One pass over the training data."""

    loss: float  # mean over the batches, as they were seen
    accuracy: float  # on the held-out data, afterwards


LABEL_SMOOTHING = 0.1  # of the digits job: keeps the small network from memorising, about half a percent of held-out accuracy


def classifier(layers: ModuleType = nn, *, hidden: int = 256, dtype: torch.dtype | None = None) -> Module:
    """Images (N, 8, 8) -> logits (N, 10); `layers` is scratchnet.nn or torch.nn: the same seed gives the same parameters."""
    return layers.Sequential(
        layers.Flatten(),  # (N, 64)
        layers.Linear(64, hidden, dtype=dtype),
        layers.LayerNorm(hidden, dtype=dtype),
        layers.GELU(),
        layers.Linear(hidden, 10, dtype=dtype),
    )


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Every index below `count` once, shuffled, in batches of `size` (the last may be smaller)."""
    yield from torch.randperm(count, generator=generator).split(size)


def train_step(model: Module, loss: Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """Forward, backward, update; the detached loss of the batch."""
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.detach()


@torch.no_grad()
def accuracy(model: Module, data: Split) -> float:
    """The share of the data that the model, in eval mode, classifies correctly."""
    training = model.training
    model.eval()
    right = (model(data.x).argmax(-1) == data.y).double().mean().item()
    model.train(training)
    return right


def fit(
    model: Module,
    train: Split,
    test: Split,
    *,
    loss: Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    epochs: int = 20,
    batch_size: int = 32,
    seed: int = 0,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train a classifier and return its history; `seed` shuffles the batches.

    Unless told otherwise the loss is cross-entropy with label smoothing 0.1 and the optimizer Adam with its defaults.
    """
    loss = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING) if loss is None else loss
    optimizer = optim.Adam(model.parameters()) if optimizer is None else optimizer
    generator = torch.Generator().manual_seed(seed)
    history = []
    for _ in range(epochs):
        order = batches(len(train.y), batch_size, generator)
        losses = [train_step(model, loss, optimizer, train.x[index], train.y[index]).item() for index in order]
        history.append(Epoch(mean(losses), accuracy(model, test)))
        on_epoch(history[-1])
    return history
