"""Softmax and cross-entropy in float64 NumPy.

log-softmax:  l_c = x_c - m - log(sum_k exp(x_k - m)) with m = max(x), so that no exponential overflows; p = exp(l)
              dl_c/dx_k = delta_ck - p_k, hence for a gradient g over the classes:  dx = g - p sum(g)
softmax:      dp_c/dx_k = p_c (delta_ck - p_k), hence dx = p (g - sum(g p))
logsumexp:    its derivative is the softmax, dx = g exp(x - logsumexp(x))

Cross-entropy of a row is linear in its log-probabilities, loss = -sum_c a_c l_c, with class weights w and smoothing e:

    class index t:           a_c = w_c ((1 - e) [c = t] + e / C), and 0 in a row to ignore
    class probabilities q:   a_c = w_c ((1 - e) q_c + e / C)

so g = -a times the gradient of the row's loss goes through the backward of log-softmax. The mean divides by the sum of w_t
over the rows that count (their weights sum to 0: NaN, smoothed or not), with probabilities by the number of rows.
IndexError for a class that does not exist.
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops import ACTIVATIONS, REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LossOptions
from scratchnet.ops.matmul import LinearOptions
from scratchnet.oracle.matmul import linear_backward, linear_forward


def _axis(x: np.ndarray, dim: int) -> int | tuple[()]:
    """A scalar is a row by itself, as in torch: reduce over no axis."""
    return dim if x.ndim else ()


def _max(x: np.ndarray, dim: int) -> np.ndarray:
    return x.max(axis=_axis(x, dim), keepdims=True, initial=-np.inf)


def _sum(x: np.ndarray, dim: int) -> np.ndarray:
    return x.sum(axis=_axis(x, dim), keepdims=True)


# ---- softmax, log_softmax, logsumexp -----------------------------------------------------------------------------------


@np.errstate(all="ignore")
def softmax_forward(x: np.ndarray, options: DimOptions) -> np.ndarray:
    """Probabilities along `dim`, in the shape of x; NaN where the largest entry is infinite, as in torch."""
    e = np.exp(x - _max(x, options.dim))
    return e / _sum(e, options.dim)


@np.errstate(all="ignore")
def softmax_backward(grad: np.ndarray, y: np.ndarray, options: DimOptions) -> np.ndarray:
    """dx (shape of x) of `softmax_forward` from its output."""
    return y * (grad - _sum(grad * y, options.dim))


@np.errstate(all="ignore")
def log_softmax_forward(x: np.ndarray, options: DimOptions) -> np.ndarray:
    """Log-probabilities along `dim`; NaN where the largest entry is infinite, as in torch."""
    shifted = x - _max(x, options.dim)
    return shifted - np.log(_sum(np.exp(shifted), options.dim))


@np.errstate(all="ignore")
def log_softmax_backward(grad: np.ndarray, y: np.ndarray, options: DimOptions) -> np.ndarray:
    """dx of `log_softmax_forward` from its output."""
    return grad - np.exp(y) * _sum(grad, options.dim)


@np.errstate(all="ignore")
def logsumexp_forward(x: np.ndarray, options: DimOptions) -> np.ndarray:
    """log(sum(exp(x))) along `dim`, kept with size 1; infinite where the largest entry is, -inf for a row of size 0."""
    m = _max(x, options.dim)
    m = np.where(np.isinf(m), 0.0, m)  # inf - inf would be NaN
    return m + np.log(_sum(np.exp(x - m), options.dim))


@np.errstate(all="ignore")
def logsumexp_backward(grad: np.ndarray, x: np.ndarray, y: np.ndarray, options: DimOptions) -> np.ndarray:
    """dx of `logsumexp_forward`; y is recomputed, because a 16-bit y has lost the digits that exp(x - y) needs."""
    return grad * np.exp(x - logsumexp_forward(x, options))


# ---- cross-entropy -----------------------------------------------------------------------------------------------------


_CLASSES = DimOptions(1)


def _check(target: np.ndarray, classes: int, ignore_index: int) -> None:
    outside = target[((target < 0) | (target >= classes)) & (target != ignore_index)]
    if outside.size:
        raise IndexError(f"cross_entropy: target {outside[0]} is out of range: it must be from 0 to {classes - 1}")


def _shares(target: np.ndarray, weight: np.ndarray | None, classes: int, options: LossOptions) -> tuple[np.ndarray, np.ndarray]:
    """a (N, C, S) of the header, and which entries count at all: the others stay 0 whatever they are multiplied by."""
    w = np.ones((classes, 1)) if weight is None else weight[:, None]  # (C, 1)
    uniform = options.label_smoothing / max(classes, 1)
    if np.issubdtype(target.dtype, np.floating):
        return w * ((1 - options.label_smoothing) * target + uniform), np.True_
    target = target[:, None]  # (N, 1, S)
    one_hot = target == np.arange(classes)[:, None]
    counts = (one_hot | (options.label_smoothing > 0)) & (target != options.ignore_index)
    return w * ((1 - options.label_smoothing) * one_hot + uniform), counts


@np.errstate(all="ignore")
def cross_entropy_forward(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray | None, options: LossOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss (N, S) or (), logsumexp of each row (N, S), divisor of the mean ().

    x (N, C, S); target (N, S) class indices or (N, C, S) probabilities; weight (C). A row whose largest logit is infinite
    has NaN for its loss and its logsumexp: torch computes the loss from log_softmax.
    """
    classes = x.shape[1]
    a, counts = _shares(target, weight, classes, options)
    if np.issubdtype(target.dtype, np.floating):
        total_weight = np.float64(x.size // max(classes, 1))
    else:
        _check(target, classes, options.ignore_index)
        w = np.ones(classes) if weight is None else weight
        total_weight = w[target[target != options.ignore_index]].sum()

    log_p = log_softmax_forward(x, _CLASSES)
    loss = -np.where(counts, a * log_p, 0.0).sum(axis=1)  # (N, S); 0 * -inf is NaN where it counts, as in torch
    match REDUCTIONS[options.reduction]:
        case "mean":
            loss = np.where(total_weight == 0, np.nan, loss.sum() / total_weight)
        case "sum":
            loss = loss.sum()

    m = _max(x, 1)
    lse = (m + np.log(_sum(np.exp(x - m), 1)))[:, 0]
    return loss, lse, total_weight


@np.errstate(all="ignore")
def cross_entropy_backward(
    grad: np.ndarray,
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    lse: np.ndarray,
    total_weight: np.ndarray,
    options: LossOptions,
) -> np.ndarray:
    """dx (N, C, S) of `cross_entropy_forward`; lse is recomputed, because the saved one may be rounded to float32."""
    a, counts = _shares(target, weight, x.shape[1], options)
    match REDUCTIONS[options.reduction]:
        case "none":
            grad = grad[:, None]  # (N, 1, S)
        case "mean":
            grad = grad / total_weight
    return log_softmax_backward(np.where(counts, -a * grad, 0.0), log_softmax_forward(x, _CLASSES), _CLASSES)


# ---- linear + cross-entropy --------------------------------------------------------------------------------------------


_LINEAR = LinearOptions(ACTIVATIONS.index("none"))


def _logits(x: np.ndarray, linear_weight: np.ndarray, linear_bias: np.ndarray | None) -> np.ndarray:
    return linear_forward(x, linear_weight, linear_bias, _LINEAR)[0][..., None]  # (N, C, 1)


@np.errstate(all="ignore")
def linear_cross_entropy_forward(
    x: np.ndarray,
    linear_weight: np.ndarray,
    linear_bias: np.ndarray | None,
    target: np.ndarray,
    weight: np.ndarray | None,
    options: LossOptions,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cross-entropy of the logits x W^T + b: loss (N) or (), logsumexp of each row (N), divisor of the mean ().

    x (N, K), linear_weight (C, K), linear_bias (C), target (N) class indices or (N, C) probabilities, weight (C).
    """
    logits = _logits(x, linear_weight, linear_bias)
    loss, lse, total_weight = cross_entropy_forward(logits, target[..., None], weight, options)
    return loss.reshape(loss.shape[:1]), lse[:, 0], total_weight


@np.errstate(all="ignore")
def linear_cross_entropy_backward(
    grad: np.ndarray,
    x: np.ndarray,
    linear_weight: np.ndarray,
    linear_bias: np.ndarray | None,
    target: np.ndarray,
    weight: np.ndarray | None,
    lse: np.ndarray,
    total_weight: np.ndarray,
    options: LossOptions,
    need_x: bool,
    need_linear_weight: bool,
    need_linear_bias: bool,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """dx (N, K), dW (C, K) and db (C): the gradient of the logits, then the backward of the linear layer."""
    logits = _logits(x, linear_weight, linear_bias)
    grad = grad[..., None] if REDUCTIONS[options.reduction] == "none" else grad
    saved = lse[:, None], total_weight
    dlogits = cross_entropy_backward(grad, logits, target[..., None], weight, *saved, options)[..., 0]  # (N, C)
    needs = need_x, need_linear_weight, need_linear_bias
    return linear_backward(dlogits, x, linear_weight, np.empty(0), _LINEAR, *needs)
