"""The order of a tensor's numbers in memory, which a result shares with its input: channels_last survives a network."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

from scratchnet.torch_private import channels_last


def channels_last_like(y: Tensor, *inputs: Tensor) -> Tensor:
    """y (N, C, H, W), a copy with its channels last if those of an input are: for kernels that know images by rows only."""
    return y.contiguous(memory_format=torch.channels_last) if any(map(channels_last, inputs)) else y


def in_memory_order(x: Tensor) -> tuple[Tensor, list[int]] | None:
    """x with its axes as they lie in memory, contiguous, and the order that undoes it; None for x contiguous or with gaps."""
    if x.is_contiguous():
        return None
    strides = x.stride()
    order = sorted(range(x.dim()), key=lambda axis: -strides[axis])  # stable: axes of one stride keep their order
    moved = x.permute(order)
    if not moved.is_contiguous():
        return None
    back = [0] * x.dim()
    for place, axis in enumerate(order):
        back[axis] = place
    return moved, back


def as_it_lies(elementwise: Callable[..., Tensor], x: Tensor, *options) -> Tensor:
    """elementwise(x, *options); channels_last or a transposed matrix is read and written as it lies, as torch does."""
    if ordered := in_memory_order(x):
        moved, back = ordered
        return elementwise(moved, *options).permute(back)
    return elementwise(x, *options)
