"""Losses between true probabilities and predicted ones (as such, as logits or as logarithms); cross_entropy is a primitive."""

from __future__ import annotations

import torch
import torch.nn.functional as elementwise
from torch import Tensor

from scratchnet.functions.checks import check_float, fail, reduction_name, scalar_name, warn
from scratchnet.functions.class_targets import one_dtype
from scratchnet.functions.explain.class_targets import check_class_indices, check_class_weight, check_classes, check_one_dtype
from scratchnet.functions.gather import gather
from scratchnet.nn.functional.pointwise import pointwise
from scratchnet.nn.functional.reduction import (
    broadcast_to,
    check_pair,
    check_reduction,
    check_same_size,
    check_weight,
    checked_reduction,
    fail_to_broadcast,
    reduced,
    rounded,
    widened,
)
from scratchnet.torch_private import mapping


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-weight[target] * input[target], the second half of cross_entropy: gather picks one log-probability of input per row.

    input (C,), (N, C) or (N, C, d1, ...), floating-point; target (), (N,) or (N, d1, ...), int64 or uint8, where ignore_index
    does not count; weight (C,). reduction "none" keeps the rows, "sum" adds them, "mean" divides by the sum of the targets'
    weights. ValueError, RuntimeError and IndexError (a class that does not exist) as in torch.nn.functional.nll_loss.
    """
    reduction = checked_reduction("nll_loss", size_average, reduce, reduction)
    check_pair("nll_loss", input, target)
    check_float("nll_loss", "input", input)
    if not input.dim():
        fail(ValueError, "nll_loss", "input", "Expected 1 or more dimensions (got 0): needs (C,), (N, C) or (N, C, d1, ...)")
    check_class_indices("nll_loss", input.shape, target)
    x = input if input.dim() > 1 else input.unsqueeze(0)  # (N, C, ...)
    if weight is not None:
        check_class_weight("nll_loss", input, x.shape[1], weight)
    check_one_dtype("nll_loss", x, target, weight)
    x, classes, weight = one_dtype(x, target, weight)
    classes = classes.reshape(x.shape[:1] + x.shape[2:])  # (N, ...)

    ignored = classes == ignore_index
    index = classes.masked_fill(ignored, 0)
    try:
        picked = gather(x, 1, index.unsqueeze(1)).squeeze(1)
    except (RuntimeError, IndexError):
        check_classes("nll_loss", target, x.shape[1], ignore_index)
        raise
    _, (loss,) = widened(picked)
    weights = ~ignored
    if weight is not None:
        weights = gather(weight.to(loss.dtype), 0, index.flatten()).reshape(index.shape).masked_fill(ignored, 0)
        loss = loss * weights
    loss = loss.neg().masked_fill(ignored, 0)  # whatever an ignored row holds, infinity included
    if reduction == "mean":
        return rounded(loss.sum() / weights.sum(), input.dtype)
    return reduced(loss if input.dim() > 1 else loss.reshape(()), reduction, input.dtype)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target log(input) + (1 - target) log(1 - input)), times `weight` if given; both logarithms are at least -100.

    input and target: probabilities from 0 to 1 of one floating dtype and one shape; weight broadcasts to it. "mean" divides by
    the number of elements. ValueError for different shapes or an unknown reduction, RuntimeError for different dtypes and for
    numbers outside [0, 1] (usually logits: those belong in binary_cross_entropy_with_logits).
    torch.nn.functional.binary_cross_entropy.
    """
    name = "binary_cross_entropy"
    reduction = checked_reduction(name, size_average, reduce, reduction)
    check_pair(name, input, target)
    sizes = f"Using a target size ({target.size()}) that is different to the input size ({input.size()})"
    check_same_size(name, input, target, f"{sizes} is deprecated. Please ensure they have the same size.")
    check_float(name, "input", input)
    if target.dtype != input.dtype and not torch.is_autocast_enabled(input.device.type):
        problem = f"Found dtype {scalar_name(target.dtype)} but expected {scalar_name(input.dtype)}"
        fail(RuntimeError, name, "target", f"{problem}: take target.to(input.dtype)")
    if weight is not None:
        check_weight(name, "weight", weight, input)
    if not torch.compiler.is_compiling() and not mapping() and input.device.type == "cpu":
        _check_probabilities(name, "input", input, "; logits belong in binary_cross_entropy_with_logits")
        _check_probabilities(name, "target", target, "; it holds true probabilities, usually 0 or 1")
    _, (p, t) = widened(input, target)
    if weight is None:
        return rounded(_bce(p, t, reduction), input.dtype)
    return reduced(_bce(p, t, "none") * weight, reduction, input.dtype)


# Logarithms are clamped at -100 and divisors at 1e-12, so that p = 0 and p = 1 have a large but finite loss and gradient with
# respect to p: torch's convention, which autograd could not derive from the formula.


def _bce_value(p: Tensor, t: Tensor) -> Tensor:
    return torch.log1p(-p).clamp_(min=-100).lerp(p.log().clamp_(min=-100), t).neg_()


def _bce_slopes(p: Tensor, t: Tensor, need_p: bool, need_t: bool) -> tuple[Tensor, Tensor]:
    dp = (p - t).div_((p * (1 - p)).clamp_(min=1e-12)) if need_p else p
    return dp, p.logit().neg_() if need_t else t


_bce = pointwise(_bce_value, _bce_slopes)


def _check_probabilities(name: str, argument: str, p: Tensor, hint: str) -> None:
    if p.numel():
        low, high = p.detach().aminmax()
        if not (low >= 0 and high <= 1):  # not "low < 0 or high > 1", which lets NaN pass
            problem = f"all elements of {argument} should be between 0 and 1, got {low.item():.4g} to {high.item():.4g}"
            fail(RuntimeError, name, argument, problem + hint)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), for any logit: (1 - target) input - log sigmoid(input), which needs no log(0).

    input: logits; target: probabilities in the same shape; both floating-point. pos_weight multiplies the positive part of the
    loss, weight the whole; both broadcast to input's shape. "mean" divides by the number of elements; the result has target's
    dtype. ValueError for different shapes or an unknown reduction, RuntimeError for an integer target or weights that do not
    broadcast, NotImplementedError for logits that are not floats. torch.nn.functional.binary_cross_entropy_with_logits.
    """
    name = "binary_cross_entropy_with_logits"
    reduction = checked_reduction(name, size_average, reduce, reduction)
    check_pair(name, input, target)
    sizes = f"Target size ({target.size()}) must be the same as input size ({input.size()})."
    check_same_size(name, input, target, sizes)
    check_float(name, "input", input)
    if not target.is_floating_point():
        problem = f"result type {scalar_name(input.dtype)} can't be cast to the desired output type {scalar_name(target.dtype)}"
        fail(RuntimeError, name, "target", f"{problem}: call .float() on the labels")
    for argument, value in (("weight", weight), ("pos_weight", pos_weight)):
        if value is not None:
            check_weight(name, argument, value, input)
    _, (x, t) = widened(input, target)
    if weight is None and pos_weight is None:
        return rounded(_logits_bce(x, t, reduction), target.dtype)
    if pos_weight is None:
        loss = _logits_bce(x, t, "none")
    else:
        loss = (1 - t) * x - (1 + (pos_weight.to(t.dtype) - 1) * t) * elementwise.logsigmoid(x)
    return reduced(loss if weight is None else loss * weight, reduction, target.dtype)


def _logits_bce_value(x: Tensor, t: Tensor) -> Tensor:
    return ((1 - t) * x).sub_(elementwise.logsigmoid(x))


def _logits_bce_slopes(x: Tensor, t: Tensor, need_x: bool, need_t: bool) -> tuple[Tensor, Tensor]:
    return x.sigmoid() - t if need_x else x, -x if need_t else t


_logits_bce = pointwise(_logits_bce_value, _logits_bce_slopes)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target (log(target) - input): how far the log-probabilities `input` are from the probabilities `target`, 0 log 0 = 0.

    Floating-point tensors of one shape, or shapes that broadcast; log_target: target holds logarithms too. "batchmean" divides
    the sum by input.shape[0], which is the mathematical mean; "mean" by all elements, with torch's warning. ValueError for an
    unknown reduction, RuntimeError for integers, complex numbers and shapes that do not broadcast.
    torch.nn.functional.kl_div.
    """
    legacy = size_average is not None or reduce is not None
    reduction = reduction_name(size_average, reduce, reduction)
    if reduction == "mean" and not legacy:
        warn(
            "kl_div(): reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' "
            "divides only by the batch size, and aligns with the KL div math definition. 'mean' will be changed to behave the "
            "same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    if reduction != "batchmean":
        check_reduction("kl_div", reduction)
    check_pair("kl_div", input, target)
    for argument, value in (("input", input), ("target", target)):
        if not value.is_floating_point():
            kind = "Complex" if value.is_complex() else "Integral"
            hint = "take the logarithms of floating-point probabilities"
            fail(RuntimeError, "kl_div", argument, f"{kind} inputs not supported, got {value.dtype}; {hint}")
    if input.shape != target.shape and broadcast_to(input.shape, target.shape) is None:
        fail_to_broadcast("kl_div", "target", target, "input", input)
    dtype, (log_q, t) = widened(input, target)
    # log(target) inside xlogy, which knows that 0 log 0 is 0
    loss = t.exp() * (t - log_q) if log_target else torch.xlogy(t, t) - t * log_q
    if reduction != "batchmean":
        return reduced(loss, reduction, dtype)
    rows = input.shape[0] if input.dim() else 1
    return rounded(loss.sum() / rows, dtype)
