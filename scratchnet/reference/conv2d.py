"""Convolution in plain PyTorch: the filters times the unfolded image; derived in `scratchnet.oracle.conv2d`."""

from __future__ import annotations

from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.conv2d import ConvolutionOptions
from scratchnet.reference import widen


def conv2d_forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    options: ConvolutionOptions,
) -> Tensor:
    """y (N, F, out_h, out_w) for x (N, C, H, W), weight (F, C / groups, kh, kw) and bias (F); integers stay integers."""
    stride, padding, dilation, groups = options
    y = _correlate(_padded(x, padding), widen(weight), stride, dilation, groups)
    return (y if bias is None else y + bias[:, None, None]).to(x.dtype)


def conv2d_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    options: ConvolutionOptions,
    need_x: bool,
    need_weight: bool,
    need_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """dx (N, C, H, W), dW (F, C / groups, kh, kw) and db (F) of `conv2d_forward`.

    dx is a convolution too: of dy, spread `stride` apart, with the filters turned by 180 degrees and their first axes swapped.
    """
    stride, padding, dilation, groups = options
    dx = dweight = None
    dy = widen(grad)
    if need_x:
        turned = _rows(widen(weight).flip(2, 3), groups).unflatten(2, weight.shape[1:]).transpose(1, 2).flatten(0, 1)
        edges: list[int] = []  # the last axis first, as F.pad takes them; a negative one crops
        spread = dy
        for axis in (1, 0):
            zeros = (0, 0) * (1 - axis) + (0, stride[axis] - 1)  # y0 0 0 y1 0 0 ...
            spread = F.pad(spread.unsqueeze(axis + 3), zeros).flatten(axis + 2, axis + 3)
            reach = dilation[axis] * (weight.shape[2 + axis] - 1)
            edges += [reach - padding[axis], x.shape[2 + axis] + padding[axis] - spread.shape[2 + axis]]
        dx = _correlate(F.pad(spread, edges), turned, (1, 1), dilation, groups).to(x.dtype)
    if need_weight:
        columns = _unfold(_padded(x, padding), weight.shape[2:], stride, dilation, groups)
        products = dy.flatten(2).unflatten(1, (groups, -1)) @ columns.mT  # (N, groups, F / groups, C / groups * kh * kw)
        dweight = products.sum(0).reshape(weight.shape).to(x.dtype)
    return dx, dweight, dy.sum((0, 2, 3)).to(x.dtype) if need_bias else None


def _padded(x: Tensor, padding: Sequence[int]) -> Tensor:
    ph, pw = padding
    return F.pad(widen(x), (pw, pw, ph, ph))


def _rows(weight: Tensor, groups: int) -> Tensor:
    """weight (F, C / groups, kh, kw) as (groups, F / groups, C / groups * kh * kw)."""
    return weight.reshape(groups, weight.shape[0] // groups, weight.shape[1:].numel())


def _unfold(x: Tensor, window: Sequence[int], stride: Sequence[int], dilation: Sequence[int], groups: int) -> Tensor:
    """The windows of x (N, C, H, W) as columns: (N, groups, C / groups * kh * kw, out_h * out_w)."""
    (kh, kw), (sh, sw), (dh, dw) = window, stride, dilation
    bottom, right = x.shape[2] - dh * (kh - 1), x.shape[3] - dw * (kw - 1)  # where the pixels of the first tap end
    taps = [x[:, :, i : i + bottom : sh, j : j + right : sw] for i in range(0, dh * kh, dh) for j in range(0, dw * kw, dw)]
    return torch.stack(taps, 2).unflatten(1, (groups, x.shape[1] // groups)).flatten(2, 3).flatten(3)


def _correlate(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Tensor:
    """The convolution of x (N, C, H, W) without padding: the filters times the unfolded image."""
    window = weight.shape[2:]
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], window, stride, dilation, strict=True)]
    y = _rows(weight, groups) @ _unfold(x, window, stride, dilation, groups)  # (N, groups, F / groups, out_h * out_w)
    return y.reshape(x.shape[0], weight.shape[0], *out)
