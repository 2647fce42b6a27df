import math

import numpy as np

erfc = np.vectorize(math.erfc, otypes=[np.float64])


def forward(x, approximate="none"):
    wide = x.astype(np.float64)
    if approximate == "tanh":
        y = 0.5 * wide * (1 + np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
    else:
        y = 0.5 * wide * erfc(-wide / math.sqrt(2))
    return y.astype(x.dtype)
