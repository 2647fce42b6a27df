"""The mathematics of my_op in float64 NumPy, which judges every other implementation.

y = x s(x) with s(x) = 1 / (1 + exp(-x));  dy/dx = s(x) + x s(x) (1 - s(x))
"""

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))  # exp(-x) alone would overflow


def my_op_forward(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)


def my_op_backward(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    s = sigmoid(x)
    return grad * (s + x * s * (1 - s))
