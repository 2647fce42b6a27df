import numpy as np


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def forward(x, target):
    rows = np.arange(len(x))
    return -log_softmax(x)[rows, target].mean()


def backward(grad, x, target):
    rows = np.arange(len(x))
    p = np.exp(log_softmax(x))
    p[rows, target] -= 1
    return p * (grad / np.float32(len(x)))
