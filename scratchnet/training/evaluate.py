"""A model's results on data that it was not trained on."""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import Module

from scratchnet.nn.mode import eval_mode
from scratchnet.training.batches import Batches

Data = Iterable[tuple[Tensor, Tensor]] | tuple[Tensor, Tensor]  # a DataLoader, or a pair of tensors
Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and targets: a scalar
Metric = Callable[[Tensor, Tensor], float]

BATCH_SIZE = 256  # for tensors: bounds the memory of a forward pass


@torch.no_grad()
def evaluate(model: Module, data: Data, loss: Loss, metrics: Sequence[Metric] = ()) -> dict[str, float]:
    """The "loss" and every metric, under its function's name, of the model in eval mode on all of `data`.

    data: a DataLoader of batches (x, y), or one pair of tensors. All outputs are held at once: R2 is not a mean over batches.
    """
    outputs, targets = predict(model, data)
    results = {"loss": loss(outputs, targets).item()}
    return results | {metric.__name__: metric(outputs, targets) for metric in metrics}


@torch.no_grad()
def predict(model: Module, data: Data) -> tuple[Tensor, Tensor]:
    """The outputs of the model in eval mode (N, ...) and the targets beside them (N, ...); every module keeps its own mode."""
    loader = Batches(*data, BATCH_SIZE) if isinstance(data, tuple) else data
    device = device_of(model)
    with eval_mode(model):
        pairs = [(model(x.to(device)), y.to(device)) for x, y in loader]
    outputs, targets = zip(*pairs, strict=True)
    return torch.cat(outputs), torch.cat(targets)


def device_of(model: Module) -> torch.device:
    """Where the model's first parameter is."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
