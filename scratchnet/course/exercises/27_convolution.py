"""Exercise 27: sizes, a convolution and its backward without im2col, and a network whose layers fit together.

Each `...` is a blank for you to fill in. Then: scratchnet check 27
"""

import torch

from scratchnet import nn


def output_size(n: int, window: int, stride: int, padding: int) -> int:
    """How many windows fit along an axis of n pixels, with `padding` zeros at each end; a window that does not fit is left
    out."""
    return ...


def conv2d_forward(x: torch.Tensor, W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """x (N, C, H, W), W (F, C, k, k), b (F,) -> y (N, F, H - k + 1, W - k + 1), without F.conv2d.

    Handle all windows at once: the pixels at (i, j) of all windows form a part of the picture, moved by (i, j).
    """
    filters, _, k, _ = W.shape
    height, width = x.shape[2] - k + 1, x.shape[3] - k + 1
    y = torch.zeros(len(x), filters, height, width)
    for i in range(k):
        for j in range(k):
            part = x[:, :, i : i + height, j : j + width]  # (N, C, height, width)
            y += torch.einsum("fc,nchw->nfhw", ..., part)  # a product over the channels, at every place
    return y + ...


def conv2d_backward(g: torch.Tensor, x: torch.Tensor, W: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """dx, dW, db of conv2d_forward, from g (N, F, H - k + 1, W - k + 1), each in the shape of what it belongs to."""
    k, (height, width) = W.shape[2], g.shape[2:]
    dx, dW = torch.zeros_like(x), torch.zeros_like(W)
    for i in range(k):
        for j in range(k):
            part = x[:, :, i : i + height, j : j + width]
            dW[:, :, i, j] = torch.einsum("nfhw,nchw->fc", ..., part)
            ...  # and dx: the pixels of this part get their gradients
    db = ...
    return dx, dW, db


def network(channels: int, size: int, classes: int) -> nn.Sequential:
    """From pictures (N, channels, size, size), size divisible by 4, to logits (N, classes).

    Conv2d of 8 filters, ReLU, MaxPool2d(2), Conv2d of 16 filters, ReLU, MaxPool2d(2), Flatten, Linear. Both convolutions
    have 3 x 3 windows and a padding that keeps the size.
    """
    return ...
