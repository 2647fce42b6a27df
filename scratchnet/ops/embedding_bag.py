"""The description of embedding_bag: sums, means or maxima of rows of a table; and of segments of any tensor."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Example, Op, constant, indices, nbytes, normal

MODES = ("sum", "mean", "max")  # torch's own numbering


class EmbeddingBagOptions(NamedTuple):
    """mode: one of MODES, by number. padding_idx: an index that counts as absent, -1 for none."""

    mode: int
    padding_idx: int


def _cost(input: Tensor, weight: Tensor, offsets: Tensor | None = None, *args, **options) -> Cost:
    bags = input.shape[0] if offsets is None else offsets.numel()
    rows, bag = (count * weight.shape[1] * weight.element_size() for count in (input.numel(), bags))
    flops = input.numel() * weight.shape[1]
    return Cost(rows + bag + nbytes(input), rows + nbytes(input, weight), flops, flops)


def _variant(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", *args, **kwargs
) -> str:  # fmt: skip
    """A single bag is over before a thread wakes up."""
    bags = offsets.numel() if isinstance(offsets, Tensor) else input.shape[0] if input.dim() == 2 else 0
    return "one bag" if bags == 1 else mode


def _example(mode: str, weighted: bool = False, rows: bool = False, bags: int | None = None, **options) -> Example:
    """As many bags as there are rows, or `bags`: of 0 to 4 entries, or with `rows` all of 3."""

    def example(n: int, d: int, dtype: torch.dtype) -> tuple[tuple, dict]:
        kwargs: dict = {"mode": mode} | {name: value for name, value in options.items() if n or name != "padding_idx"}
        if rows:
            index, offsets = indices(n, n if bags is None else bags, 3), None
        else:
            index = indices(n, 2 * n)
            offsets = torch.randint(index.numel() + 1, (n,)).sort().values
            offsets[:1] = 0
            if options.get("include_last_offset"):
                offsets = torch.cat((offsets, torch.tensor([index.numel()])))
        if weighted:
            kwargs["per_sample_weights"] = constant(*index.shape, dtype=dtype).requires_grad_()
        return (index, normal(n, d, dtype=dtype), offsets), kwargs

    return example


EMBEDDING_BAG = Op(
    name="embedding_bag",
    primitive="gather",
    idea="the sum, mean or maximum of the rows that a bag names, without the rows in memory; backward in index order",
    # weight (V, D), index (N,), offsets (B + 1,) from 0 to at most N, scale (N,)
    inputs=("weight", "index", "offsets", "scale?"),
    options=EmbeddingBagOptions,
    outputs=("y",),
    kept=("which",),  # for a maximum: the row that each entry is from, -1 in an empty bag
    saved=("weight", "index", "offsets", "scale", "which"),
    gradients=("weight", "scale"),
    ideas={
        "cpp": ("naive loop", "whole rows in registers, threads", "SIMD maxima with their rows"),
        "cuda": ("one thread per number", "128-bit packs, a warp per dot product", "sums over a sorted index"),
        "triton": ("parallel: tiles of bags, sums over a sorted index",),
    },
    torch=F.embedding_bag,
    variant=_variant,
    cost=_cost,
    examples={
        "weighted": _example("sum", weighted=True, include_last_offset=True),
        "mean, padding": _example("mean", padding_idx=0, rows=True),
        "max": _example("max"),
        "one bag": _example("sum", rows=True, bags=1),
    },
    sizes=((100000, 64),),
)
