import math

import numpy as np


def wide(*arrays):
    return [a.astype(np.float64) for a in arrays]


def transposed(a):
    return np.swapaxes(a, -1, -2)


def scale(query):
    return 1 / math.sqrt(max(query.shape[-1], 1))


def probabilities(query, key):
    s = query @ transposed(key) * scale(query)
    e = np.exp(s - s.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def forward(query, key, value):
    q, k, v = wide(query, key, value)
    return (probabilities(q, k) @ v).astype(query.dtype)


def backward(grad, query, key, value):
    g, q, k, v = wide(grad, query, key, value)
    p = probabilities(q, k)
    dp = g @ transposed(v)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * scale(query)
    return tuple(d.astype(query.dtype) for d in (ds @ k, transposed(ds) @ q, transposed(p) @ g))
