"""Gather and embedding in float64 NumPy.

Forward:   y_ij = x[index_ij, j]  (dim 0; likewise on any dim): a copy, so dy_ij/dx_kj = 1 where index_ij = k, else 0
Backward:  dx_kj = sum of g_ij over all i with index_ij = k: scatter-add, the transpose of gather. np.add.at adds one entry
after another, so an index that occurs twice counts twice.

An embedding gathers whole rows of the weight. Rows of `padding_idx` take no gradient; `scale_grad_by_freq` divides the
gradient of a row by how often the row occurs. IndexError for an index that is out of range.
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops import DimOptions
from scratchnet.ops.gather import EmbeddingOptions


def check_range(name: str, index: np.ndarray, size: int) -> None:
    """Negative indices do not count from the end here."""
    outside = index[(index < 0) | (index >= size)]
    if outside.size:
        raise IndexError(f"{name}: index {outside[0]} is out of range: it must be from 0 to {size - 1}")


def entries(index: np.ndarray, dim: int) -> tuple[np.ndarray, ...]:
    """The entry of x that each entry of index names: its own position, with the index as coordinate `dim`."""
    position = list(np.indices(index.shape, sparse=True))
    position[dim] = index
    return tuple(position)


def gather_forward(x: np.ndarray, index: np.ndarray, options: DimOptions) -> np.ndarray:
    """x at index along `dim`, in the shape of index, which is at most as large as x in other dims; a scalar counts as (1,)."""
    x, flat = np.atleast_1d(x, index)
    check_range("gather", flat, x.shape[options.dim])
    return x[entries(flat, options.dim)].reshape(index.shape)


@np.errstate(all="ignore")
def gather_backward(grad: np.ndarray, shape: tuple[int, ...], index: np.ndarray, options: DimOptions) -> np.ndarray:
    """dx, of the given shape."""
    grad, flat = np.atleast_1d(grad, index)
    dx = np.zeros(tuple(shape) or (1,))
    check_range("gather", flat, dx.shape[options.dim])
    np.add.at(dx, entries(flat, options.dim), grad)
    return dx.reshape(shape)


def embedding_forward(weight: np.ndarray, index: np.ndarray, options: EmbeddingOptions) -> np.ndarray:
    """Rows of weight (V, D) at index, any shape: (*index.shape, D). The options matter only to the backward."""
    check_range("embedding", index, weight.shape[0])
    return weight[index]


@np.errstate(all="ignore")
def embedding_backward(grad: np.ndarray, index: np.ndarray, num_embeddings: int, options: EmbeddingOptions) -> np.ndarray:
    """dweight (V, D); padding_idx -1 means none."""
    check_range("embedding", index, num_embeddings)
    kept = index != options.padding_idx
    row, grad = index[kept], grad[kept]  # (K,), (K, D)
    if options.scale_grad_by_freq:
        grad = grad / np.bincount(row, minlength=num_embeddings)[row][:, None]
    dweight = np.zeros((num_embeddings, grad.shape[-1]))
    np.add.at(dweight, row, grad)
    return dweight
