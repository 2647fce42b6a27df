"""embedding_bag in float64 NumPy.

Forward:   y_b = sum of s_p w_k(p) over the positions p of bag b, k(p) the index there; a mean divides by how many they are;
           a maximum takes each column's largest entry, the first of equals; an empty bag gives zeros
Backward:  dw_k = sum of s_p g_b(p) over all p with k(p) = k, b(p) the bag of p;  ds_p = g_b(p) . w_k(p)
           of a maximum: dw_kj = sum of g_bj over the bags whose entry j is from row k

What is named by `padding_idx` counts as absent. IndexError for an index or offsets that are out of range.
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops.embedding_bag import MODES, EmbeddingBagOptions
from scratchnet.oracle.gather import check_range


def _positions(weight: np.ndarray, index: np.ndarray, offsets: np.ndarray, options: EmbeddingBagOptions) -> tuple:
    """Of all entries that count: position, row, bag (P,); and how many each bag has (B,)."""
    bags = len(offsets) - 1
    if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] > len(index):
        raise IndexError(f"embedding_bag: offsets must rise from 0 to at most {len(index)}, got {offsets}")
    check_range("embedding_bag", index[: offsets[-1]], weight.shape[0])
    bag = np.repeat(np.arange(bags), np.diff(offsets))
    position = np.flatnonzero(index[: offsets[-1]] != options.padding_idx)
    bag = bag[position]
    return position, index[position], bag, np.bincount(bag, minlength=bags)


@np.errstate(all="ignore")
def embedding_bag_forward(
    weight: np.ndarray, index: np.ndarray, offsets: np.ndarray, scale: np.ndarray | None, options: EmbeddingBagOptions
) -> tuple[np.ndarray, np.ndarray]:
    """y (B, D) of weight (V, D), index (N,), offsets (B + 1,) and scale (N,); which (B, D) of a maximum, else (0,)."""
    position, row, bag, count = _positions(weight, index, offsets, options)
    y = np.zeros((len(offsets) - 1, weight.shape[1]))
    if MODES[options.mode] == "max":
        which = np.full(y.shape, -1)
        for k, b in zip(row, bag, strict=True):
            more = (which[b] < 0) | (weight[k] > y[b])
            y[b], which[b] = np.where(more, weight[k], y[b]), np.where(more, k, which[b])
        return y, which
    np.add.at(y, bag, weight[row] if scale is None else weight[row] * scale[position, None])
    if MODES[options.mode] == "mean":
        y /= np.maximum(count, 1)[:, None]
    return y, np.zeros(0, np.int64)


@np.errstate(all="ignore")
def embedding_bag_backward(
    grad: np.ndarray,
    weight: np.ndarray,
    index: np.ndarray,
    offsets: np.ndarray,
    scale: np.ndarray | None,
    which: np.ndarray,
    options: EmbeddingBagOptions,
    need_weight: bool,
    need_scale: bool,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """dweight (V, D) and dscale (N,)."""
    position, row, bag, count = _positions(weight, index, offsets, options)
    dweight = np.zeros(weight.shape) if need_weight else None
    if MODES[options.mode] == "max":
        if need_weight:
            b, j = np.nonzero(which >= 0)
            np.add.at(dweight, (which[b, j], j), grad[b, j])
        return dweight, np.zeros(len(index)) if need_scale else None
    share = grad[bag] / np.maximum(count, 1)[bag, None] if MODES[options.mode] == "mean" else grad[bag]  # (P, D)
    if need_weight:
        term = share if scale is None else share * scale[position, None]
        np.add.at(dweight, row, term)
    dscale = None
    if need_scale:
        dscale = np.zeros(len(index))
        dscale[position] = (share * weight[row]).sum(-1)
    return dweight, dscale
