"""Dropout in plain PyTorch, the mask made from the seed; derived in `scratchnet.oracle.dropout`."""

from __future__ import annotations

from torch import Tensor

from scratchnet.ops.dropout import DropoutOptions, factors_like
from scratchnet.reference import widen


def dropout_forward(x: Tensor, residual: Tensor | None, seed: Tensor, options: DropoutOptions) -> Tensor:
    """z x + residual, any shape."""
    y = widen(x) * factors_like(x, seed, options.p)
    return (y if residual is None else y + widen(residual)).to(x.dtype)


def dropout_backward(grad: Tensor, seed: Tensor, options: DropoutOptions) -> Tensor:
    """dx of `dropout_forward`."""
    return dropout_forward(grad, None, seed, options)
