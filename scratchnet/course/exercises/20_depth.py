"""Exercise 20: lines that collapse, bends that do not.

Each `...` is a blank for you to fill in. Then: scratchnet check 20
"""

import torch

import scratchnet.nn.functional as F
from scratchnet import nn, optim, training


def collapse(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """One linear layer that does what second(first(x)) does; both have a bias."""
    one = nn.Linear(first.in_features, second.out_features)
    with torch.no_grad():
        one.weight.copy_(...)
        one.bias.copy_(...)
    return one


def both_or_none(x: torch.Tensor) -> torch.Tensor:
    """XNOR by hand: points (N, 2) of zeros and ones -> (N,), 1 where both are equal, 0 where they differ.

    A hidden layer of two ReLU units and a linear output; the lesson's XOR is a good start. W is (2, 2), b (2,), w (2,).
    """
    W, b = torch.tensor(...), torch.tensor(...)
    w, c = torch.tensor(...), ...
    return F.relu(x @ W.T + b) @ w + c


def learn(x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    """A trained network for points x (4, 2) and classes y (4,): logits (N, 2), with a loss below 0.1 on XOR.

    The layers keep the random numbers that torch draws; plain SGD is enough.
    """
    model = ...
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    for _ in range(150):
        training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
    return model


def mlp_numbers(sizes: list) -> int:
    """How many numbers an MLP has: sizes [2, 16, 16, 3] are the widths, Linear(2, 16), bend, Linear(16, 16), bend, ..."""
    return ...


def folds() -> dict:
    """Whole numbers about the folding network of the lesson: every layer has two ReLU units and folds the line once more."""
    return {
        "straight pieces with 3 layers": ...,
        "straight pieces with 10 layers": ...,
        "ReLU units in those 10 layers": ...,
        "ReLU units that one hidden layer needs for as many pieces": ...,
    }
