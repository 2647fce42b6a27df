"""What `scratchnet train` trains: real data, a model, and how good it has to get.

A model is written once: its builder takes scratchnet.nn or torch.nn, and the same seed gives the same parameters.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Callable

from torch.nn import Module
from torch.optim import Optimizer

from scratchnet import data
from scratchnet.data import Split, Vocabulary
from scratchnet.training.evaluate import Metric
from scratchnet.training.metrics import accuracy, nats, r2


@dataclass(frozen=True)
class Task:
    """Data, model, loss, optimizer and goal of one run."""

    train: Split
    test: Split  # held out
    model: Callable[[ModuleType], Module]  # given a namespace like torch.nn
    loss: Callable[[ModuleType], Module]  # likewise
    optimizer: Callable[[ModuleType, Module], Optimizer]  # given a namespace like torch.optim and the model
    metric: Metric
    goal: float  # for the metric on the held-out data: a minimum, or for nats a maximum
    epochs: int
    batch_size: int
    threads: int | None = None  # None: torch's default; products too small to share are faster on one
    vocabulary: Vocabulary | None = None  # of a language model

    def reached(self, result: float) -> bool:
        """Whether a result on the held-out data reaches the goal."""
        return result <= self.goal if self.metric is nats else result >= self.goal

    def limit(self, samples: int) -> Task:
        """The same task with only the first `samples` rows to train on."""
        return replace(self, train=Split(self.train.x[:samples], self.train.y[:samples]))


def digits() -> Task:
    """1,797 handwritten digits of 8x8 pixels: one hidden layer"""
    train, test = data.digits()

    def model(nn: ModuleType) -> Module:
        return nn.Sequential(
            nn.Flatten(),  # (N, 64)
            nn.Linear(64, 256),
            nn.LayerNorm(256),
            nn.GELU(),
            nn.Linear(256, 10),
        )

    # Label smoothing keeps the small network from memorising: about half a percent of held-out accuracy.
    return Task(
        train,
        test,
        model,
        loss=lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=lambda optim, model: optim.Adam(model.parameters()),
        metric=accuracy,
        goal=0.97,
        epochs=20,
        batch_size=32,
        threads=1,
    )


def mnist() -> Task:
    """5,000 handwritten digits of 28x28 pixels: two convolutions, 421,642 parameters"""
    train, test = data.mnist_5k()

    def model(nn: ModuleType) -> Module:
        return nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),  # (N, 32, 28, 28)
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),  # (N, 64, 14, 14)
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),  # (N, 3136)
            nn.Linear(3136, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    return Task(
        train,
        test,
        model,
        loss=lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=lambda optim, model: optim.Adam(model.parameters()),
        metric=accuracy,
        goal=0.965,
        epochs=6,
        batch_size=32,
    )


def diabetes() -> Task:
    """442 patients, ten measurements each: the progression of the disease, by regression"""
    train, test = data.diabetes()
    # Standardise by the mean and standard deviation of the training data alone.
    mean, std = Split(*(part.mean(0) for part in train)), Split(*(part.std(0) for part in train))
    train, test = (Split((part.x - mean.x) / std.x, (part.y - mean.y) / std.y) for part in (train, test))

    def model(nn: ModuleType) -> Module:
        return nn.Sequential(nn.Linear(10, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 1))

    return Task(
        train,
        test,
        model,
        loss=lambda nn: nn.MSELoss(),
        optimizer=lambda optim, model: optim.Adam(model.parameters(), lr=3e-3),
        metric=r2,
        goal=0.42,
        epochs=20,
        batch_size=32,
        threads=1,
    )


def names() -> Task:
    """5,163 first names: the next letter from the eight before it"""
    train, test = data.names()
    vocabulary = Vocabulary(string.ascii_lowercase)
    sizes = {"context": 8, "width": 16, "hidden": 128, "dropout": 0.2}
    return _language_model(train, test, vocabulary, **sizes, batch_size=64, epochs=10, goal=2.37)


def prose() -> Task:
    """Python's own documentation, 370,000 characters: the next one from the sixteen before it"""
    train, test = data.prose()
    vocabulary = Vocabulary(train + test)
    sizes = {"context": 16, "width": 24, "hidden": 256, "dropout": 0.0}
    return _language_model([train], [test], vocabulary, **sizes, batch_size=256, epochs=3, goal=2.32)


def _language_model(
    train: list[str],
    test: list[str],
    vocabulary: Vocabulary,
    *,
    context: int,
    width: int,
    hidden: int,
    dropout: float,
    batch_size: int,
    epochs: int,
    goal: float,
) -> Task:
    """Bengio et al. (2003): the embeddings of the last `context` characters, side by side, through one hidden layer."""

    def model(nn: ModuleType) -> Module:
        return nn.Sequential(
            nn.Embedding(len(vocabulary), width),  # (N, context, width)
            nn.Flatten(),  # (N, context * width)
            nn.Linear(context * width, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(vocabulary)),
        )

    return Task(
        data.windows(train, vocabulary, context),
        data.windows(test, vocabulary, context),
        model,
        loss=lambda nn: nn.CrossEntropyLoss(),
        optimizer=lambda optim, model: optim.Adam(model.parameters(), lr=2e-3),
        metric=nats,  # per character
        goal=goal,
        epochs=epochs,
        batch_size=batch_size,
        threads=1,
        vocabulary=vocabulary,
    )


TASKS: dict[str, Callable[[], Task]] = {task.__name__: task for task in (digits, mnist, diabetes, names, prose)}
