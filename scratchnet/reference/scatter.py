"""scatter_add and index_add in plain PyTorch; derived in `scratchnet.oracle.scatter`."""

from __future__ import annotations

from torch import Tensor

from scratchnet.ops import DimOptions
from scratchnet.reference import widen
from scratchnet.reference.gather import gather_forward, index_errors


def scatter_add_forward(x: Tensor, src: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    """x with src added at index along `dim`; src has the shape of index, which is at most as large as x in other dims."""
    with index_errors():
        return widen(x).scatter_add(options.dim, index, widen(src)).to(x.dtype)


def scatter_add_backward(grad: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    """dsrc, of the shape of index; dx is grad."""
    return gather_forward(grad, index, options)


def index_add_forward(x: Tensor, src: Tensor, index: Tensor) -> Tensor:
    """x (K, ...) with row i of src (I, ...) added to row index[i]; index (I,)."""
    with index_errors():
        return widen(x).index_add(0, index, widen(src)).to(x.dtype)


def index_add_backward(grad: Tensor, index: Tensor) -> Tensor:
    """dsrc (I, ...); dx is grad."""
    return grad.index_select(0, index)
