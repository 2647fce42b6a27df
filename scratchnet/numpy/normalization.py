"""Batch norm and layer norm.

Both make numbers of mean 0 and variance 1, h = (x - mean) / sqrt(var + eps), and scale them, y = gamma h + beta. Layer norm
takes the statistics of a sample, over its features; batch norm those of a feature, over the samples. So batch norm is layer
norm of the transposed data, and the same kernel computes both: in h, a row of (C, M) is what a row of (N, D) is there, and
only gamma and beta run along the other axis:

    dgamma = sum of dy h over a row        dbeta = sum of dy over a row        dh = gamma dy, then layer norm's backward
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from scratchnet.numpy.kernels import NUMPY
from scratchnet.numpy.layer import Layer


def batch_norm_forward(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float, kernels: SimpleNamespace = NUMPY
) -> tuple[np.ndarray, tuple]:
    """y (C, M) and what backward needs, for x (C, M), one feature a row, gamma and beta (C); the biased variance of the row."""
    h, mean, rstd = kernels.layer_norm_forward(x, None, None, 1, eps)
    return gamma[:, None] * h + beta[:, None], (x, h, mean, rstd, gamma, eps)


def batch_norm_backward(
    dy: np.ndarray, cache: tuple, kernels: SimpleNamespace = NUMPY
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx (C, M), dgamma (C) and dbeta (C) of `batch_norm_forward`."""
    x, h, mean, rstd, gamma, eps = cache
    dh = gamma[:, None] * dy
    dx, _, _ = kernels.layer_norm_backward(dh, x, mean, rstd, None, 1, eps, True, False, False)
    return dx, (dy * h).sum(axis=1), dy.sum(axis=1)


class _Norm(Layer):
    parameters = ("gamma", "beta")

    def __init__(self, shape: int | tuple[int, ...], eps: float):
        self.gamma, self.beta = np.ones(shape), np.zeros(shape)
        self.eps = eps


class BatchNorm(_Norm):
    """Normalises each of the `size` features of (size, m), or channels of (N, size, H, W), over the batch.

    While training with the statistics of the batch, which also move the running ones by the share `momentum` (the variance
    unbiased, as torch does); otherwise with the running ones. ValueError for a batch with one number a feature.
    """

    def __init__(self, size: int, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__(size, eps)
        self.momentum = momentum
        self.running_mean, self.running_var = np.zeros(size), np.ones(size)

    def _rows(self, x: np.ndarray) -> np.ndarray:
        """(size, M): one feature a row."""
        return x if x.ndim == 2 else x.swapaxes(0, 1).reshape(x.shape[1], -1)

    def _as_input(self, rows: np.ndarray) -> np.ndarray:
        """`_rows` undone."""
        if len(self.shape) == 2:
            return rows
        n, c, h, w = self.shape
        return rows.reshape(c, n, h, w).swapaxes(0, 1)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.shape, self.training = x.shape, training
        rows = self._rows(x)
        if training:
            if rows.shape[1] < 2:
                raise ValueError(f"{self} needs more than one number a feature to train, got {x.shape}")
            for running, now in ((self.running_mean, rows.mean(axis=1)), (self.running_var, rows.var(axis=1, ddof=1))):
                running += self.momentum * (now - running)
            y, self.cache = batch_norm_forward(rows, self.gamma, self.beta, self.eps, self.kernels)
        else:
            self.rstd = 1 / np.sqrt(self.running_var[:, None] + self.eps)
            self.h = (rows - self.running_mean[:, None]) * self.rstd
            y = self.gamma[:, None] * self.h + self.beta[:, None]
        return self._as_input(y)

    def gradients(self, da: np.ndarray) -> np.ndarray:
        dy = self._rows(da)
        if self.training:
            dx, self.dgamma, self.dbeta = batch_norm_backward(dy, self.cache, self.kernels)
        else:  # the running statistics are constants
            dx = self.gamma[:, None] * dy * self.rstd
            self.dgamma, self.dbeta = (dy * self.h).sum(axis=1), dy.sum(axis=1)
        return self._as_input(dx)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape[0] != self.gamma.size:
            raise ValueError(f"{self} takes {self.gamma.size} features or channels, but the layer before it gives {shape}")
        return shape

    def __repr__(self) -> str:
        return f"BatchNorm({self.gamma.size})"


class LayerNorm(_Norm):
    """Normalises each sample over all its features: `shape` is the number of rows of (features, m), or (C, H, W) of images."""

    def __init__(self, shape: int | tuple[int, ...], eps: float = 1e-5):
        super().__init__(shape, eps)

    def _samples(self, x: np.ndarray) -> np.ndarray:
        """One sample a row, and back: columns are transposed, images are as they should be."""
        return x.T if x.ndim == 2 else x

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x = self._samples(x)
        y, *self.statistics = self.kernels.layer_norm_forward(self.x, self.gamma, self.beta, self.gamma.ndim, self.eps)
        return self._samples(y)

    def gradients(self, da: np.ndarray) -> np.ndarray:
        dx, self.dgamma, self.dbeta = self.kernels.layer_norm_backward(
            self._samples(da), self.x, *self.statistics, self.gamma, self.gamma.ndim, self.eps, True, True, True
        )
        return self._samples(dx)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != self.gamma.shape:
            raise ValueError(f"{self} takes samples of shape {self.gamma.shape}, but the layer before it gives {shape}")
        return shape

    def __repr__(self) -> str:
        return f"LayerNorm({self.gamma.shape})"
