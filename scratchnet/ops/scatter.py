"""The description of scatter_add and index_add: gather's backward, and an embedding's, with an initial value."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.ops.gather import IDEAS
from scratchnet.ops.op import Cost, DimOptions, Op, indices, nbytes, normal


def _cost(input: Tensor, dim: int, index: Tensor, src: Tensor, **kwargs) -> Cost:
    return Cost(nbytes(input, input, index, src), nbytes(input, index, src), src.numel(), 0)


def _call(x: Tensor, dim: int, index: Tensor) -> tuple[tuple, dict]:
    return (x, dim, index, normal(*index.shape, dtype=x.dtype)), {}


SCATTER_ADD = Op(
    name="scatter_add",
    primitive="gather",
    idea="y[index[i][j]][j] += src[i][j]: gather's backward with an initial value; in index order, the same bits always",
    inputs=("x", "src", "index"),
    options=DimOptions,
    outputs=("y",),
    saved=("index",),
    gradients=("src",),  # that of x is the incoming one
    ideas=IDEAS,
    torch=torch.scatter_add,
    variant=lambda input, dim, *args, **kwargs: "last dim" if dim in (-1, input.dim() - 1) else "another dim",
    cost=_cost,
    examples={
        "dim 0": lambda n, d, dtype: _call(normal(n, d, dtype=dtype), 0, indices(n, 2 * n, d)),
        "middle dim, smaller index": lambda n, d, dtype: _call(normal(3, n, d, dtype=dtype), 1, indices(n, 2, n, d - d // 3)),
        "rows": lambda n, d, dtype: _call(
            normal(n, d, dtype=dtype),
            0,
            indices(n, 2 * n).unsqueeze(1).expand(2 * n, d),  # as it is often written
        ),
    },
    sizes=((4096, 4096),),
)

INDEX_ADD = Op(
    name="index_add",
    primitive="gather",
    idea="row i of src added to row index[i]: an embedding's backward with an initial value; the same bits always",
    inputs=("x", "src", "index"),
    outputs=("y",),
    saved=("index",),
    gradients=("src",),  # that of x is the incoming one
    ideas=IDEAS,
    torch=torch.index_add,
    cost=_cost,
    examples={
        "dim 0": lambda n, d, dtype: ((normal(n, d, dtype=dtype), 0, indices(n, 2 * n), normal(2 * n, d, dtype=dtype)), {}),
        "middle dim, alpha": lambda n, d, dtype: (
            (normal(2, n, d, dtype=dtype), 1, indices(n, 2 * n), normal(2, 2 * n, d, dtype=dtype)),
            {"alpha": 0.5},
        ),
    },
    sizes=((100000, 64),),
)
