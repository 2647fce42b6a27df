"""What the losses share: shapes, precision, weights and reductions."""

from __future__ import annotations

import functools
from typing import Callable

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail, reduction_name, warn

REDUCE: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda loss: loss, "mean": torch.mean, "sum": torch.sum}


def check_reduction(function: str, reduction: str) -> None:
    """ValueError for anything but "none", "mean" and "sum"."""
    if reduction not in REDUCE:
        fail(ValueError, function, "reduction", f"{reduction} is not a valid value for reduction; use 'none', 'mean' or 'sum'")


def checked_reduction(function: str, size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that the old flags ask for, or else the one named; checked."""
    reduction = reduction_name(size_average, reduce, reduction, stacklevel=4)
    check_reduction(function, reduction)
    return reduction


def reduced(loss: Tensor, reduction: str, dtype: torch.dtype) -> Tensor:
    """The loss of every element, their mean or their sum, rounded to `dtype`."""
    return rounded(REDUCE[reduction](loss), dtype)


def rounded(loss: Tensor, dtype: torch.dtype) -> Tensor:
    """The loss in `dtype`; under autocast in the float32 that it was computed in."""
    return loss if torch.is_autocast_enabled(loss.device.type) else loss.to(dtype)


def check_pair(function: str, input: Tensor, target: Tensor) -> None:
    """TypeError unless both are tensors, RuntimeError unless they are on one device."""
    check_tensor(function, "input", input)
    check_tensor(function, "target", target)
    check_device(function, "target", target, "input", input)


def widened(*tensors: Tensor) -> tuple[torch.dtype, list[Tensor]]:
    """The common dtype, and the tensors in it, or in float32 if it has 16 bits: losses are computed and summed in float32."""
    dtype = functools.reduce(torch.promote_types, [t.dtype for t in tensors])
    wide = torch.promote_types(dtype, torch.float32)
    return dtype, [t if t.dtype is wide else t.to(wide) for t in tensors]


def check_same_size(function: str, input: Tensor, target: Tensor, problem: str) -> None:
    """ValueError with this problem if the shapes differ: usually (B, 1) predictions against (B,) targets."""
    if input.shape != target.shape:
        fail(ValueError, function, "target", f"{problem}{_squeeze(input.shape, target.shape)}")


def check_broadcast(function: str, input: Tensor, target: Tensor) -> None:
    """`check_pair`; for different shapes torch's warning, at the user's call, or RuntimeError if they do not broadcast."""
    check_pair(function, input, target)
    if input.shape == target.shape:
        return
    hint = _squeeze(input.shape, target.shape)
    if not broadcast_to(input.shape, target.shape):
        fail_to_broadcast(function, "target", target, "input", input, hint)
    warn(
        f"{function}(): Using a target size ({target.size()}) that is different to the input size ({input.size()}). "
        f"This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.{hint}",
        stacklevel=3,
    )


def fail_to_broadcast(function: str, argument: str, value: Tensor, other_argument: str, other: Tensor, hint: str = "") -> None:
    """RuntimeError, in torch's words, that names the first axis on which two shapes do not broadcast."""
    rank = max(value.dim(), other.dim())
    sizes = zip(*([1] * (rank - t.dim()) + list(t.shape) for t in (other, value)), strict=True)
    at, (a, b) = next((d, pair) for d, pair in enumerate(sizes) if pair[0] != pair[1] and 1 not in pair)
    shapes = f"got {argument} {tuple(value.shape)} and {other_argument} {tuple(other.shape)}"
    problem = f"The size of tensor a ({a}) must match the size of tensor b ({b}) at non-singleton dimension {at}"
    fail(RuntimeError, function, argument, f"{problem}, {shapes}.{hint}")


def broadcast_to(shape: torch.Size, other: torch.Size) -> torch.Size | None:
    """The shape that two shapes broadcast to, None if they do not."""
    try:
        return torch.broadcast_shapes(shape, other)
    except RuntimeError:
        return None


def _squeeze(input: torch.Size, target: torch.Size) -> str:
    if input == (*target, 1):
        return f" Likely fix: input.squeeze({len(target)}) or target.unsqueeze({len(target)})."
    if target == (*input, 1):
        return f" Likely fix: target.squeeze({len(input)}) or input.unsqueeze({len(input)})."
    return ""


def check_weight(function: str, argument: str, weight: Tensor, input: Tensor) -> None:
    """TypeError for anything but a tensor, RuntimeError unless it broadcasts to the shape of input."""
    check_tensor(function, argument, weight)
    check_device(function, argument, weight, "input", input)
    if weight.shape != input.shape and broadcast_to(weight.shape, input.shape) != input.shape:
        shapes = f"got {argument} {tuple(weight.shape)} and input {tuple(input.shape)}"
        fail(RuntimeError, function, argument, f"must broadcast to the size of the input, {shapes}")
