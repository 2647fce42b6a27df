"""Right answers to exercise 20, each in a style of its own."""

import functools

import torch
import torch.nn.functional as F

import scratchnet.nn
from scratchnet import nn, training


def collapse__parameters(first, second):
    """New parameters in a new layer."""
    one = nn.Linear(first.in_features, second.out_features)
    one.weight = nn.Parameter(second.weight.detach() @ first.weight.detach())
    one.bias = nn.Parameter(second(first.bias).detach())
    return one


def collapse__by_asking(first, second):
    """Asks both layers for zeros and for each unit vector."""
    one = torch.nn.Linear(first.in_features, second.out_features)
    with torch.no_grad():
        start = second(first(torch.zeros(first.in_features)))
        one.weight.data = (second(first(torch.eye(first.in_features))) - start).T
        one.bias.data = start
    return one


def collapse__einsum(first, second):
    """einsum and a state_dict."""
    one = nn.Linear(first.in_features, second.out_features)
    weight = torch.einsum("oh,hi->oi", second.weight, first.weight).detach()
    bias = (second.weight * first.bias).sum(dim=1).detach() + second.bias.detach()
    one.load_state_dict({"weight": weight, "bias": bias})
    return one


def both_or_none__distance(x):
    """1 minus the distance of the two numbers."""
    W = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    return 1 - F.relu(x @ W.T).sum(dim=1)


def both_or_none__from_both_ends(x):
    """One unit for (1, 1), one for (0, 0), no constant."""
    W, b = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), torch.tensor([-1.0, 1.0])
    return torch.relu(x @ W.T + b) @ torch.tensor([1.0, 1.0])


def both_or_none__layers(x):
    """Two Linear layers whose numbers are set."""
    hidden, output = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    with torch.no_grad():
        hidden.weight.copy_(torch.ones(2, 2))
        hidden.bias.copy_(torch.tensor([0.0, -1.0]))
        output.weight.copy_(torch.tensor([[-1.0, 2.0]]))
        output.bias.fill_(1.0)
        return output(hidden(x).clamp(min=0)).squeeze(1)


def _trained(model, x, y):
    optimizer = scratchnet.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(150):
        training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
    return model


def learn__wide_relu(x, y):
    """ReLU, in a wide layer."""
    return _trained(nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 2)), x, y)


def learn__tanh(x, y):
    """tanh."""
    return _trained(nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)), x, y)


def learn__module(x, y):
    """A class of its own."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 16), nn.Linear(16, 2)

        def forward(self, x):
            return self.second(F.gelu(self.first(x)))

    return _trained(Network(), x, y)


def mlp_numbers__loop(sizes):
    """A loop over the layers."""
    total = 0
    for i in range(len(sizes) - 1):
        total += sizes[i] * sizes[i + 1]
        total += sizes[i + 1]
    return total


def mlp_numbers__zip(sizes):
    """Each output has its inputs and one more."""
    return sum((a + 1) * b for a, b in zip(sizes[:-1], sizes[1:], strict=True))


def mlp_numbers__built(sizes):
    """Built on the meta device and counted."""
    layers = [nn.Linear(a, b, device="meta") for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return functools.reduce(lambda total, p: total + p.numel(), nn.Sequential(*layers).parameters(), 0)


_QUESTIONS = (
    "straight pieces with 3 layers",
    "straight pieces with 10 layers",
    "ReLU units in those 10 layers",
    "ReLU units that one hidden layer needs for as many pieces",
)


def folds__literal():
    """Numbers."""
    return dict(zip(_QUESTIONS, (8, 1024, 20, 1023), strict=True))


def folds__powers():
    """Powers of 2."""
    pieces = lambda layers: pow(2, layers)
    return dict(zip(_QUESTIONS, (pieces(3), pieces(10), 2 * 10, pieces(10) - 1), strict=True))


def folds__floats():
    """The same as floats, in another order."""
    return dict(reversed(list(zip(_QUESTIONS, (8.0, 1024.0, 20.0, 1023.0), strict=True))))
