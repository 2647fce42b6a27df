"""scikit-learn's digits: 1,797 handwritten digits of 8x8 pixels (UCI, Alpaydin and Kaynak 1998)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

HELD_OUT = 360  # a fifth


class Split(NamedTuple):
    """Images and their labels."""

    x: Tensor  # (N, 8, 8) float32 in [0, 1]
    y: Tensor  # (N) int64 in 0..9


def digits() -> tuple[Split, Split]:
    """1,437 training and 360 held-out digits, the same split every time; ImportError if scikit-learn is missing."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("scratchnet.data.digits() needs scikit-learn: pip install scikit-learn") from error
    raw = load_digits()
    x = torch.from_numpy(raw.images).float() / 16  # pixels are 0..16
    y = torch.from_numpy(raw.target).long()
    # The file is ordered by writer: shuffle, with a generator of its own so that the caller's seed is untouched.
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, test = order[:-HELD_OUT], order[-HELD_OUT:]
    return Split(x[train], y[train]), Split(x[test], y[test])
