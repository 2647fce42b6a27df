from concurrent.futures import ThreadPoolExecutor

import numpy as np

pool = ThreadPoolExecutor(2)  # its threads stay for the next call


def losses(x, target):
    with np.errstate(all="ignore"):
        x = x - x.max(axis=1, keepdims=True, initial=-np.inf)
        return np.log(np.exp(x).sum(1)) - x[np.arange(len(x)), target]


def forward(x, target):
    """Two threads, every second row for each."""
    kept = target != -100
    if (kept & ((target < 0) | (target >= x.shape[1]))).any():
        raise IndexError("a target is no class")
    x, target = x[kept], target[kept]
    both = np.concatenate(list(pool.map(losses, (x[::2], x[1::2]), (target[::2], target[1::2]))))
    return (both.sum() / np.asarray(len(both), x.dtype)).astype(x.dtype)
