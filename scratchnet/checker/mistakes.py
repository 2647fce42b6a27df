"""The usual mistakes of each primitive, as wrong kernels in plain torch; the sentence is what their author is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.measure.verify import Call, on_tensors


def wide(call: Call) -> Call:
    """The call in float64, in which predictions are computed."""
    widen = lambda t: t.detach().double().requires_grad_(t.requires_grad) if t.is_floating_point() else t
    args, kwargs = on_tensors(widen, call.args, call.kwargs)
    return replace(call, args=args, kwargs=kwargs, upstream=tuple(map(widen, call.upstream)))


def _norm(mean: Callable, deviation: Callable) -> Callable:
    """LayerNorm with another mean or another divisor."""

    def wrong(x: Tensor, shape: tuple, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        return (x - mean(x)) / deviation(x, eps) * weight + bias

    return wrong


def _mean(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True)


def _deviation(x: Tensor, eps: float) -> Tensor:
    return (x.var(-1, correction=0, keepdim=True) + eps).sqrt()


def _read(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """Gather without a look at the size: NaN for what is not in x."""
    at = index * x.shape[1] + torch.arange(x.shape[1]) if dim == 0 else index + x.shape[1] * torch.arange(len(x))[:, None]
    return x.flatten()[at.clamp(max=x.numel() - 1)].where(at < x.numel(), torch.nan)


MISTAKES: dict[str, dict[str, Callable]] = {
    "matmul": {
        "it multiplies element by element: a matrix product is @, not *": lambda a, b: a * b,
        "the second matrix is read transposed": lambda a, b: a @ b.reshape(b.mT.shape).mT,
        "the first matrix is read transposed": lambda a, b: a.reshape(a.mT.shape).mT @ b,
        "the two matrices are multiplied in the other order": lambda a, b: b @ a,
    },
    "cross_entropy": {
        "softmax is applied twice: cross_entropy takes logits": lambda x, y: F.cross_entropy(x.softmax(1), y),
        "softmax runs over the rows of the batch (axis 0), not over the classes": lambda x, y: F.nll_loss(x.log_softmax(0), y),
        "the logarithm is missing: it is -p of the right class, not -log p": lambda x, y: F.nll_loss(x.softmax(1), y),
        "the sum of exponentials is missing: it is -x of the right class": F.nll_loss,
    },
    "layer_norm": {
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
    },
    "gelu": {
        "it is the tanh approximation; asked for is the exact one, through erf": lambda x: F.gelu(x, approximate="tanh"),
        "it is x sigmoid(1.702 x), a rough approximation; asked for is the exact one": lambda x: x * (1.702 * x).sigmoid(),
        "it is ReLU": lambda x: x.relu(),
        "it is SiLU, x sigmoid(x)": F.silu,
        "Phi(x) alone: the factor x is missing": torch.special.ndtr,
    },
    "gather": {
        "it always gathers along axis 0: dim is an argument": lambda x, dim, index: _read(x, 0, index),
        "it always gathers along axis 1: dim is an argument": lambda x, dim, index: _read(x, 1, index),
        "it gathers along the other axis: dim says which coordinate the index replaces": lambda x, dim, i: _read(x, 1 - dim, i),
    },
}  # fmt: skip


def _logits(call: Call) -> tuple[Tensor, Tensor, Tensor]:
    """grad_output / N, softmax and one-hot targets."""
    x, target = (a.detach() for a in call.args)
    return call.upstream[0] / len(x), x.softmax(1), F.one_hot(target, x.shape[1])


def _diagonal(call: Call) -> tuple[Tensor]:
    grad, p, hot = _logits(call)
    return (grad * (p - 1) * hot,)


def _not_shifted(call: Call) -> tuple[Tensor]:
    grad, p, _ = _logits(call)
    return (grad * p,)


def _products(call: Call, first: Callable, second: Callable) -> tuple[Tensor, Tensor]:
    a, b = (t.detach() for t in call.args)
    return first(call.upstream[0], b), second(a, call.upstream[0])


def _last_wins(call: Call) -> tuple[Tensor]:
    """Assignment one after the other: the last gradient of an index stays."""
    x, dim, index = call.args
    return (torch.zeros_like(x).scatter_(dim, index, call.upstream[0]),)


def _without_slope(call: Call) -> tuple[Tensor]:
    x = call.args[0].detach()
    return (call.upstream[0] * torch.special.ndtr(x),)


BACKWARD_MISTAKES: dict[str, dict[str, Callable[[Call], tuple]]] = {
    "matmul": {
        "a factor is not transposed: grad_input = grad @ other^T, grad_other = input^T @ grad": lambda call: _products(
            call, lambda grad, b: grad @ b.reshape(b.mT.shape), lambda a, grad: a.reshape(a.mT.shape) @ grad
        ),
    },
    "cross_entropy": {
        "the Jacobian of softmax is taken for a diagonal, p (1 - p): every logit moves every probability": _diagonal,
        "the one-hot target is not subtracted: dx = (p - onehot) / N": _not_shifted,
    },
    "layer_norm": {},
    "gelu": {"x phi(x) is missing: the derivative of x Phi(x) has two terms, Phi(x) + x phi(x)": _without_slope},
    "gather": {"an index that occurs twice gets only its last gradient: add (np.add.at, scatter_add_)": _last_wins},
}  # fmt: skip
