import numpy as np


def forward(x, shape, weight=None, bias=None, eps=1e-5):
    """Two passes in float64."""
    rows = x.astype(np.float64).reshape(-1, int(np.prod(shape)) or 1) if x.size else x
    if not x.size:
        return np.array(x)
    mean = rows.mean(1, keepdims=True)
    variance = np.square(rows - mean).mean(1, keepdims=True)
    y = ((rows - mean) / np.sqrt(variance + eps)).reshape(x.shape)
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias).astype(x.dtype)
