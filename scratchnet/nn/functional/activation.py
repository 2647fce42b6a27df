"""Activations: functions of one tensor, elementwise or normalising along one axis."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from scratchnet.functions import cross_entropy as family
from scratchnet.functions.checks import check_tensor


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim; `dtype` converts first; dim=None warns and picks as torch does."""
    return family.softmax(input, _softmax_dim("softmax", input, dim, _stacklevel), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """x - log(sum(exp(x))) along dim; `dtype` converts first; dim=None warns and picks as torch does."""
    return family.log_softmax(input, _softmax_dim("log_softmax", input, dim, _stacklevel), dtype=dtype)


def _softmax_dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    check_tensor(name, "input", input)
    picked = 0 if input.dim() in (0, 1, 3) else 1  # torch's old rule
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument "
        f"(now: dim={picked} of shape {tuple(input.shape)}; dim=-1 is the usual one).",
        stacklevel=stacklevel,
    )
    return picked


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x) elementwise, NaN kept; the gradient at 0 is 0."""
    return torch.relu_(input) if inplace else torch.relu(input)
