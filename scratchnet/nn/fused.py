"""Pairs of layers that one kernel computes together, as long as no hook listens in between."""

from __future__ import annotations

from typing import Callable

import torch.nn.functional
from torch import Tensor
from torch.nn import Module
from torch.nn.modules.module import _has_any_global_hook

from scratchnet.nn import functional as F
from scratchnet.nn.dropout import Dropout
from scratchnet.nn.linear import Linear
from scratchnet.nn.normalization import LayerNorm


def epilogue(activation: Callable[[Tensor], Tensor]) -> str | None:
    """The name by which `linear` knows an activation function, ours or torch's; None for any other."""
    for name in ("relu", "gelu"):
        if activation is getattr(F, name) or activation is getattr(torch.nn.functional, name):
            return name
    return None


def linear_activation(linear: Module, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """activation(linear(x)): x (..., in) -> (..., out); the activation is applied while a tile of the product is in cache."""
    name = epilogue(activation)
    if name is None or not _is_plain(linear, Linear):
        return activation(linear(x))
    return F.linear(x, linear.weight, linear.bias, name)


def add_norm(x: Tensor, y: Tensor, norm: Module) -> tuple[Tensor, Tensor]:
    """(x + y, norm(x + y)) for x and y of one shape (..., D): the residual sum is normalised while it is in cache."""
    if x.dtype != y.dtype or not _is_plain(norm, LayerNorm):  # autocast leaves x in float32 beside a 16-bit y
        total = x + y
        return total, norm(total)
    return F.add_layer_norm(x, y, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def add_dropped(x: Tensor, y: Tensor, dropout: Module) -> Tensor:
    """x + dropout(y) for x and y of one shape: in one pass where the layer draws its mask from a seed."""
    if dropout.training and getattr(dropout, "redraw", False) and x.dtype == y.dtype and _is_plain(dropout, Dropout):
        return F.dropout(y, dropout.p, residual=x)
    return x + dropout(y)


def _is_plain(module: Module, kind: type[Module]) -> bool:
    """Whether a call of the module does just what its class says: no subclass, no hooks, no forward of its own."""
    hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return type(module) is kind and not hooks and "forward" not in module.__dict__ and not _has_any_global_hook()
