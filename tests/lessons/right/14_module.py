"""Right answers to exercise 14, in other styles than ours."""

import math

import torch

from scratchnet import nn


class Stretch__registered(nn.Module):
    """register_parameter"""

    def __init__(self, features):
        super().__init__()
        self.register_parameter("shift", nn.Parameter(torch.zeros(features)))
        self.register_parameter("gain", nn.Parameter(torch.ones(features)))

    def forward(self, x):
        return torch.addcmul(self.shift, x, self.gain)


class Stretch__torchs_module(torch.nn.Module):
    """torch's own Module, and super with its arguments"""

    def __init__(self, features):
        super(Stretch__torchs_module, self).__init__()  # noqa: UP008
        self.gain = torch.nn.Parameter(torch.full((features,), 1.0))
        self.shift = torch.nn.Parameter(torch.full((features,), 0.0))

    def forward(self, x):
        y = self.gain * x
        return self.shift + y


class Stretch__filled(nn.Module):
    """empty parameters, filled in place"""

    def __init__(self, features):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.empty(features)), nn.Parameter(torch.empty(features))
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.shift)

    def forward(self, x):
        return x.mul(self.gain).add(self.shift)


def count__loop(model):
    """a loop"""
    total = 0
    for parameter in model.parameters():
        if parameter.requires_grad:
            total += parameter.numel()
    return total


def count__shapes(model):
    """products of shapes"""
    return sum(math.prod(p.shape) for _, p in model.named_parameters() if p.requires_grad is True)


def count__filter(model):
    """filter and map"""
    return sum(map(torch.numel, filter(lambda p: p.requires_grad, model.parameters())))


def xavier___data(weight):
    """.data"""
    out, fan_in = weight.shape
    weight.data.normal_(mean=0.0, std=math.sqrt(2.0 / (fan_in + out)))
    return weight


def xavier___sum(weight):
    """the sum of the shape"""
    with torch.no_grad():
        weight.normal_(std=(2 / sum(weight.shape)) ** 0.5)
    return weight


@torch.no_grad()
def xavier___copied(weight):
    """drawn elsewhere, then copied in"""
    return weight.copy_(torch.randn(weight.shape) * math.sqrt(2 / (weight.size(0) + weight.size(1))))


def freeze__attribute(model, name):
    """the attribute of the parameter"""
    for key, parameter in model.named_parameters():
        if key.startswith(name):
            parameter.requires_grad = False


def freeze__slice(model, name):
    """the first letters compared"""
    for key, parameter in model.named_parameters():
        if key[: len(name)] == name:
            parameter.requires_grad_(requires_grad=False)


def freeze__dict(model, name):
    """a dict of the parameters"""
    parameters = dict(model.named_parameters())
    for key in [key for key in parameters if key.find(name) == 0]:
        parameters[key].requires_grad_(False)


def tie__setattr(model):
    """setattr"""
    setattr(model.head, "weight", model.embed.weight)  # noqa: B010


def tie__registered(model):
    """register_parameter"""
    model.head.register_parameter("weight", model.embed.weight)


def tie__deleted_first(model):
    """deleted, then assigned"""
    shared = model.embed.weight
    del model.head.weight
    model.head.weight = shared
