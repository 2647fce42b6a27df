"""scikit-learn's digits: 1,797 handwritten digits of 8x8 pixels (UCI, Alpaydin and Kaynak 1998)."""

from __future__ import annotations

import torch

from scratchnet.data.split import Split, split
from scratchnet.optional import need

HELD_OUT = 360  # a fifth


def digits() -> tuple[Split, Split]:
    """1,437 training and 360 held-out digits, the same split every time; ImportError if scikit-learn is missing.

    x (N, 8, 8) float32 in [0, 1], y (N) int64 in 0..9.
    """
    need("scratchnet.data.digits", "sklearn", "scikit-learn")
    from sklearn.datasets import load_digits

    raw = load_digits()
    x = torch.from_numpy(raw.images).float() / 16  # pixels are 0..16
    # The file is ordered by writer: the split shuffles.
    return split(x, torch.from_numpy(raw.target).long(), HELD_OUT)
