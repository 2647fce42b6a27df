"""Gather and embedding in plain PyTorch; their backward is scatter-add, derived in `scratchnet.oracle.gather`."""

from __future__ import annotations

import contextlib
from typing import Iterator

import torch
from torch import Tensor

from scratchnet.ops import DimOptions
from scratchnet.ops.gather import EmbeddingOptions
from scratchnet.reference import widen


@contextlib.contextmanager
def index_errors() -> Iterator[None]:
    """torch's RuntimeError for an index out of range as the IndexError that the kernels of all columns raise."""
    try:
        yield
    except RuntimeError as error:
        if "out of bounds" not in str(error):
            raise
        raise IndexError(str(error)) from error


def gather_forward(x: Tensor, index: Tensor, options: DimOptions) -> Tensor:
    """x at index along `dim`, in the shape of index, which is at most as large as x in other dims; a scalar counts as (1,)."""
    with index_errors():
        return x.gather(options.dim, index)


def gather_backward(grad: Tensor, shape: list[int], index: Tensor, options: DimOptions) -> Tensor:
    """dx, of the given shape."""
    wide = widen(grad)
    return wide.new_zeros(shape).scatter_add(options.dim, index, wide).to(grad.dtype)


def embedding_forward(weight: Tensor, index: Tensor, options: EmbeddingOptions) -> Tensor:
    """Rows of weight (V, D) at index, any shape: (*index.shape, D). The options matter only to the gradient."""
    return torch.embedding(weight, index, options.padding_idx, options.scale_grad_by_freq)


def embedding_backward(grad: Tensor, index: Tensor, num_embeddings: int, options: EmbeddingOptions) -> Tensor:
    """dweight (V, D); padding_idx -1 means none."""
    wide = widen(grad).where((index != options.padding_idx).unsqueeze(-1), 0.0)  # (*index.shape, D)
    row = index.reshape(-1)  # (I,)
    wide = wide.reshape(row.shape[0], grad.shape[-1])
    if options.scale_grad_by_freq:
        count = wide.new_zeros(num_embeddings).scatter_add(0, row, wide.new_ones(row.shape))
        wide = wide / count.index_select(0, row).unsqueeze(-1)
    dweight = wide.new_zeros(num_embeddings, grad.shape[-1])
    return dweight.scatter_add(0, row.unsqueeze(-1).expand_as(wide), wide).to(grad.dtype)
