import numpy as np


def counted(target, classes):
    rows = np.flatnonzero(target != -100)
    if rows.size and not 0 <= target[rows].min() <= target[rows].max() < classes:
        raise IndexError("a target is out of range")
    return rows, target[rows]


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def forward(x, target):
    rows, target = counted(target, x.shape[1])
    return -log_softmax(x)[rows, target].mean()


def backward(grad, x, target):
    rows, target = counted(target, x.shape[1])
    p = np.exp(log_softmax(x[rows]))
    p[np.arange(len(rows)), target] -= 1
    dx = np.zeros_like(x)
    dx[rows] = p * (grad / x.dtype.type(len(rows)))
    return dx
