"""From images to columns."""

from __future__ import annotations

import math

import numpy as np

from scratchnet.numpy.layer import Layer


class Flatten(Layer):
    """Images (N, C, H, W) to columns (C * H * W, N), in torch's order: all rows of the first channel come first."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.shape = x.shape
        return x.reshape(len(x), -1).T

    def gradients(self, da: np.ndarray) -> np.ndarray:
        return da.T.reshape(self.shape)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (math.prod(shape),)

    def __repr__(self) -> str:
        return "Flatten()"
