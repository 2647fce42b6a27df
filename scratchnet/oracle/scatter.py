"""scatter_add and index_add in float64 NumPy: the transposes of gather and of an embedding, added to what is there.

Forward:   y_kj = x_kj + sum of src_ij over all i with index_ij = k  (dim 0; likewise on any dim)
Backward:  dx = g,  dsrc_ij = g[index_ij, j]: gather
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops import DimOptions
from scratchnet.oracle.gather import check_range, entries, gather_forward


@np.errstate(all="ignore")
def scatter_add_forward(x: np.ndarray, src: np.ndarray, index: np.ndarray, options: DimOptions) -> np.ndarray:
    """x with src added at index along `dim`; src has the shape of index, which is at most as large as x in other dims."""
    y, src, flat = np.array(x, ndmin=1), *np.atleast_1d(src, index)
    check_range("scatter_add", flat, y.shape[options.dim])
    np.add.at(y, entries(flat, options.dim), src)
    return y.reshape(x.shape)


def scatter_add_backward(grad: np.ndarray, index: np.ndarray, options: DimOptions) -> np.ndarray:
    """dsrc, of the shape of index; dx is grad."""
    return gather_forward(grad, index, options)


@np.errstate(all="ignore")
def index_add_forward(x: np.ndarray, src: np.ndarray, index: np.ndarray) -> np.ndarray:
    """x (K, ...) with row i of src (I, ...) added to row index[i]; index (I,)."""
    y = np.array(x)
    check_range("index_add", index, y.shape[0])
    np.add.at(y, index, src)
    return y


def index_add_backward(grad: np.ndarray, index: np.ndarray) -> np.ndarray:
    """dsrc (I, ...); dx is grad."""
    check_range("index_add", index, grad.shape[0])
    return grad[index]
