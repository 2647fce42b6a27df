"""Right answers to exercise 24, each in a style of its own."""

import contextlib

import torch
import torch.nn.functional as F

from scratchnet import nn


def dropout__bernoulli(x, p, training):
    """torch.bernoulli draws the mask."""
    return x * torch.bernoulli(torch.full_like(x, 1 - p)) / (1 - p) if training else x


def dropout__where(x, p, training):
    """Chooses instead of multiplying."""
    if training:
        return torch.where(torch.rand(x.shape) < p, torch.zeros_like(x), x / (1 - p))
    return x


def dropout__masked_fill(x, p, training):
    """masked_fill, then scaled; a copy in evaluation."""
    if not training or p == 0:
        return x.clone()
    return x.masked_fill(torch.rand_like(x) < p, 0.0).div(1 - p)


def dropout_backward__where(g, kept, p):
    """Chooses."""
    return torch.where(kept, g / (1 - p), 0.0)


def dropout_backward__factor(g, kept, p):
    """The factor of each entry, as floats."""
    return kept.float() * (1 / (1 - p)) * g


def dropout_backward__loop(g, kept, p):
    """Entry by entry."""
    dx = torch.zeros_like(g)
    for i in range(len(g)):
        if kept[i]:
            dx[i] = g[i] / (1 - p)
    return dx


class Block__by_name(nn.Module):
    """p and training by name."""

    def __init__(self, features, units, p):
        super().__init__()
        self.linear = nn.Linear(features, units)
        self.p = p

    def forward(self, x):
        return F.dropout(F.relu(self.linear(x)), p=self.p, training=self.training)


class Block__layers(nn.Module):
    """Two layers, which know the mode themselves."""

    def __init__(self, features, units, p):
        super().__init__()
        self.linear = nn.Linear(features, units)
        self.drop = torch.nn.Dropout(p)

    def forward(self, x):
        return self.drop(torch.relu(self.linear(x)))


class Block__if(nn.Module):
    """Asks for the mode."""

    def __init__(self, features, units, p):
        super().__init__()
        self.linear, self.p = nn.Linear(features, units), p

    def forward(self, x):
        h = self.linear(x).clamp(min=0)
        if self.training:
            h = h * (torch.rand_like(h) >= self.p) / (1 - self.p)
        return h


def answer__finally(model, x):
    """try and finally."""
    was = model.training
    try:
        model.eval()
        with torch.no_grad():
            return model(x)
    finally:
        model.train(was)


def answer__decorated(model, x):
    """no_grad as a decorator, the mode by an if."""
    was_training = model.training

    @torch.no_grad()
    def ask():
        return model.eval()(x)

    y = ask()
    if was_training:
        model.train()
    else:
        model.eval()
    return y


def answer__with(model, x):
    """A context manager of its own, and inference_mode."""

    @contextlib.contextmanager
    def evaluating():
        mode = model.training
        model.train(False)
        yield
        model.train(mode)

    with evaluating(), torch.inference_mode():
        return model(x)
