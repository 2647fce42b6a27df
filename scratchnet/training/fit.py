"""The training loop: five steps a batch (concept 71), and around them what real runs need."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Any, Callable, Iterable, Literal

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import Module
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from scratchnet.training import checkpoint as checkpoints
from scratchnet.training.batches import Batches

History = dict[str, list[float]]
Metric = Callable[[Tensor, Tensor], float]

EVALUATION_BATCH = 256  # bounds the memory of a forward pass


def train_step(model: Module, loss: Callable[[Tensor, Tensor], Tensor], optimizer: Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """The five steps in their simplest form; the detached loss of the batch before the update."""
    optimizer.zero_grad()
    outputs = model(x)
    value = loss(outputs, y)
    value.backward()
    optimizer.step()
    return value.detach()


@torch.no_grad()
def evaluate(
    model: Module,
    data: Iterable[tuple[Tensor, Tensor]] | tuple[Tensor, Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    metrics: Iterable[Metric] = (),
) -> dict[str, float]:
    """The "loss" and every metric, under its function's name, of a model in eval mode on all of `data`.

    data: a DataLoader, or a pair of tensors. All outputs are held at once: a metric such as R2 is no mean over batches.
    """
    outputs, targets = _outputs(model, data)
    results = {"loss": loss(outputs, targets).item()}
    return results | {metric.__name__: metric(outputs, targets) for metric in metrics}


def _outputs(model: Module, data: Iterable | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The outputs of the model in eval mode, and the targets; the mode is put back."""
    training, device = model.training, _device(model)
    model.eval()
    loader = Batches(*data, EVALUATION_BATCH) if isinstance(data, tuple) else data
    pairs = [(model(x.to(device)), y.to(device)) for x, y in loader]
    model.train(training)
    outputs, targets = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return outputs, targets


def _device(model: Module) -> torch.device:
    """Where the first parameter is."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
