"""Soft clipping in plain PyTorch; derived in `scratchnet.oracle.soft_clip`."""

from __future__ import annotations

from torch import Tensor

from scratchnet.ops.soft_clip import SoftClipOptions
from scratchnet.reference import widen


def soft_clip_forward(x: Tensor, options: SoftClipOptions) -> Tensor:
    """x / (1 + |x| / limit), any shape."""
    wide = widen(x)
    return (wide / (1 + wide.abs() / options.limit)).to(x.dtype)


def soft_clip_backward(grad: Tensor, x: Tensor, options: SoftClipOptions) -> Tensor:
    """dx of `soft_clip_forward`."""
    return (widen(grad) / (1 + widen(x).abs() / options.limit) ** 2).to(x.dtype)
