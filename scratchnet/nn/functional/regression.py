"""Losses between two tensors of numbers."""

from __future__ import annotations

import warnings
from typing import Callable

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail, reduction_name

_REDUCE: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda loss: loss, "mean": torch.mean, "sum": torch.sum}


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2, times `weight` if given; "mean" divides by the number of elements, or by the sum of the weights.

    Floating-point tensors of one shape; other shapes broadcast, with a warning because that is rarely meant. ValueError for an
    unknown reduction or a weight of another shape, NotImplementedError for two integer or for complex tensors.
    """
    reduction = reduction_name(size_average, reduce, reduction)
    if reduction not in _REDUCE:
        needs = "is not a valid value for reduction; use 'none', 'mean' or 'sum'"
        fail(ValueError, "mse_loss", "reduction", f"{reduction} {needs}")
    check_tensor("mse_loss", "input", input)
    check_tensor("mse_loss", "target", target)
    check_device("mse_loss", "target", target, "input", input)
    dtype = torch.promote_types(input.dtype, target.dtype)
    if not dtype.is_floating_point:
        kinds = f"got {input.dtype} and target {target.dtype}; convert one with .float()"
        fail(NotImplementedError, "mse_loss", "input", f"needs floating-point numbers, {kinds}")
    if input.shape != target.shape:
        _check_broadcast(input, target)
    if weight is not None and weight.shape != input.shape:
        shapes = f"got weight {tuple(weight.shape)} and input {tuple(input.shape)}"
        fail(ValueError, "mse_loss", "weight", f"Weights and input must have the same size, {shapes}")
    wide = torch.promote_types(dtype, torch.float32)  # 16-bit numbers are squared and summed in float32
    loss = (input.to(wide) - target.to(wide)).square()
    if weight is None:
        loss = _REDUCE[reduction](loss)
    else:
        loss = _REDUCE["sum" if reduction == "mean" else reduction](loss * weight)
        loss = loss / weight.to(wide).sum() if reduction == "mean" else loss
        dtype = torch.promote_types(dtype, weight.dtype)
    return loss if torch.is_autocast_enabled(input.device.type) else loss.to(dtype)  # autocast keeps losses in float32


def _check_broadcast(input: Tensor, target: Tensor) -> None:
    """Warn, in torch's words, of two shapes that broadcast; RuntimeError if they do not."""
    mend = ""
    if input.shape == (*target.shape, 1):
        mend = f" Likely mend: input.squeeze({target.dim()}) or target.unsqueeze({target.dim()})."
    elif target.shape == (*input.shape, 1):
        mend = f" Likely mend: target.squeeze({input.dim()}) or input.unsqueeze({input.dim()})."
    pairs = zip(reversed(input.shape), reversed(target.shape), strict=False)  # from the last axis backwards
    if any(a != b and a != 1 and b != 1 for a, b in pairs):
        shapes = f"target {tuple(target.shape)}, input {tuple(input.shape)}"
        fail(RuntimeError, "mse_loss", "target", f"must have the size of the input, got {shapes}.{mend}")
    warnings.warn(
        f"mse_loss(): Using a target size ({target.size()}) that is different to the input size ({input.size()}). "
        f"This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.{mend}",
        stacklevel=3,
    )
