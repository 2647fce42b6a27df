"""Why a call of dropout is wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_float, check_shape, check_tensor, fail


def check_probability(name: str, p: float) -> None:
    """ValueError unless p is a probability."""
    if not 0 <= p <= 1:
        meaning = "it is the probability of being zeroed, not of being kept"
        fail(ValueError, name, "p", f"dropout probability has to be between 0 and 1, but got {p}; {meaning}")


def dropout(input: Tensor, residual: Tensor | None, seed: Tensor | None) -> None:
    if not input.is_complex():
        check_float("dropout", "input", input)
    if residual is not None:
        check_tensor("dropout", "residual", residual)
        check_device("dropout", "residual", residual, "input", input)
        check_shape("dropout", "residual", residual, tuple(input.shape), "a number for each element of input")
        if residual.dtype != input.dtype:
            problem = f"must have input's dtype, {input.dtype}, but got {residual.dtype}; call .to(input.dtype) on it"
            fail(RuntimeError, "dropout", "residual", problem)
    if seed is not None:
        check_tensor("dropout", "seed", seed)
        if seed.dtype != torch.int64 or seed.dim():
            got = f"{seed.dtype} of shape {tuple(seed.shape)}"
            fail(RuntimeError, "dropout", "seed", f"must be one int64 number, got {got}; draw it by torch.randint(2**62, ())")
        check_device("dropout", "seed", seed, "input", input)
