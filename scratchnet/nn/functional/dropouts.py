"""Dropout: random zeros while training."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import check_float, check_tensor, fail, warn


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p and divide the rest by 1 - p; the input itself when not training.

    A floating-point tensor of any shape. One draw per element from torch's generator: on a CPU the mask is torch's for the same
    seed. ValueError unless 0 <= p <= 1. Hinton et al., https://arxiv.org/abs/1207.0580; torch.nn.functional.dropout.
    """
    check_probability("dropout", p)
    check_tensor("dropout", "input", input)
    return _drop("dropout", input, p, training, inplace, input.shape)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of an (N, C, H, W) tensor, because neighbouring pixels hold the same information.

    One draw per channel. Other ranks from 2 up are taken as (N, C, ...), with torch's warning. ValueError unless 0 <= p <= 1,
    RuntimeError for a rank below 2. Tompson et al., https://arxiv.org/abs/1411.4280; torch.nn.functional.dropout2d.
    """
    check_probability("dropout2d", p)
    check_tensor("dropout2d", "input", input)
    rank = input.dim()
    if rank not in (3, 4):
        warn(
            f"dropout2d: Received a {rank}-D input to dropout2d, which is deprecated and will result in an error in a future "
            "release. It takes images, (N, C, H, W); to drop single elements use dropout.",
            stacklevel=2,
        )
    if rank == 3:
        warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
            "input is interpreted as shape (N, C, L). A single image (C, H, W) needs a batch axis: input.unsqueeze(0).",
            stacklevel=2,
        )
    if rank < 2 and training and 0 < p and input.numel():
        problem = f"Feature dropout requires at least 2 dimensions in the input, (N, C, ...), got {tuple(input.shape)}"
        fail(RuntimeError, "dropout2d", "input", problem)
    return _drop("dropout2d", input, p, training, inplace, (*input.shape[:2], *[1] * (rank - 2)))


def _drop(name: str, input: Tensor, p: float, training: bool, inplace: bool, drawn: Sequence[int]) -> Tensor:
    """Scale the input by a mask of the shape `drawn`, which broadcasts."""
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        scale = input.new_zeros(())  # 0 * x, not zeros: NaN and infinity stay visible, as in torch
    else:
        check_float(name, "input", input)
        empty = torch.empty_like(input) if drawn == input.shape else input.new_empty(drawn)
        scale = empty.bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scale) if inplace else input * scale


def check_probability(name: str, p: float) -> None:
    """ValueError unless p is a probability."""
    if not 0 <= p <= 1:
        meaning = "it is the probability of being zeroed, not of being kept"
        fail(ValueError, name, "p", f"dropout probability has to be between 0 and 1, but got {p}; {meaning}")
