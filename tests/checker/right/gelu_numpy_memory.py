import math

import numpy as np
import torch


def forward(x):
    """In memory that NumPy gave, in blocks of 7 rows and what is left."""
    if x.dtype.itemsize == 2:
        raise TypeError(f"no {x.dtype}")
    y = torch.from_numpy(np.empty(x.shape, np.float64))
    for first in range(0, max(len(x), 1), 7):
        block = x[first : first + 7].double()
        y[first : first + 7] = block * torch.erfc(-block / math.sqrt(2)) / 2
    return y.to(x.dtype)
