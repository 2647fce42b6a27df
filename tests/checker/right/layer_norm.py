import math

import numpy as np


def normalise(x, shape, eps):
    axes = tuple(range(-len(shape), 0))
    d = max(math.prod(shape), 1)
    centred = x - x.sum(axes, keepdims=True) / d
    variance = (centred**2).sum(axes, keepdims=True) / d
    r = 1 / np.sqrt(variance + eps)
    return centred * r, r, axes, d


def forward(x, shape, weight, bias, eps):
    h, r, axes, d = normalise(x, shape, eps)
    y = h if weight is None else h * weight
    return y if bias is None else y + bias


def backward(grad, x, shape, weight, bias, eps):
    h, r, axes, d = normalise(x, shape, eps)
    a = grad if weight is None else grad * weight
    dx = r * (a - a.sum(axes, keepdims=True) / d - h * (a * h).sum(axes, keepdims=True) / d)
    batch = tuple(range(x.ndim - len(shape)))
    return dx, (grad * h).sum(batch), grad.sum(batch)
