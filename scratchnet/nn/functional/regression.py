"""Losses between predicted and true numbers: squared, absolute, and what lies between the two."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import check_tensor, fail, scalar_name
from scratchnet.nn.functional.pointwise import pointwise
from scratchnet.nn.functional.reduction import (
    check_broadcast,
    check_reduction,
    checked_reduction,
    reduced,
    rounded,
    widened,
)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2, times `weight` if given; "mean" divides by the number of elements, or by the sum of the weights.

    Floating-point tensors of one shape; other shapes broadcast, with a warning because that is rarely meant. The result has
    their common dtype and, with reduction "none", their shape. ValueError for an unknown reduction or a weight of another
    shape, NotImplementedError for two integer tensors or complex ones. torch.nn.functional.mse_loss.
    """
    reduction = checked_reduction("mse_loss", size_average, reduce, reduction)
    check_broadcast("mse_loss", input, target)
    _check_float("mse_loss", torch.promote_types(input.dtype, target.dtype), input, target)
    _check_weight("mse_loss", weight, input)
    dtype, (x, y) = widened(input, target)
    if weight is None:
        return rounded(_squared(x, y, reduction), dtype)
    return _weighted(_squared(x, y, "none"), weight, reduction, dtype)


def _squared_value(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square_()


def _squared_slopes(x: Tensor, y: Tensor, need_x: bool, need_y: bool) -> tuple[Tensor, Tensor]:
    slope = (x - y).mul_(2)
    return slope, -slope if need_y else slope


_squared = pointwise(_squared_value, _squared_slopes)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|, times `weight` if given; "mean" divides by the number of elements, or by the sum of the weights.

    Tensors of one shape and any dtype, complex ones too (their distance); other shapes broadcast, with a warning. The slope at
    0 is 0. ValueError for an unknown reduction or a weight of another shape, RuntimeError for the mean of integers or for
    booleans. torch.nn.functional.l1_loss.
    """
    reduction = checked_reduction("l1_loss", size_average, reduce, reduction)
    check_broadcast("l1_loss", input, target)
    _check_weight("l1_loss", weight, input)
    return _absolute("l1_loss", input, target, reduction, weight)


def _absolute(name: str, input: Tensor, target: Tensor, reduction: str, weight: Tensor | None = None) -> Tensor:
    dtype = torch.promote_types(input.dtype, target.dtype)
    if dtype.is_floating_point:
        _, (input, target) = widened(input, target)
    elif dtype == torch.bool or (reduction == "mean" and not dtype.is_complex):
        _check_float(name, dtype, input, target, RuntimeError)
    loss = (input - target).abs()
    if not dtype.is_floating_point:
        dtype = loss.dtype  # of a complex difference: real
    return reduced(loss, reduction, dtype) if weight is None else _weighted(loss, weight, reduction, dtype)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared where |input - target| < beta, absolute beyond: e^2 / (2 beta) or |e| - beta / 2, the Huber loss over beta.

    Floating-point tensors of one shape; other shapes broadcast, with a warning. beta = 0 is l1_loss. ValueError for an unknown
    reduction, RuntimeError for a negative beta, NotImplementedError for two integer tensors or complex ones.
    Girshick: Fast R-CNN, https://arxiv.org/abs/1504.08083; torch.nn.functional.smooth_l1_loss.
    """
    reduction = checked_reduction("smooth_l1_loss", size_average, reduce, reduction)
    check_broadcast("smooth_l1_loss", input, target)
    if beta == 0:
        return _absolute("smooth_l1_loss", input, target, reduction)
    if beta < 0:
        problem = f"smooth_l1_loss does not support negative values for beta. Got {beta}; 0 is the plain l1_loss"
        fail(RuntimeError, "smooth_l1_loss", "beta", problem)
    _check_float("smooth_l1_loss", torch.promote_types(input.dtype, target.dtype), input, target)
    dtype, (x, y) = widened(input, target)
    return rounded(_huber(x, y, reduction, beta) / beta, dtype)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Squared where |input - target| < delta, absolute beyond: e^2 / 2 or delta (|e| - delta / 2), times `weight` if given.

    Floating-point tensors of one shape; other shapes broadcast, with a warning; the result has the dtype of input. "mean"
    divides by the number of elements, even with a weight. ValueError for an unknown reduction or a weight of another shape,
    RuntimeError for delta <= 0, NotImplementedError for integer or complex tensors.
    Huber: Robust Estimation of a Location Parameter, 1964; torch.nn.functional.huber_loss.
    """
    check_reduction("huber_loss", reduction)
    check_broadcast("huber_loss", input, target)
    _check_weight("huber_loss", weight, input)
    if delta <= 0:
        problem = f"huber_loss does not support non-positive values for delta. Got {delta}"
        fail(RuntimeError, "huber_loss", "delta", problem)
    if not input.is_floating_point() or target.is_complex():
        kind = RuntimeError if target.is_floating_point() else NotImplementedError
        _check_float("huber_loss", torch.int64, input, target, kind)
    _, (x, y) = widened(input, target)
    if weight is None:
        return rounded(_huber(x, y, reduction, delta), input.dtype)
    loss = _huber(x, y, "none", delta) * weight
    return reduced(loss, reduction, torch.promote_types(input.dtype, weight.dtype))


def _huber_value(x: Tensor, y: Tensor, delta: float) -> Tensor:
    """c (e - c / 2) with c = e cut off at +-delta: e^2 / 2 inside, delta (|e| - delta / 2) outside, without a branch."""
    e = x - y
    c = e.clamp(-delta, delta)
    return c * torch.sub(e, c, alpha=0.5)


def _huber_slopes(x: Tensor, y: Tensor, need_x: bool, need_y: bool, delta: float) -> tuple[Tensor, Tensor]:
    slope = (x - y).clamp_(-delta, delta)
    return slope, -slope if need_y else slope


_huber = pointwise(_huber_value, _huber_slopes)


def _weighted(loss: Tensor, weight: Tensor, reduction: str, dtype: torch.dtype) -> Tensor:
    """Each loss times its weight; the mean divides by the sum of the weights."""
    dtype = torch.promote_types(dtype, weight.dtype)
    loss = loss * weight
    if reduction == "mean":
        return rounded(loss.sum() / weight.to(loss.dtype).sum(), dtype)
    return reduced(loss, reduction, dtype)


def _check_weight(name: str, weight: Tensor | None, input: Tensor) -> None:
    if weight is not None:
        check_tensor(name, "weight", weight)
        if weight.shape != input.shape:
            shapes = f"got weight {tuple(weight.shape)} and input {tuple(input.shape)}"
            fail(ValueError, name, "weight", f"Weights and input must have the same size, {shapes}")


def _check_float(
    name: str, dtype: torch.dtype, input: Tensor, target: Tensor, error: type[Exception] = NotImplementedError
) -> None:
    if not dtype.is_floating_point:
        words = f"\"{name}\" not implemented for '{scalar_name(input.dtype)}': needs floating-point numbers"
        fail(error, name, "input", f"{words}, got {input.dtype} and target {target.dtype}; convert with .float()")
