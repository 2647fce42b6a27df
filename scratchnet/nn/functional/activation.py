"""Activations: functions of one tensor, elementwise or normalising along one axis.

Each elementwise one is a single operation of torch's, as exp is: one pass over memory, and torch has its gradient.
Softmax and its kin belong to the cross-entropy family of primitives; GELU is a primitive of its own, with SiLU in its family.
"""

from __future__ import annotations

import torch
import torch.nn.functional as elementwise
from torch import Tensor

from scratchnet.functions import cross_entropy as family
from scratchnet.functions.checks import check_float, check_tensor, warn
from scratchnet.functions.dispatch import or_torch


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim of a floating-point tensor of any shape; the result has its shape and dtype.

    dtype converts first; dim=None warns and picks as torch does. IndexError for a dim that x does not have, NotImplementedError
    for a dtype that is not a float. torch.nn.functional.softmax.
    """
    return family.softmax(input, _softmax_dim("softmax", input, dim, _stacklevel), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """x - log(sum(exp(x))) along dim of a floating-point tensor of any shape: the logarithm of softmax, without overflow.

    dtype, dim=None and errors as in softmax. torch.nn.functional.log_softmax.
    """
    return family.log_softmax(input, _softmax_dim("log_softmax", input, dim, _stacklevel), dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """softmax(-x) along dim, in the shape of x: the smallest number gets the largest share.

    dtype, dim=None and errors as in softmax. torch.nn.functional.softmin.
    """
    dim = _softmax_dim("softmin", input, dim, _stacklevel)
    check_tensor("softmin", "input", input)
    if dtype is None:
        check_float("softmin", "input", input)
    return family.softmax(-input, dim, dtype=dtype)


def _softmax_dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    check_tensor(name, "input", input)
    picked = 0 if input.dim() in (0, 1, 3) else 1  # torch's old rule
    warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument "
        f"(now: dim={picked} of shape {tuple(input.shape)}; dim=-1 is the usual one).",
        stacklevel=stacklevel,
    )
    return picked


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x) elementwise, NaN kept; the gradient at 0 is 0. Any shape, floats or integers; inplace=True overwrites x.

    TypeError for anything but a tensor, NotImplementedError for complex numbers. torch.nn.functional.relu.
    """
    return torch.relu_(input) if inplace else torch.relu(input)


@or_torch(elementwise.leaky_relu)
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x: no unit dies, because the slope is never 0. Floats of any shape.

    NotImplementedError for another dtype. torch.nn.functional.leaky_relu.
    """
    check_float("leaky_relu", "input", input)
    return elementwise.leaky_relu(input, negative_slope, inplace)


@or_torch(elementwise.elu)
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1), which levels off at -alpha. Floats of any shape.

    NotImplementedError for another dtype. Clevert, Unterthiner, Hochreiter: https://arxiv.org/abs/1511.07289;
    torch.nn.functional.elu.
    """
    check_float("elu", "input", input)
    return elementwise.elu(input, alpha, inplace)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), from 0 to 1: a logit's probability. Any shape; integers give the default float dtype.

    TypeError for anything but a tensor. torch.nn.functional.sigmoid.
    """
    return torch.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)), from -1 to 1. Any shape; integers give the default float dtype.

    TypeError for anything but a tensor. torch.nn.functional.tanh.
    """
    return torch.tanh(input)


@or_torch(elementwise.softplus)
def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta x)) / beta, a smooth relu whose slope is sigmoid(beta x); x itself where beta x > threshold.

    Floats of any shape; NotImplementedError for another dtype. torch.nn.functional.softplus.
    """
    check_float("softplus", "input", input)
    return elementwise.softplus(input, beta, threshold)
