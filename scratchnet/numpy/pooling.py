"""Pooling layers: one number for each window of each channel; the mathematics is in scratchnet.oracle.pool2d."""

from __future__ import annotations

import numpy as np

from scratchnet.numpy.layer import Layer
from scratchnet.ops.pool2d import AvgPoolOptions, MaxPoolOptions
from scratchnet.oracle.windows import output_size


class _Pool2D(Layer):
    def __init__(self, pool_size: int = 2, stride: int | None = None):
        self.pool_size = pool_size
        self.stride = pool_size if stride is None else stride
        self.window = (pool_size, pool_size), (self.stride, self.stride), (0, 0)  # and no padding

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 3:
            raise ValueError(f"{self} takes images (C, H, W), but the layer before it gives {shape}")
        return shape[0], *output_size(shape, (self.pool_size, self.pool_size), self.stride)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pool_size}, stride={self.stride})"


class MaxPool2D(_Pool2D):
    """The largest number of each window of images (N, C, H, W), pool_size x pool_size, `stride` (pool_size) apart."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        output_size(x.shape, self.window[0], self.stride)  # says what is wrong if no window fits
        self.shape = x.shape
        options = MaxPoolOptions(*self.window, dilation=(1, 1), ceil_mode=False)
        y, self.index = self.kernels.max_pool2d_forward(x, options)
        return y

    def gradients(self, da: np.ndarray) -> np.ndarray:
        return self.kernels.max_pool2d_backward(da, self.shape, self.index)


class AvgPool2D(_Pool2D):
    """The mean of each window of images (N, C, H, W), pool_size x pool_size, `stride` (pool_size) apart."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        output_size(x.shape, self.window[0], self.stride)  # says what is wrong if no window fits
        self.shape = x.shape
        self.options = AvgPoolOptions(*self.window, ceil_mode=False, count_include_pad=True, divisor_override=0)
        return self.kernels.avg_pool2d_forward(x, self.options)

    def gradients(self, da: np.ndarray) -> np.ndarray:
        return self.kernels.avg_pool2d_backward(da, self.shape, self.options)
