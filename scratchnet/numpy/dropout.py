"""Dropout: y = x mask with mask = 0 with probability p, else 1 / (1 - p), so that the mean of y is x; hence dx = dy mask."""

from __future__ import annotations

import numpy as np

from scratchnet.numpy.layer import Layer, Seed


def dropout_forward(x: np.ndarray, p: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """y and mask, shape of x; p is the probability to drop, from 0 to 1."""
    kept = rng.random(x.shape) >= p
    mask = kept / (1 - p) if p < 1 else np.zeros(x.shape)
    return x * mask, mask


def dropout_backward(dy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """dx, the shape of dy."""
    return dy * mask


class Dropout(Layer):
    """While training, drop each number of x, of any shape, with probability p; ValueError unless 0 <= p <= 1."""

    def __init__(self, p: float = 0.5, *, seed: Seed = None):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is the probability to drop, from 0 to 1, not {p}")
        self.p = p
        self.rng = np.random.default_rng(seed)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.mask = np.float64(1)
        if training:
            x, self.mask = dropout_forward(x, self.p, self.rng)
        return x

    def gradients(self, da: np.ndarray) -> np.ndarray:
        return dropout_backward(da, self.mask)

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
