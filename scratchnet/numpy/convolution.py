"""Convolution as one matrix product: im2col writes every window of the images as a column, and a dense layer does the rest.

Forward:   Z = W X + b      W (F, C * kh * kw), X = im2col(x) (C * kh * kw, N * out_h * out_w), b (F, 1)
Backward:  that of the dense layer, dW = dZ X^T, db = sum of the columns of dZ, dX = W^T dZ, and dx = col2im(dX)
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from scratchnet.numpy.dense import dense_backward, dense_forward
from scratchnet.numpy.kernels import NUMPY
from scratchnet.numpy.layer import Seed, WeightedLayer
from scratchnet.oracle.windows import col2im, im2col, output_size


def conv2d_forward(
    x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int = 1, padding: int = 0, kernels: SimpleNamespace = NUMPY
) -> tuple[np.ndarray, tuple]:
    """z (N, F, out_h, out_w) and what backward needs, for x (N, C, H, W), W (F, C, kh, kw) and b (F); torch's F.conv2d.

    ValueError for images of another shape.
    """
    if x.ndim != 4 or x.shape[1] != W.shape[1]:
        raise ValueError(f"conv2d_forward: filters {W.shape} take images (N, {W.shape[1]}, H, W), not {x.shape}")
    filters, window = W.shape[0], W.shape[2:]
    x_col = im2col(x, window, stride, padding)
    z = dense_forward(x_col, W.reshape(filters, -1), b[:, None], kernels)  # (F, N * out_h * out_w)
    z = z.reshape(filters, len(x), *output_size(x.shape, window, stride, padding)).swapaxes(0, 1)
    return z, (x.shape, x_col, W, stride, padding)


def conv2d_backward(
    dz: np.ndarray, cache: tuple, kernels: SimpleNamespace = NUMPY
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx (N, C, H, W), dW (F, C, kh, kw) and db (F) of `conv2d_forward` from dz (N, F, out_h, out_w)."""
    shape, x_col, W, stride, padding = cache
    filters, window = W.shape[0], W.shape[2:]
    dz = dz.swapaxes(0, 1).reshape(filters, -1)  # (F, N * out_h * out_w)
    dx_col, dW, db = dense_backward(dz, x_col, W.reshape(filters, -1), kernels)
    return col2im(dx_col, shape, window, stride, padding), dW.reshape(W.shape), db[:, 0]


class Conv2D(WeightedLayer):
    """a (N, n_filters, out_h, out_w) = activation(conv(x, W) + b) for images x (N, channels, H, W).

    W (n_filters, channels, filter_size, filter_size) and b (n_filters,) start as in Dense. After `forward` the layer has
    `cache` (of conv2d_forward), z, its `cache_activation`, and a; after `backward` dW and db. ValueError for softmax.
    """

    def __init__(
        self,
        channels: int,
        n_filters: int,
        filter_size: int = 3,
        stride: int = 1,
        padding: int = 0,
        activation: str = "relu",
        *,
        init: str = "small",
        seed: Seed = None,
    ):
        if activation == "softmax":
            raise ValueError("Conv2D: softmax belongs to the last Dense layer")
        super().__init__((n_filters, channels, filter_size, filter_size), (n_filters,), activation, init, seed)
        self.stride, self.padding = stride, padding

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.z, self.cache = conv2d_forward(x, self.W, self.b, self.stride, self.padding, self.kernels)
        self.cache_activation = self.z
        self.a = self.activation(self.z)
        return self.a

    def gradients(self, da: np.ndarray) -> np.ndarray:
        dz = da * self.activation_derivative(self.cache_activation)
        dx, self.dW, self.db = conv2d_backward(dz, self.cache, self.kernels)
        return dx

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 3 or shape[0] != self.W.shape[1]:
            raise ValueError(f"{self} takes images ({self.W.shape[1]}, H, W), but the layer before it gives {shape}")
        return len(self.W), *output_size(shape, self.W.shape[2:], self.stride, self.padding)

    def __repr__(self) -> str:
        filters, channels, size, _ = self.W.shape
        options = f"stride={self.stride}, padding={self.padding}, activation={self.activation_name!r}"
        return f"Conv2D({channels}, {filters}, {size}, {options})"
