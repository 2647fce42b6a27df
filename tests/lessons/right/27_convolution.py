"""Right answers to exercise 27, each in a style of its own."""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F

from scratchnet import nn


def output_size__float(n, window, stride, padding):
    """Divided, then rounded down."""
    return int((n + 2 * padding - window) / stride + 1)


def output_size__floor(n, window, stride, padding):
    """math.floor, the first window apart."""
    return 1 + math.floor((n - window + padding * 2) / stride)


def output_size__counted(n, window, stride, padding):
    """The places where a window may begin, counted."""
    return len(range(-padding, n + padding - window + 1, stride))


def conv2d_forward__unfold(x, W, b):
    """im2col, as in the lesson."""
    height, width = x.shape[2] - W.shape[2] + 1, x.shape[3] - W.shape[3] + 1
    y = W.flatten(1) @ F.unfold(x, W.shape[2:]) + b[:, None]
    return y.reshape(len(x), len(W), height, width)


def conv2d_forward__loops(x, W, b):
    """Place by place."""
    k = W.shape[-1]
    y = torch.empty(x.shape[0], W.shape[0], x.shape[2] - k + 1, x.shape[3] - k + 1)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = x[:, :, i : i + k, j : j + k]
            for f in range(len(W)):
                y[:, f, i, j] = (window * W[f]).sum(dim=(1, 2, 3)) + b[f]
    return y


def conv2d_forward__windows(x, W, b):
    """All windows as a view, and one tensordot."""
    k = W.shape[-1]
    windows = x.unfold(2, k, 1).unfold(3, k, 1)  # (N, C, H', W', k, k)
    return torch.tensordot(windows, W, dims=([1, 4, 5], [1, 2, 3])).permute(0, 3, 1, 2) + b.view(1, -1, 1, 1)


def conv2d_backward__fold(g, x, W):
    """fold is the way back of unfold."""
    columns, rows = F.unfold(x, W.shape[2:]), g.flatten(2)
    dW = torch.einsum("nfp,nkp->fk", rows, columns).reshape(W.shape)
    dx = F.fold(W.flatten(1).T @ rows, x.shape[2:], W.shape[2:])
    return dx, dW, rows.sum(dim=(0, 2))


def conv2d_backward__convolutions(g, x, W):
    """dx is a convolution with the turned filter, over a padded g."""
    k = W.shape[-1]
    dx = F.conv2d(g, W.flip(2, 3).transpose(0, 1), padding=k - 1)
    dW = F.conv2d(x.transpose(0, 1), g.transpose(0, 1)).transpose(0, 1)
    return dx, dW, torch.sum(g, (0, 2, 3))


def conv2d_backward__loops(g, x, W):
    """Place by place."""
    k = W.shape[2]
    dx, dW = torch.zeros(x.shape), torch.zeros(W.shape)
    for n in range(g.shape[0]):
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                here = g[n, :, i, j][:, None, None, None]
                dW += here * x[n, :, i : i + k, j : j + k]
                dx[n, :, i : i + k, j : j + k] += (here * W).sum(0)
    return dx, dW, g.mean(dim=(0, 2, 3)) * (g.numel() / g.shape[1])


def network__named(channels, size, classes):
    """Layers with names."""
    side = size // 4
    return nn.Sequential(
        OrderedDict(
            first=nn.Conv2d(channels, 8, kernel_size=3, padding="same"),
            bend1=nn.ReLU(),
            pool1=nn.MaxPool2d(kernel_size=2),
            second=nn.Conv2d(8, 16, kernel_size=3, padding="same"),
            bend2=nn.ReLU(),
            pool2=nn.MaxPool2d(kernel_size=2),
            flat=nn.Flatten(),
            head=nn.Linear(16 * side * side, classes),
        )
    )


def network__torch(channels, size, classes):
    """torch.nn's layers; the head is made first."""
    head = torch.nn.Linear(size * size, classes)  # 16 * (size / 4) ** 2
    layers, before = [], channels
    for filters in (8, 16):
        layers += [torch.nn.Conv2d(before, filters, (3, 3), (1, 1), (1, 1)), torch.nn.ReLU(True), torch.nn.MaxPool2d((2, 2))]
        before = filters
    return torch.nn.Sequential(*layers, torch.nn.Flatten(1), head)


def network__appended(channels, size, classes):
    """Appended one by one."""
    model = nn.Sequential()
    for before, filters in ((channels, 8), (8, 16)):
        model.append(nn.Conv2d(before, filters, 3, padding=1))
        model.append(nn.ReLU())
        model.append(nn.MaxPool2d(2, stride=2))
    model.append(nn.Flatten(start_dim=1))
    model.append(nn.Linear(int(16 * (size / 4) ** 2), classes))
    return model
