"""Convolution: unfolding and a matrix product.

Y = W X + b with the windows of the image as the columns of X = im2col(x), one product per group of channels:

    dW = dY X^T       dx = col2im(W^T dY)       db = sum of dY over the images and their outputs
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops.conv2d import ConvolutionOptions
from scratchnet.oracle.windows import col2im, im2col, output_size


@np.errstate(all="ignore")
def conv2d_forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    options: ConvolutionOptions,
) -> np.ndarray:
    """y (N, F, out_h, out_w) for x (N, C, H, W), weight (F, C / groups, kh, kw) and bias (F)."""
    stride, padding, dilation, groups = options
    windows = (weight.shape[2:], stride, padding, dilation)
    columns, rows = _grouped(im2col(x, *windows), groups), _grouped(weight.reshape(len(weight), -1), groups)
    y = (rows @ columns).reshape(len(weight), len(x), *output_size(x.shape, *windows)).swapaxes(0, 1)
    return y if bias is None else y + bias[:, None, None]


@np.errstate(all="ignore")
def conv2d_backward(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    options: ConvolutionOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """dx (N, C, H, W), dW (F, C / groups, kh, kw) and db (F) of `conv2d_forward`."""
    stride, padding, dilation, groups = options
    dx = dweight = None
    windows = (weight.shape[2:], stride, padding, dilation)
    dy = _grouped(grad.swapaxes(0, 1).reshape(len(weight), -1), groups)
    if need_x:
        columns = _grouped(weight.reshape(len(weight), -1), groups).swapaxes(1, 2) @ dy
        dx = col2im(columns, x.shape, *windows)
    if need_weight:
        dweight = (dy @ _grouped(im2col(x, *windows), groups).swapaxes(1, 2)).reshape(weight.shape)
    return dx, dweight, grad.sum(axis=(0, 2, 3)) if need_bias else None


def _grouped(matrix: np.ndarray, groups: int) -> np.ndarray:
    """The rows (groups * rows, columns) of each group as a matrix of its own: (groups, rows, columns)."""
    return matrix.reshape(groups, matrix.shape[0] // groups, matrix.shape[1])
