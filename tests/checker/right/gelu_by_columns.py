import math

import numpy as np

erfc = np.vectorize(math.erfc, otypes=[np.float64])


def forward(x):
    """The result lies by columns, the last row first."""
    y = np.empty(x.shape[::-1], x.dtype).T[::-1]
    y[...] = 0.5 * x * erfc(-x / math.sqrt(2))
    return y
