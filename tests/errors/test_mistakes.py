"""The learners' mistakes, by their numbers in the course: each is made here, and what the learner is told is read."""

import warnings
from typing import Callable

import pytest
import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import nn, optim, training

X, ROWS = torch.linspace(-1, 1, 24).reshape(8, 3), torch.linspace(-1, 1, 4)
Y = torch.arange(8) % 3


def network(classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, classes))


def images() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10))


def softmax_before_the_loss(loss: Callable) -> Callable:
    return lambda: loss(F.softmax(network()(X), dim=1), Y).backward()


def changes_what_was_saved() -> None:
    x = torch.ones(3, requires_grad=True) * 2
    y = F.gelu(x)
    x += 1
    y.sum().backward()


def train(order: str, model: nn.Module | None = None, lr: float = 0.1) -> Callable:
    """Two rounds of (z)ero_grad, (b)ackward and (s)tep in this order."""

    def run() -> None:
        net = model or network()
        optimizer = optim.SGD(net.parameters(), lr=lr)
        parts = {"z": optimizer.zero_grad, "b": lambda: F.cross_entropy(net(X), Y).backward(), "s": optimizer.step}
        with training.watch(net):
            for part in order * 2:
                parts[part]()

    return run


def dead_units() -> None:
    model = network()
    nn.init.constant_(model[0].bias, -100.0)
    train("zbs", model)()


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = [nn.Linear(3, 3)]
        self.last = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.parts[0](x))


def diverges() -> None:
    model = network(1)
    settings = {"loss": nn.MSELoss(), "epochs": 50, "progress": False}
    training.fit(model, (1e3 * X, X[:, :1]), optimizer=optim.SGD(model.parameters(), lr=10.0), **settings)


def schedules_first() -> None:
    optim.lr_scheduler.StepLR(optim.SGD(network().parameters(), lr=0.1), 1).step()


def exponential_of_large_numbers() -> None:
    class Exp(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.exp()

    with training.watch(nn.Sequential(nn.Identity(), Exp())) as report:
        report.model(1000 * X)


Teaching = scratchnet.TeachingWarning
# number -> what is done, what comes of it, and words of the message, separated by " | "
MISTAKES: list[tuple[int, Callable, type, str]] = [
    (1, softmax_before_the_loss(F.cross_entropy), Teaching, "(8, 3) is the result of a softmax | leave the softmax"),
    (1, softmax_before_the_loss(nn.CrossEntropyLoss()), Teaching, "the result of a softmax | NLLLoss"),
    (1, lambda: nn.CrossEntropyLoss()(X.softmax(1), Y), Teaching, "never negative and adds up to 1 | leave the softmax"),
    (3, lambda: nn.MSELoss()(ROWS[:, None], ROWS), UserWarning, "torch.Size([4]) | torch.Size([4, 1]) | squeeze(1)"),
    (4, lambda: nn.BCELoss()(ROWS[:, None].abs(), ROWS.abs()), ValueError, "[4, 1] | [4] | squeeze(1)"),
    (5, lambda: network()(X.T), RuntimeError, "layer '0', Linear(in_features=3 | last axis of in_features = 3 | is 8"),
    (6, lambda: scratchnet.mm(X, ROWS), RuntimeError, "must be a matrix | (4,) | scratchnet.matmul"),
    (6, lambda: scratchnet.bmm(X[None], torch.ones(2, 3, 1)), RuntimeError, "[1, 3] | [2, 3] | scratchnet.matmul broadcasts"),
    (12, lambda: network()(X.double()), RuntimeError, "float64 | float32 | input.float() | layer '0'"),
    (13, lambda: network()(X.long()), RuntimeError, "int64 | ids | embedding"),
    (17, changes_what_was_saved, RuntimeError, "modified by an inplace operation | GELU saved this tensor | x = x + 1"),
    (21, train("bs"), Teaching, "gradients that the previous step has already used | zero_grad()"),
    (23, train("zsb"), Teaching, "SGD: step() has found no gradient | zero_grad(), forward, loss.backward(), step()"),
    (27, lambda: network().to("meta")(X), RuntimeError, "weight is on meta, different from input on cpu | .to(input.device)"),
    (29, lambda: F.cross_entropy(X, Y.float()), RuntimeError, "Long or Byte, but got Float | .long()"),
    (30, lambda: F.cross_entropy(X, Y[:, None]), RuntimeError, "multi-target not supported | target.squeeze(1)"),
    (31, lambda: F.cross_entropy(X, F.one_hot(Y)), RuntimeError, "one-hot | target.argmax(1)"),
    (32, lambda: F.cross_entropy(X, Y + 1), IndexError, "Target 3 is out of bounds | position (2,) | 3 classes | 0 to 2"),
    (32, lambda: F.cross_entropy(X, Y - 1), IndexError, "Target -1 is out of bounds | position (0,) | ignore_index"),
    (33, lambda: F.cross_entropy(X, Y[:6]), ValueError, "(8) to match target batch_size (6) | (8, 3) and (6,)"),
    (34, lambda: nn.BCELoss()(2 * ROWS, ROWS.abs()), RuntimeError, "between 0 and 1 | logits"),
    (36, lambda: nn.Softmax()(X), UserWarning, "mplicit dimension | dim=-1"),
    (37, exponential_of_large_numbers, Teaching, "layer '1', Exp() | holds NaN or infinity | its input"),
    (40, lambda: nn.Dropout(80), ValueError, "between 0 and 1, but got 80 | of being zeroed, not of being kept"),
    (41, dead_units, Teaching, "layer '1', ReLU() | 4 of 4 units | LeakyReLU"),
    (42, lambda: nn.LayerNorm(5)(X), RuntimeError, "normalized_shape=[5], expected input with shape [*, 5] | [8, 3]"),
    (44, lambda: nn.LayerNorm(3)(X.double()), RuntimeError, "float64 | float32"),
    (45, lambda: nn.Embedding(3, 2)(Y.float()), RuntimeError, "Long, Int; but got torch.float32 | .long()"),
    (45, lambda: nn.Embedding(2, 2)(Y), IndexError, "index | 2 | (2,)"),
    (47, lambda: scratchnet.gather(X, 1, Y), RuntimeError, "same number of dimensions | unsqueeze"),
    (47, lambda: scratchnet.gather(X, 1, Y[:, None] - 1), RuntimeError, "-1 is out of bounds | negative"),
    (48, train("zbs", Hidden()), Teaching, "'parts' is a list | nn.ModuleList"),
    (49, lambda: optim.SGD([]), ValueError, "empty parameter list | nn.Parameter, nn.ModuleList"),
    (53, diverges, FloatingPointError, "the loss is | below 10.0 | epoch"),
    (55, schedules_first, UserWarning, "`lr_scheduler.step()` before `optimizer.step()`"),
    (56, lambda: images()(torch.ones(2, 3, 8, 8)), RuntimeError, "layer '0', Conv2d | [2, 3, 8, 8] | 1 channels"),
    (56, lambda: images()(torch.ones(2, 1, 2, 2)), RuntimeError, "Kernel size can't be greater than actual input size"),
    (57, lambda: images()(torch.ones(2, 1, 8, 8)), RuntimeError, "layer '3' | (2, 2, 3, 3) flattened | 2 * 3 * 3 = 18"),
    (58, lambda: nn.BatchNorm1d(3)(X[:1]), ValueError, "more than 1 value per channel | eval"),
]  # fmt: skip

# Methods of torch's tensors and modules, whose messages are torch's own.
TORCHS = {2, 8, 9, 14, 15, 16, 18, 19, 20, 22, 24, 25, 50, 52, 59}
# Programs that may well be meant: only a lesson can tell.
LESSONS = {7, 10, 11, 26, 28, 35, 38, 39, 43, 46, 51, 54, 60}


@pytest.mark.parametrize("backend", [None, "cpp"], ids=["default", "cpp"])
@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row[0]}-{k}") for k, row in enumerate(MISTAKES)])
def test_a_mistake_is_answered(row, backend):
    number, make, kind, words = row
    with scratchnet.backend(backend), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if issubclass(kind, Warning):
            make()
            messages = {str(warning.message) for warning in caught if issubclass(warning.category, kind)}
            assert {warning.filename for warning in caught if warning.category is Teaching} <= {__file__}
            (message,) = messages
        else:
            with pytest.raises(kind) as raised:
                make()
            message = str(raised.value)
    assert [part for part in words.split(" | ") if part not in message] == [], message


def test_every_mistake_of_the_list_is_answered_or_told_in_a_lesson():
    groups = [{row[0] for row in MISTAKES}, TORCHS, LESSONS]
    assert set.union(*groups) == set(range(1, 61)) and sum(map(len, groups)) == 60


def log_softmax_first(x):
    return F.cross_entropy(F.log_softmax(x, 1), Y)


def frozen_for_now(model):
    model.requires_grad_(False)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    optimizer.step()


def plan(model):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    for _ in range(3):  # no gradient, for only the rates are looked at
        optimizer.step()
        scheduler.step()


def one_of_two_is_used(model):
    other = network()
    optimizers = [optim.Adam(m.parameters()) for m in (model, other)]
    for used in (model, other, model, other):
        for optimizer in optimizers:
            optimizer.zero_grad()
        F.cross_entropy(model(X) + other(X), Y).backward() if used is model else F.cross_entropy(used(X), Y).backward()
        for optimizer in optimizers:
            optimizer.step()


SILENT = [
    train("zbs"),
    lambda: log_softmax_first(network()(X)).backward(),
    lambda: plan(network()),
    lambda: frozen_for_now(network()),
    lambda: one_of_two_is_used(network()),
    lambda: F.nll_loss(F.softmax(network()(X), 1).log(), Y).backward(),
]


@pytest.mark.parametrize("program", SILENT)
def test_correct_programs_hear_nothing(program):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program()
