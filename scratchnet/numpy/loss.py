"""Losses of a batch, target first, with their gradients; both are means, so 1 / N appears here and nowhere else.

Cross-entropy takes probabilities p, the output of softmax, and is that of scratchnet.oracle.cross_entropy: log p are logits
whose softmax is p again. Its gradient is that of the logits, (p - y) / N, because the softmax layer passes it on unchanged.

Mean squared error is the mean of (p - y)^2 over all n numbers of the batch; its gradient is 2 (p - y) / n.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from scratchnet.numpy.kernels import NUMPY
from scratchnet.ops import REDUCTIONS
from scratchnet.ops.cross_entropy import LossOptions

_OPTIONS = LossOptions(REDUCTIONS.index("mean"), ignore_index=-1, label_smoothing=0.0)  # -1: no label is ignored


def _classes(y: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Labels as (N, 1) int64, one-hot rows or probabilities as (N, C, 1) float64."""
    y = np.asarray(y)
    n, classes = y_pred.shape
    if y.shape == (n, classes):
        return y.astype(np.float64)[..., None]
    if y.shape != (n,) or not np.issubdtype(y.dtype, np.integer):
        hints = {(n, 1): "; y[:, 0] has the right shape", (n,): "; y.astype(int) makes labels of whole numbers"}
        raise ValueError(
            f"cross_entropy: y must be ({n},) integer labels or ({n}, {classes}) one-hot rows, not {y.shape} {y.dtype}"
            + hints.get(y.shape, "")
        )
    if (outside := np.flatnonzero((y < 0) | (y >= classes))).size:
        where = outside[0]
        raise IndexError(f"cross_entropy: label {y[where]} at position {where} is not one of the classes 0 to {classes - 1}")
    return y.astype(np.int64)[:, None]


def cross_entropy(y: np.ndarray, y_pred: np.ndarray, kernels: SimpleNamespace = NUMPY) -> tuple[float, np.ndarray]:
    """The loss and dz (N, C), the gradient of the softmax's input, for labels y (N,) or one-hot y (N, C) and y_pred (N, C).

    A probability that is 0 in float64 counts as the smallest number above it: the loss stays finite.
    ValueError for targets of another shape or dtype, IndexError for a label that is not a class.
    """
    target = _classes(y, y_pred)
    logits = np.log(np.maximum(y_pred, np.finfo(np.float64).tiny))[..., None]  # (N, C, 1)
    loss, lse, total = kernels.cross_entropy_forward(logits, target, None, _OPTIONS)
    dz = kernels.cross_entropy_backward(np.array(1.0), logits, target, None, lse, np.array(total), _OPTIONS)
    return float(loss), dz[..., 0]


def mse(y: np.ndarray, y_pred: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss and its gradient (N, D) for y (N, D), or (N,) if D is 1, and y_pred (N, D); ValueError for other shapes."""
    y = np.asarray(y, dtype=np.float64)
    if y.ndim == 1 and y_pred.shape == (len(y), 1):
        y = y[:, None]  # otherwise (N,) and (N, 1) would broadcast to (N, N)
    if y.shape != y_pred.shape:
        raise ValueError(f"mse: y must have the shape of the prediction, {y_pred.shape}, not {y.shape}")
    error = y_pred - y
    return float((error**2).mean()), 2 * error / error.size
