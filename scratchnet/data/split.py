"""What the data functions share: inputs with their targets, and the fixed split into training and held-out data."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Split(NamedTuple):
    """Inputs x (N, ...) and their targets y (N, ...), row by row."""

    x: Tensor  # (N, ...)
    y: Tensor  # (N, ...)


def split(x: Tensor, y: Tensor, held_out: int, seed: int = 0) -> tuple[Split, Split]:
    """Shuffle x (N, ...) and y (N, ...) and hold out `held_out` rows: (train, test), the same for the same seed.

    The caller's random state is untouched. ValueError if nothing is left to train on, or x and y have different lengths.
    """
    if len(x) != len(y) or not 0 < held_out < len(x):
        raise ValueError(
            f"split: needs as many x as y, and 0 < held_out < their number; got {len(x)} x, {len(y)} y, held_out={held_out}"
        )
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    train, test = order[:-held_out], order[-held_out:]
    return Split(x[train], y[train]), Split(x[test], y[test])
