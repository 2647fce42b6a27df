"""What the losses share: shapes, precision, weights and reductions."""

from __future__ import annotations

import warnings
from typing import Callable

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail

_REDUCE: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda loss: loss, "mean": torch.mean, "sum": torch.sum}


def check_reduction(function: str, reduction: str) -> None:
    """ValueError for anything but "none", "mean" and "sum"."""
    if reduction not in _REDUCE:
        fail(ValueError, function, "reduction", f"{reduction} is not a valid value for reduction; use 'none', 'mean' or 'sum'")


def reduced(loss: Tensor, reduction: str, dtype: torch.dtype) -> Tensor:
    """The loss of every element, their mean or their sum, in `dtype`; under autocast in the float32 that it was computed in."""
    loss = _REDUCE[reduction](loss)
    return loss if torch.is_autocast_enabled(loss.device.type) else loss.to(dtype)


def check_pair(function: str, input: Tensor, target: Tensor) -> None:
    """TypeError unless both are tensors, RuntimeError unless they are on one device."""
    check_tensor(function, "input", input)
    check_tensor(function, "target", target)
    check_device(function, "target", target, "input", input)


def widened(*tensors: Tensor) -> tuple[torch.dtype, list[Tensor]]:
    """The common dtype, and the tensors in it; 16-bit numbers in float32, in which losses are computed and summed."""
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        dtype = torch.promote_types(dtype, t.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    return dtype, [t.to(wide) for t in tensors]


def check_same_size(function: str, input: Tensor, target: Tensor, problem: str) -> None:
    """ValueError with this problem for two shapes: (B, 1) predictions against (B,) targets, mostly."""
    if input.shape != target.shape:
        fail(ValueError, function, "target", f"{problem}{_squeeze(input.shape, target.shape)}")


def check_broadcast(function: str, input: Tensor, target: Tensor) -> None:
    """Warn, in torch's words, the caller's caller of two shapes that broadcast; RuntimeError if they do not."""
    if input.shape == target.shape:
        return
    mend = _squeeze(input.shape, target.shape)
    if not broadcast_to(input.shape, target.shape):
        shapes = f"target {tuple(target.shape)}, input {tuple(input.shape)}"
        fail(RuntimeError, function, "target", f"must have the size of the input, got {shapes}.{mend}")
    warnings.warn(
        f"{function}(): Using a target size ({target.size()}) that is different to the input size ({input.size()}). "
        f"This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.{mend}",
        stacklevel=3,
    )


def broadcast_to(shape: torch.Size, other: torch.Size) -> torch.Size | None:
    """The shape that two shapes broadcast to, None if they do not."""
    try:
        return torch.broadcast_shapes(shape, other)
    except RuntimeError:
        return None


def _squeeze(input: torch.Size, target: torch.Size) -> str:
    if input == (*target, 1):
        return f" Likely mend: input.squeeze({len(target)}) or target.unsqueeze({len(target)})."
    if target == (*input, 1):
        return f" Likely mend: target.squeeze({len(input)}) or input.unsqueeze({len(input)})."
    return ""


def check_weight(function: str, argument: str, weight: Tensor, input: Tensor) -> None:
    """TypeError for anything but a tensor, RuntimeError unless it broadcasts to the shape of input."""
    check_tensor(function, argument, weight)
    check_device(function, argument, weight, "input", input)
    if weight.shape != input.shape and broadcast_to(weight.shape, input.shape) != input.shape:
        shapes = f"got {argument} {tuple(weight.shape)} and input {tuple(input.shape)}"
        fail(RuntimeError, function, argument, f"must broadcast to the size of the input, {shapes}")
