"""Sums by index in what is there: the sums of a gather's and of an embedding's backward, which begin with x.

    scatter_add   y[k] = x[k] + sum of src[i] over the i with index[i] = k         dsrc[i] = dy[index[i]]: gather
    index_add     the same of whole rows                                           dsrc[i] = dy[index[i]]: embedding

The kernels are those of gather: they add with atomics, in float32 for 16-bit types, or under torch.use_deterministic_algorithms
over a sorted index. dx is dy.

              passes over memory                                     bytes (N entries of src, M of x, b bytes each)
    forward   copy x, wide; read index and src, add to it; round     N (8 + b) + 2 * 4 N + M (2 b + 2 * 4)
    backward  read index, and dy where it points; write dsrc         N (8 + 2 b);  rows of D columns N (8 / D + 2 b)
"""

from __future__ import annotations

import math

from torch import Tensor

from scratchnet.kernels.gather.parallel import embedding_forward, gather_forward
from scratchnet.kernels.row_sums import add_rows, added_up
from scratchnet.ops import DimOptions
from scratchnet.ops.gather import EmbeddingOptions


def scatter_add_forward(x: Tensor, src: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    return added_up(src, list(x.shape), index, options.dim, x)


def scatter_add_backward(grad: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    return gather_forward(grad, index, options)


def _rows(x: Tensor) -> Tensor:
    """x (N, ...) as a matrix."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def index_add_forward(x: Tensor, src: Tensor, index: Tensor) -> Tensor:
    return add_rows(_rows(src), index, x.shape[0], base=_rows(x)).view(x.shape)


def index_add_backward(grad: Tensor, index: Tensor) -> Tensor:
    rows = embedding_forward(_rows(grad), index, EmbeddingOptions(-1, False))
    return rows.view(index.shape[0], *grad.shape[1:])
