"""Dropout in float64 NumPy: y = z x + r, z 0 with probability p, else 1 / (1 - p), and dy/dx = z, dy/dr = 1.

E[z] = 1: the mean of what follows is that of evaluation, where z = 1. z depends on the seed and the element's place alone, so
that backward draws it again.
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops.dropout import ROW_BITS, DropoutOptions, threshold_and_factor


def factors(seed: np.ndarray, rows: int, columns: int, p: float) -> np.ndarray:
    """z (rows, columns): the bits of csrc/ops/dropout.h."""
    with np.errstate(over="ignore"):
        x = np.uint64(int(seed.reshape(())) % 2**64) + np.arange(1, 1 + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        low, high = x.astype(np.uint32)[:, None], (x >> np.uint64(32)).astype(np.uint32)[:, None]
        x = np.arange(columns, dtype=np.uint32) + low
        x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D) ^ high
        x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    threshold, factor = threshold_and_factor(p)
    return (x >= np.uint32(threshold)) * factor


def factors_like(x: np.ndarray, seed: np.ndarray, p: float) -> np.ndarray:
    """z of a whole tensor."""
    return factors(seed, -(-x.size // 2**ROW_BITS), min(x.size, 2**ROW_BITS), p).reshape(-1)[: x.size].reshape(x.shape)


@np.errstate(all="ignore")
def dropout_forward(x: np.ndarray, residual: np.ndarray | None, seed: np.ndarray, options: DropoutOptions) -> np.ndarray:
    """z x + residual, any shape."""
    y = factors_like(x, seed, options.p) * x
    return y if residual is None else y + residual


@np.errstate(all="ignore")
def dropout_backward(grad: np.ndarray, seed: np.ndarray, options: DropoutOptions) -> np.ndarray:
    """dx of `dropout_forward`."""
    return factors_like(grad, seed, options.p) * grad
