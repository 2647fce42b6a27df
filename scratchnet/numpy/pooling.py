"""Pooling: one number for each window of each channel.

Maximum:  y = the window's entry at its arg-max, a gather; so dy goes to that entry alone, the scatter-add of gather.py
Average:  y = sum / k^2; so every entry of the window gets dy / k^2

Windows that overlap add up, as in convolution.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from scratchnet.numpy.kernels import NUMPY
from scratchnet.numpy.layer import Layer
from scratchnet.numpy.windows import add_windows, output_size, windows


def max_pool2d_forward(
    x: np.ndarray, pool_size: int, stride: int, kernels: SimpleNamespace = NUMPY
) -> tuple[np.ndarray, tuple]:
    """y (N, C, out_h, out_w) and what backward needs, for x (N, C, H, W); torch's F.max_pool2d. The first of equals wins."""
    view = windows(x, (pool_size, pool_size), stride)
    rows = view.reshape(-1, pool_size**2)  # one window a row
    index = rows.argmax(axis=1)[:, None]
    y = kernels.gather_forward(rows, 1, index)
    return y.reshape(view.shape[:4]), (x.shape, view.shape, stride, index)


def max_pool2d_backward(dy: np.ndarray, cache: tuple, kernels: SimpleNamespace = NUMPY) -> np.ndarray:
    """dx (N, C, H, W) of `max_pool2d_forward`."""
    shape, window_shape, stride, index = cache
    rows = (len(index), window_shape[-1] ** 2)
    d = kernels.gather_backward(dy.reshape(-1, 1), rows, 1, index)
    return add_windows(d.reshape(window_shape), shape, stride)


def avg_pool2d_forward(x: np.ndarray, pool_size: int, stride: int) -> tuple[np.ndarray, tuple]:
    """y (N, C, out_h, out_w) and what backward needs, for x (N, C, H, W); torch's F.avg_pool2d."""
    view = windows(x, (pool_size, pool_size), stride)
    return view.mean(axis=(-2, -1)), (x.shape, view.shape, stride)


def avg_pool2d_backward(dy: np.ndarray, cache: tuple) -> np.ndarray:
    """dx (N, C, H, W) of `avg_pool2d_forward`."""
    shape, window_shape, stride = cache
    share = dy[..., None, None] / window_shape[-1] ** 2
    return add_windows(np.broadcast_to(share, window_shape), shape, stride)


class _Pool2D(Layer):
    def __init__(self, pool_size: int = 2, stride: int | None = None):
        self.pool_size = pool_size
        self.stride = pool_size if stride is None else stride

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 3:
            raise ValueError(f"{self} takes images (C, H, W), but the layer before it gives {shape}")
        return shape[0], *output_size(shape, (self.pool_size, self.pool_size), self.stride)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pool_size}, stride={self.stride})"


class MaxPool2D(_Pool2D):
    """The largest number of each window of pool_size x pool_size; the windows are `stride` (pool_size) apart."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y, self.cache = max_pool2d_forward(x, self.pool_size, self.stride, self.kernels)
        return y

    def gradients(self, da: np.ndarray) -> np.ndarray:
        return max_pool2d_backward(da, self.cache, self.kernels)


class AvgPool2D(_Pool2D):
    """The mean of each window of pool_size x pool_size; the windows are `stride` (pool_size) apart."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y, self.cache = avg_pool2d_forward(x, self.pool_size, self.stride)
        return y

    def gradients(self, da: np.ndarray) -> np.ndarray:
        return avg_pool2d_backward(da, self.cache)
