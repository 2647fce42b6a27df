"""Softmax and cross-entropy in plain PyTorch; derived in `scratchnet.oracle.cross_entropy`."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.ops import ACTIVATIONS, REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LossOptions
from scratchnet.ops.matmul import LinearOptions
from scratchnet.reference import widen
from scratchnet.reference.matmul import linear_backward, linear_forward
from scratchnet.torch_private import mapping


def _max(x: Tensor, dim: int) -> Tensor:
    """Largest entry along `dim`, kept with size 1: a constant to autograd, because a shift by it changes nothing."""
    x = x.detach()
    return x.amax(dim, keepdim=True) if x.ndim == 0 or x.shape[dim] else x.sum(dim, keepdim=True)  # no entry: 0


# ---- softmax, log_softmax, logsumexp -----------------------------------------------------------------------------------


def softmax_forward(x: Tensor, options: DimOptions) -> Tensor:
    """Probabilities along `dim`; NaN where the largest entry is infinite, as in torch."""
    wide = widen(x)
    e = torch.exp(wide - _max(wide, options.dim))
    return (e / e.sum(options.dim, keepdim=True)).to(x.dtype)


def softmax_backward(grad: Tensor, y: Tensor, options: DimOptions) -> Tensor:
    """dx of `softmax_forward` from its output."""
    wide, p = widen(grad), widen(y)
    return (p * (wide - (wide * p).sum(options.dim, keepdim=True))).to(y.dtype)


def log_softmax_forward(x: Tensor, options: DimOptions) -> Tensor:
    """Log-probabilities along `dim`; NaN where the largest entry is infinite, as in torch."""
    wide = widen(x)
    shifted = wide - _max(wide, options.dim)
    return (shifted - shifted.exp().sum(options.dim, keepdim=True).log()).to(x.dtype)


def log_softmax_backward(grad: Tensor, y: Tensor, options: DimOptions) -> Tensor:
    """dx of `log_softmax_forward` from its output."""
    wide = widen(grad)
    return (wide - widen(y).exp() * wide.sum(options.dim, keepdim=True)).to(y.dtype)


def logsumexp_forward(x: Tensor, options: DimOptions) -> Tensor:
    """log(sum(exp(x))) along `dim`, kept with size 1; infinite where the largest entry is, -inf for a row of size 0."""
    wide = widen(x)
    m = _max(wide, options.dim)
    m = m.where(~m.isinf(), 0.0)  # inf - inf would be NaN
    return (m + (wide - m).exp().sum(options.dim, keepdim=True).log()).to(x.dtype)


def logsumexp_backward(grad: Tensor, x: Tensor, y: Tensor, options: DimOptions) -> Tensor:
    """dx of `logsumexp_forward`; y is recomputed, because a 16-bit y has lost the digits that exp(x - y) needs."""
    wide = widen(x)
    return (widen(grad) * (wide - logsumexp_forward(wide, options)).exp()).to(x.dtype)


# ---- cross-entropy -----------------------------------------------------------------------------------------------------


_CLASSES = DimOptions(1)


def _shares(x: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions) -> tuple[Tensor, Tensor]:
    """The factor a (N, C, S) of each log-probability, and which entries count at all."""
    classes = x.shape[1]
    w = x.new_ones(classes, 1) if weight is None else weight.to(x.dtype).unsqueeze(1)  # (C, 1)
    uniform = options.label_smoothing / max(classes, 1)
    if target.is_floating_point():
        return w * ((1 - options.label_smoothing) * target + uniform), x.new_ones((), dtype=torch.bool)
    target = target.unsqueeze(1)  # (N, 1, S)
    one_hot = target == torch.arange(classes, device=x.device).unsqueeze(1)
    counts = (one_hot | (options.label_smoothing > 0)) & (target != options.ignore_index)
    return w * ((1 - options.label_smoothing) * one_hot.to(x.dtype) + uniform), counts


def _check(target: Tensor, classes: int, ignore_index: int) -> None:
    """IndexError for a class that does not exist, which no comparison below would notice; only where values can be read."""
    if type(target) is not Tensor or target.is_floating_point() or target.device.type != "cpu":
        return
    if torch.compiler.is_compiling() or mapping():
        return
    outside = target[((target < 0) | (target >= classes)) & (target != ignore_index)]
    if outside.numel():
        raise IndexError(f"cross_entropy: target {outside[0]} is out of range: it must be from 0 to {classes - 1}")


def _total_weight(x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """The divisor of the mean: rows, or the sum of the weights of the classes that are not ignored."""
    if target.is_floating_point():
        return x.new_full((), x.numel() // max(x.shape[1], 1))
    valid = target != ignore_index
    if weight is None:
        return valid.sum().to(x.dtype)
    return weight.to(x.dtype)[target.where(valid, 0)].where(valid, 0.0).sum()


def cross_entropy_forward(
    x: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss (N, S) or (), logsumexp of each row (N, S), divisor of the mean ().

    x (N, C, S); target (N, S) class indices or (N, C, S) probabilities; weight (C). A row whose largest logit is infinite
    has NaN for its loss and its logsumexp: torch computes the loss from log_softmax.
    """
    _check(target, x.shape[1], options.ignore_index)
    wide, target = widen(x), widen(target)
    a, counts = _shares(wide, target, weight, options)
    loss = -(a * log_softmax_forward(wide, _CLASSES)).where(counts, 0.0).sum(1)  # (N, S)
    total_weight = _total_weight(wide, target, weight, options.ignore_index)
    match REDUCTIONS[options.reduction]:
        case "mean":
            loss = (loss.sum() / total_weight).where(total_weight != 0, torch.nan)
        case "sum":
            loss = loss.sum()
    m = _max(wide, 1)
    lse = m.double() + (wide - m).exp().sum(1, keepdim=True).log()  # float64: exp(x - lse) needs the digits after a large m
    return loss.to(x.dtype), lse.squeeze(1), total_weight


def cross_entropy_backward(
    grad: Tensor,
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    lse: Tensor,
    total_weight: Tensor,
    options: LossOptions,
) -> Tensor:
    """dx (N, C, S) of `cross_entropy_forward`; lse is recomputed, because the saved one is a constant to autograd."""
    wide, target, grad = widen(x), widen(target), widen(grad)
    a, counts = _shares(wide, target, weight, options)
    match REDUCTIONS[options.reduction]:
        case "none":
            grad = grad.unsqueeze(1)  # (N, 1, S)
        case "mean":
            grad = grad / total_weight
    return log_softmax_backward((-a * grad).where(counts, 0.0), log_softmax_forward(wide, _CLASSES), _CLASSES).to(x.dtype)


# ---- linear + cross-entropy --------------------------------------------------------------------------------------------

_LINEAR = LinearOptions(ACTIVATIONS.index("none"))


def _logits(x: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> Tensor:
    return linear_forward(widen(x), widen(linear_weight), linear_bias, _LINEAR)[0].unsqueeze(-1)  # (N, C, 1)


def linear_cross_entropy_forward(
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of the logits x W^T + b: loss (N) or (), logsumexp of each row (N), divisor of the mean ().

    x (N, K), linear_weight (C, K), linear_bias (C), target (N) class indices or (N, C) probabilities, weight (C).
    """
    logits = _logits(x, linear_weight, linear_bias)
    loss, lse, total_weight = cross_entropy_forward(logits, target.unsqueeze(-1), weight, options)
    return loss.reshape(loss.shape[:1]).to(x.dtype), lse.squeeze(-1), total_weight


def linear_cross_entropy_backward(
    grad: Tensor,
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    lse: Tensor,
    total_weight: Tensor,
    options: LossOptions,
    need_x: bool,
    need_linear_weight: bool,
    need_linear_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """dx (N, K), dW (C, K) and db (C): the gradient of the logits, then the backward of the linear layer."""
    logits = _logits(x, linear_weight, linear_bias)
    grad = grad.unsqueeze(-1) if REDUCTIONS[options.reduction] == "none" else grad
    saved = lse.unsqueeze(-1), total_weight
    dlogits = cross_entropy_backward(grad, logits, target.unsqueeze(-1), weight, *saved, options).squeeze(-1)  # (N, C)
    needs = need_x, need_linear_weight, need_linear_bias
    grads = linear_backward(dlogits, widen(x), widen(linear_weight), x.new_empty(0), _LINEAR, *needs)
    return tuple(None if g is None else g.to(x.dtype) for g in grads)


def linear_cross_entropy_gradients(
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    options: LossOptions,
    need_x: bool,
    need_linear_weight: bool,
    need_linear_bias: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The results of forward, and those of backward for an incoming gradient of 1; for reduction "mean" or "sum"."""
    inputs = x, linear_weight, linear_bias, target, weight
    loss, lse, total_weight = linear_cross_entropy_forward(*inputs, options)
    needs = need_x, need_linear_weight, need_linear_bias
    grads = linear_cross_entropy_backward(torch.ones_like(loss), *inputs, lse, total_weight, options, *needs)
    return loss, lse, total_weight, *(None if g is None else widen(g) for g in grads)
