"""What goes wrong in a LayerNorm."""

from __future__ import annotations

from typing import Callable

import torch.nn.functional as F
from torch import Tensor

from scratchnet.checker.sixteen import STEPS_OF_1
from scratchnet.measure.verify import Call


def _norm(mean: Callable, deviation: Callable) -> Callable:
    """LayerNorm with another mean or another divisor."""

    def wrong(x: Tensor, shape: tuple, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        return (x - mean(x)) / deviation(x, eps) * weight + bias

    return wrong


def _mean(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True)


def _deviation(x: Tensor, eps: float) -> Tensor:
    return (x.var(-1, correction=0, keepdim=True) + eps).sqrt()


FORWARD: dict[str, Callable] = {
    "the variance is the unbiased one, divided by D - 1; LayerNorm divides by D": _norm(
        _mean, lambda x, eps: (x.var(-1, keepdim=True) + eps).sqrt()
    ),
    "eps is added to the standard deviation; it belongs under the root, to the variance": _norm(
        _mean, lambda x, eps: x.var(-1, correction=0, keepdim=True).sqrt() + eps
    ),
    "eps is left out, or is a constant of its own: it is an argument": _norm(_mean, lambda x, eps: _deviation(x, 1e-5)),
    "it divides by the variance, not by its root": _norm(_mean, lambda x, eps: _deviation(x, eps) ** 2),
    "the mean is not subtracted": _norm(lambda x: 0, _deviation),
    "it normalises the columns (axis 0), as BatchNorm does; LayerNorm normalises each row": _norm(
        lambda x: x.mean(0), lambda x, eps: (x.var(0, correction=0) + eps).sqrt()
    ),
    "weight is left out": lambda x, shape, weight, bias, eps: F.layer_norm(x, shape, None, bias, eps) + 0 * weight,
    "bias is left out": lambda x, shape, weight, bias, eps: F.layer_norm(x, shape, weight, None, eps) + 0 * bias,
    "mean and variance are taken for constants: they depend on x too, dx = r (a - mean(a) - h mean(a h))": _norm(
        lambda x: _mean(x).detach(), lambda x, eps: _deviation(x, eps).detach()
    ),
    "the variance is taken for a constant: it depends on x too, - h mean(a h) is missing": _norm(
        _mean, lambda x, eps: _deviation(x, eps).detach()
    ),
    "the mean is taken for a constant: it depends on x too, - mean(a) is missing": _norm(
        lambda x: _mean(x).detach(), lambda x, eps: (((x - _mean(x).detach()) ** 2).mean(-1, keepdim=True) + eps).sqrt()
    ),
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {}
VALUES: dict[str, str] = {
    "numbers around 1e4": "E[x^2] - E[x]^2 cancels: two numbers of 1e8 agree in all the digits that float32 has. Subtract the "
    "mean first, then square",
    STEPS_OF_1: "the mean is rounded to 16 bits: x - mean is off by up to half a step, which is half a deviation here. Keep "
    "the statistics in float32",
}
