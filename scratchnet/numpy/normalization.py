"""Batch norm and layer norm, as layers.

Both produce numbers of mean 0 and variance 1, h = (x - mean) / sqrt(var + eps), and scale them, y = gamma h + beta. Layer norm
takes the statistics of a sample, over its features; batch norm those of a feature, over the samples. The mathematics is in
scratchnet.oracle.layer_norm and batch_norm.
"""

from __future__ import annotations

import numpy as np

from scratchnet.numpy.layer import Layer
from scratchnet.ops.batch_norm import BatchNormOptions
from scratchnet.ops.layer_norm import NormOptions


class _Norm(Layer):
    parameters = ("gamma", "beta")

    def __init__(self, shape: int | tuple[int, ...], eps: float):
        self.gamma, self.beta = np.ones(shape), np.zeros(shape)
        self.eps = eps


class BatchNorm(_Norm):
    """Normalise each of the `size` features of (size, m), or channels of (N, size, H, W), over the batch.

    While training the statistics are the batch's, and the running ones move towards them by the fraction `momentum` (the
    variance unbiased, as in torch); otherwise they are the running ones. ValueError for a batch with one number per feature.
    """

    def __init__(self, size: int, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__(size, eps)
        self.momentum = momentum
        self.running_mean, self.running_var = np.zeros(size), np.ones(size)

    def _batch(self, x: np.ndarray) -> np.ndarray:
        """(N, size, ...): columns count as one image whose pixels are the samples."""
        return x[None] if x.ndim == 2 else x

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x, self.options = self._batch(x), BatchNormOptions(training, self.eps)
        count = x.size // len(self.gamma)
        if training and count < 2:
            raise ValueError(f"{self} needs more than one number per feature to train, got {x.shape}")
        running = (None, None) if training else (self.running_mean, self.running_var)
        y, *self.statistics = self.kernels.batch_norm_forward(self.x, self.gamma, self.beta, *running, self.options)
        if training:
            mean, var = self.statistics
            for moving, now in ((self.running_mean, mean), (self.running_var, var * (count / (count - 1)))):
                moving += self.momentum * (now - moving)
        return y.reshape(x.shape)

    def gradients(self, da: np.ndarray) -> np.ndarray:
        dx, self.dgamma, self.dbeta = self.kernels.batch_norm_backward(
            self._batch(da), self.x, self.gamma, *self.statistics, self.options, True, True, True
        )
        return dx.reshape(da.shape)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape[0] != self.gamma.size:
            raise ValueError(f"{self} takes {self.gamma.size} features or channels, but the layer before it gives {shape}")
        return shape

    def __repr__(self) -> str:
        return f"BatchNorm({self.gamma.size})"


class LayerNorm(_Norm):
    """Normalise each sample over all its features: `shape` is the number of rows of (features, m), or (C, H, W) of images."""

    def __init__(self, shape: int | tuple[int, ...], eps: float = 1e-5):
        super().__init__(shape, eps)

    def _samples(self, x: np.ndarray) -> np.ndarray:
        """One sample per row, and back: columns are transposed, images are right as they are."""
        return x.T if x.ndim == 2 else x

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x, self.options = self._samples(x), NormOptions(self.gamma.ndim, self.eps)
        y, *self.statistics = self.kernels.layer_norm_forward(self.x, self.gamma, self.beta, self.options)
        return self._samples(y)

    def gradients(self, da: np.ndarray) -> np.ndarray:
        dx, self.dgamma, self.dbeta = self.kernels.layer_norm_backward(
            self._samples(da), self.x, *self.statistics, self.gamma, self.options, True, True, True
        )
        return self._samples(dx)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape != self.gamma.shape:
            raise ValueError(f"{self} takes samples of shape {self.gamma.shape}, but the layer before it gives {shape}")
        return shape

    def __repr__(self) -> str:
        return f"LayerNorm({self.gamma.shape})"
