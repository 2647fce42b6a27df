"""The description of gather and embedding."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, DimOptions, Example, Op, indices, nbytes, normal


class EmbeddingOptions(NamedTuple):
    """Only backward uses them. padding_idx -1: none."""

    padding_idx: int
    scale_grad_by_freq: bool


IDEAS = {
    "cpp": (
        "naive loop",
        "whole rows, as memory has them",
        "cache blocks",
        "threads",
        "checks ahead, writes past the cache",
        "sums of tall tables in bins",
        "rows of an embedding summed in registers",
    ),
    "cuda": ("one thread per element", "128-bit copies", "sums by atomics", "reproducible sums over a sorted index"),
    "triton": ("parallel: whole rows, atomics or sums over a sorted index",),
}


def _gather_cost(x: Tensor, dim: int, index: Tensor) -> Cost:
    moved = index.numel() * x.element_size()
    return Cost(2 * moved + nbytes(index), moved + nbytes(index, x), 0, index.numel())


def _gather_passes(sums: bool, checked: bool) -> Callable[..., Cost]:
    """sums: in a tensor as large as x, which is filled with zeros, added to, read; checked: the index is read once before."""

    def cost(x: Tensor, dim: int, index: Tensor) -> Cost:
        least, moved = _gather_cost(x, dim, index), index.numel() * x.element_size()
        again = checked * nbytes(index)
        backward = least.backward_bytes + again + sums * (2 * nbytes(x) + checked * 2 * moved)
        return replace(least, forward_bytes=least.forward_bytes + again, backward_bytes=backward)

    return cost


GATHER = Op(
    name="gather",
    primitive="gather",
    idea="y[i][j] = x[index[i][j]][j] in blocks of columns that stay in cache; backward adds in index order: same bits always",
    inputs=("x", "index"),
    options=DimOptions,
    outputs=("y",),
    saved=("shape: SymInt[]", "index"),  # the shape of x
    gradients=("x",),
    ideas=IDEAS
    | {
        "triton": (
            "naive: one program per block of columns, row after row",
            "elements: all elements at once, atomics",
            *IDEAS["triton"],
        )
    },
    torch=torch.gather,
    variant=lambda input, dim, *args, **kwargs: "last dim" if dim in (-1, input.dim() - 1) else "another dim",
    cost=_gather_cost,
    # Rung 1 fills dx with zeros, reads a column of it and writes its sums; rung 2 sums beside dx.
    passes={
        "cpp:1": _gather_passes(sums=True, checked=False),
        "cpp:2": _gather_passes(sums=True, checked=True),
        "cpp:3": _gather_passes(sums=False, checked=True),
        "cpp:5": _gather_cost,
    },
    examples={
        "dim 0": lambda n, d, dtype: ((normal(n, d, dtype=dtype), 0, indices(n, n, d)), {}),
        "dim 1": lambda n, d, dtype: ((normal(n, d, dtype=dtype), 1, indices(d, n, d)), {}),
        "middle dim, smaller index": lambda n, d, dtype: (
            (normal(3, n, d, dtype=dtype), 1, indices(n, 2, 2 * n, d - d // 3)),
            {},
        ),
    },
    sizes=((4096, 4096),),
)


def _embedding_cost(index: Tensor, weight: Tensor, *args, **kwargs) -> Cost:
    moved = index.numel() * weight.shape[1] * weight.element_size()
    return Cost(2 * moved + nbytes(index), moved + nbytes(index, weight), 0, index.numel() * weight.shape[1])


def _embedding_example(**options) -> Example:
    return lambda n, d, dtype: ((indices(n, 2 * n, 3), normal(n, d, dtype=dtype)), {k: v for k, v in options.items() if n})


EMBEDDING = Op(
    name="embedding",
    primitive="gather",
    idea="copy row index[i] of the weight; backward adds rows in index order: the same bits every run",
    inputs=("weight", "index"),
    options=EmbeddingOptions,
    outputs=("y",),
    saved=("index", "num_embeddings: SymInt"),
    gradients=("weight",),
    ideas=IDEAS,
    torch=F.embedding,
    cost=_embedding_cost,
    examples={
        "plain": _embedding_example(),
        "padding_idx": _embedding_example(padding_idx=0),
        "scale_grad_by_freq": _embedding_example(scale_grad_by_freq=True),
    },
    sizes=((32000, 512),),
)
