"""Soft clipping in float64 NumPy.

y = x / (1 + |x| / limit)    dy/dx = 1 / (1 + |x| / limit)^2, because x times the derivative of |x| is |x|
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops.soft_clip import SoftClipOptions


@np.errstate(all="ignore")
def soft_clip_forward(x: np.ndarray, options: SoftClipOptions) -> np.ndarray:
    """x / (1 + |x| / limit), any shape."""
    return x / (1 + np.abs(x) / options.limit)


@np.errstate(all="ignore")
def soft_clip_backward(grad: np.ndarray, x: np.ndarray, options: SoftClipOptions) -> np.ndarray:
    """dx (shape of x) of `soft_clip_forward`."""
    return grad / (1 + np.abs(x) / options.limit) ** 2
