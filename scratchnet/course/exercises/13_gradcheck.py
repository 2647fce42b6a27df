"""Exercise 13: write the check, find the wrong backwards, fix two of them.

Each `...` is a blank for you to fill in. Then: scratchnet check 13
"""

from typing import Callable

import numpy as np

from scratchnet.ops import DimOptions
from scratchnet.oracle.cross_entropy import softmax_forward

softmax = lambda x: softmax_forward(x, DimOptions(dim=1))
# name -> forward(x) for x (R, C), and backward(g, x), which should give the gradient of x
PAIRS = {
    "square": (lambda x: x**2, lambda g, x: 2 * x * g),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda g, x: g * np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "softmax": (softmax, lambda g, x: g * softmax(x) * (1 - softmax(x))),
    "centred": (lambda x: x - x.mean(axis=1, keepdims=True), lambda g, x: g - g.mean(axis=1, keepdims=True)),
    "mean": (lambda x: x.mean(axis=0), lambda g, x: g * np.ones_like(x)),
}


def numeric_gradients(f: Callable, arguments: list[np.ndarray], g: np.ndarray, step: float) -> list[np.ndarray]:
    """The gradient of (g * f(*arguments)).sum() for every entry of every argument, by central differences: arrays like them.

    The arguments hold what they held before when you return.
    """
    gradients = []
    for argument in arguments:
        gradient = np.zeros_like(argument)
        for position in np.ndindex(argument.shape):
            gradient[position] = ...
        gradients.append(gradient)
    return gradients


def wrong_ones() -> list[str]:
    """The names of the wrong backwards in PAIRS, in the order in which they appear there. Find out with the check."""
    return [...]


def softmax_backward(g: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The gradient of x (R, C) for p = softmax of each row of x, from g, the gradient of p; both (R, C)."""
    return ...


def dense_backward_and_step(W: np.ndarray, a_prev: np.ndarray, dz: np.ndarray, lr: float) -> np.ndarray:
    """The way back through z = W a_prev, and one step of W (out, in) downhill, in place; returns da_prev (in, m).

    a_prev (in, m) and dz (out, m) hold one sample per column; the gradient of W is dz a_prev^T.
    """
    ...
