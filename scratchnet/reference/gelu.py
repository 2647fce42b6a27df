"""GELU in plain PyTorch: x P(x) with the normal distribution P, or its tanh form; derived in `scratchnet.oracle.gelu`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.ops.gelu import GeluOptions
from scratchnet.reference import widen

_SLOPE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _gelu(x: Tensor, tanh: bool) -> Tensor:
    if tanh:
        return 0.5 * x * (1 + torch.tanh(_SLOPE * (x + _CUBIC * x**3)))
    return x * 0.5 * torch.erfc(-x / math.sqrt(2))


def _derivative(x: Tensor, tanh: bool) -> Tensor:
    if tanh:
        t = torch.tanh(_SLOPE * (x + _CUBIC * x**3))
        return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * _SLOPE * (1 + 3 * _CUBIC * x**2)
    return 0.5 * torch.erfc(-x / math.sqrt(2)) + x * torch.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


def gelu_forward(x: Tensor, options: GeluOptions) -> Tensor:
    """gelu(x), any shape."""
    return _gelu(widen(x), options.tanh).to(x.dtype)


def gelu_backward(grad: Tensor, x: Tensor, options: GeluOptions) -> Tensor:
    """dx of `gelu_forward`."""
    return (widen(grad) * _derivative(widen(x), options.tanh)).to(x.dtype)


def bias_gelu_forward(x: Tensor, bias: Tensor, options: GeluOptions) -> Tensor:
    """gelu(x + bias) for x (..., D) and bias (D)."""
    return _gelu(widen(x) + widen(bias), options.tanh).to(x.dtype)


def bias_gelu_backward(
    grad: Tensor, x: Tensor, bias: Tensor, options: GeluOptions, need_x: bool, need_bias: bool
) -> tuple[Tensor | None, Tensor | None]:
    """dx (..., D) and dbias (D) of `bias_gelu_forward`."""
    dz = widen(grad) * _derivative(widen(x) + widen(bias), options.tanh)
    return dz.to(x.dtype) if need_x else None, dz.sum_to_size(bias.shape).to(x.dtype) if need_bias else None
