import numpy as np


def normalise(x, eps):
    d = max(x.shape[-1], 1)
    centred = x - x.sum(-1, keepdims=True) / d
    variance = (centred**2).sum(-1, keepdims=True) / d
    r = 1 / np.sqrt(variance + eps)
    return centred * r, r


def forward(x, shape, weight, bias, eps):
    h, r = normalise(x, eps)
    y = h * weight + bias
    return y


def backward(grad, x, shape, weight, bias, eps):
    h, r = normalise(x, eps)
    a = grad * weight
    d = max(x.shape[-1], 1)
    dx = r * (a - a.sum(-1, keepdims=True) / d - h * (a * h).sum(-1, keepdims=True) / d)
    return dx, (grad * h).sum(0), grad.sum(0)
