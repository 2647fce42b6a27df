"""What goes wrong in a gather."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

from scratchnet.measure.verify import Call


def _read(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """Gather without a look at the size: NaN for what is not in x."""
    at = index * x.shape[1] + torch.arange(x.shape[1]) if dim == 0 else index + x.shape[1] * torch.arange(len(x))[:, None]
    return x.flatten()[at.clamp(max=x.numel() - 1)].where(at < x.numel(), torch.nan)


def _last_wins(call: Call) -> tuple[Tensor]:
    """Assignment one after the other: the last gradient of an index stays."""
    x, dim, index = call.args
    return (torch.zeros_like(x).scatter_(dim, index, call.upstream[0]),)


FORWARD: dict[str, Callable] = {
    "it always gathers along axis 0: dim is an argument": lambda x, dim, index: _read(x, 0, index),
    "it always gathers along axis 1: dim is an argument": lambda x, dim, index: _read(x, 1, index),
    "it gathers along the other axis: dim says which coordinate the index replaces": lambda x, dim, i: _read(x, 1 - dim, i),
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {
    "an index that occurs twice gets only its last gradient: add (np.add.at, scatter_add_)": _last_wins,
}
VALUES: dict[str, str] = {}
