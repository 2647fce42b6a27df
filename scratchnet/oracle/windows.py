"""The windows of an image, their pixels as the columns of a matrix, and the way back.

im2col copies a pixel into every window that covers it; so col2im, its transpose, adds up what comes back from those windows.
A stride, padding or dilation is one number for both axes, or one for the height and one for the width.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Pair = int | tuple[int, int]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def output_size(
    shape: tuple[int, ...], window: tuple[int, int], stride: Pair, padding: Pair = 0, dilation: Pair = 1
) -> tuple[int, int]:
    """(out_h, out_w), out = (n + 2 padding - dilation (k - 1) - 1) // stride + 1, for images (..., H, W).

    ValueError if no window fits.
    """
    options = zip(shape[-2:], window, *map(_pair, (stride, padding, dilation)), strict=True)
    height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in options)
    if height < 1 or width < 1:
        raise ValueError(
            f"a window of {window[0]}x{window[1]} does not fit into images of {shape[-2]}x{shape[-1]} with padding {padding}"
            " (the last two axes are height and width; input_shape of a CNN is height, width, channels)"
        )
    return height, width


def windows(x: np.ndarray, window: tuple[int, int], stride: Pair, dilation: Pair = 1) -> np.ndarray:
    """Every window of x (N, C, H, W): a view (N, C, out_h, out_w, kh, kw), no copy."""
    output_size(x.shape, window, stride, 0, dilation)
    (sh, sw), (dh, dw) = _pair(stride), _pair(dilation)
    span = (dh * (window[0] - 1) + 1, dw * (window[1] - 1) + 1)
    return sliding_window_view(x, span, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]


def add_windows(d: np.ndarray, shape: tuple[int, ...], stride: Pair, dilation: Pair = 1) -> np.ndarray:
    """The transpose of `windows`: add the numbers d (N, C, out_h, out_w, kh, kw) up at their places in images of that shape."""
    x = np.zeros(shape)
    height, width, kh, kw = d.shape[2:]
    (sh, sw), (dh, dw) = _pair(stride), _pair(dilation)
    for i in range(kh):
        for j in range(kw):
            rows, columns = slice(i * dh, i * dh + sh * height, sh), slice(j * dw, j * dw + sw * width, sw)
            x[:, :, rows, columns] += d[..., i, j]
    return x


def im2col(x: np.ndarray, window: tuple[int, int], stride: Pair, padding: Pair, dilation: Pair = 1) -> np.ndarray:
    """The windows of x (N, C, H, W), padded with zeros, as columns: (C * kh * kw, N * out_h * out_w)."""
    ph, pw = _pair(padding)
    view = windows(np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))), window, stride, dilation)
    n, c, height, width, kh, kw = view.shape
    return view.transpose(1, 4, 5, 0, 2, 3).reshape(c * kh * kw, n * height * width)


def col2im(
    cols: np.ndarray, shape: tuple[int, ...], window: tuple[int, int], stride: Pair, padding: Pair, dilation: Pair = 1
) -> np.ndarray:
    """The transpose of `im2col`: overlapping windows add up, the padding is cut off. `shape` is that of x."""
    (n, c, h, w), (ph, pw) = shape, _pair(padding)
    d = cols.reshape(c, *window, n, *output_size(shape, window, stride, padding, dilation)).transpose(3, 0, 4, 5, 1, 2)
    padded = add_windows(d, (n, c, h + 2 * ph, w + 2 * pw), stride, dilation)
    return padded[:, :, ph : ph + h, pw : pw + w]
