"""embedding_bag in plain PyTorch; derived in `scratchnet.oracle.embedding_bag`."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.ops.embedding_bag import MODES, EmbeddingBagOptions
from scratchnet.reference import widen
from scratchnet.reference.gather import index_errors


def _places(index: Tensor, offsets: Tensor, rows: int, options: EmbeddingBagOptions) -> tuple[Tensor, Tensor]:
    """The bag (N,) and the row (N,) of each entry: B and V, one too many, for those that do not count."""
    bags, n = offsets.shape[0] - 1, index.shape[0]
    marks = index.new_zeros(n + 1).scatter_add(0, offsets[1:], torch.ones_like(offsets[1:]))  # where a bag ends
    bag = marks.cumsum(0)[:n]  # how many bags end before each entry
    counts = (bag < bags) & (index != options.padding_idx)
    return bag.where(counts, bags), index.where(counts, rows)


def _with_zeros(weight: Tensor) -> Tensor:
    """A row more, for what does not count."""
    return torch.cat((weight, weight.new_zeros(1, weight.shape[1])))


def _shares(bag: Tensor, bags: int, like: Tensor) -> Tensor:
    """One divided by the number of entries (B + 1, 1) of each bag."""
    count = like.new_zeros(bags + 1).index_add(0, bag, like.new_ones(bag.shape))
    return 1 / count.clamp(min=1).unsqueeze(1)


def _largest(table: Tensor, bag: Tensor, row: Tensor, bags: int) -> Tensor:
    """The row (B, D) of the first largest entry of each bag in each column, -1 in an empty one. NaN wins where it is first."""
    n, columns = row.shape[0], table.shape[1]
    position = torch.arange(n, device=row.device)
    values = table.index_select(0, row)  # (N, D)
    first = bag.new_full((bags + 1,), n).scatter_reduce(0, bag, position, "amin").index_select(0, bag)
    wins = values.isnan() & (position == first).unsqueeze(1)
    values = values.where(~values.isnan(), -torch.inf)
    to = bag.unsqueeze(1).expand(n, columns)
    top = values.new_full((bags + 1, columns), -torch.inf).scatter_reduce(0, to, values, "amax")
    first_top = position.unsqueeze(1).where((values == top.index_select(0, bag)) & ~wins, n).where(~wins, -1)
    at = bag.new_full((bags + 1, columns), n).scatter_reduce(0, to, first_top, "amin")
    at = bag.new_full((bags + 1,), n).scatter_reduce(0, bag, position, "amin").unsqueeze(1).where(at < 0, at)[:bags]
    rows = torch.cat((row, row.new_full((1,), -1)))
    return rows.index_select(0, at.reshape(-1)).view(bags, columns)


def embedding_bag_forward(
    weight: Tensor, index: Tensor, offsets: Tensor, scale: Tensor | None, options: EmbeddingBagOptions
) -> tuple[Tensor, Tensor]:
    """y (B, D) of weight (V, D), index (N,), offsets (B + 1,) and scale (N,); which (B, D) of a maximum, else (0,)."""
    bags, (rows, columns) = offsets.shape[0] - 1, weight.shape
    with index_errors():
        bag, row = _places(index, offsets, rows, options)
        table = _with_zeros(widen(weight))
        if MODES[options.mode] == "max":
            which = _largest(table.detach(), bag, row, bags)
            return table.gather(0, which.where(which >= 0, rows)).to(weight.dtype), which
        terms = table.index_select(0, row)  # (N, D)
        terms = terms if scale is None else terms * widen(scale).where(bag < bags, 0.0).unsqueeze(1)
        y = terms.new_zeros(bags + 1, columns).index_add(0, bag, terms)
    if MODES[options.mode] == "mean":
        y = y * _shares(bag, bags, y)
    return y[:bags].to(weight.dtype), index.new_empty(0)


def embedding_bag_backward(
    grad: Tensor,
    weight: Tensor,
    index: Tensor,
    offsets: Tensor,
    scale: Tensor | None,
    which: Tensor,
    options: EmbeddingBagOptions,
    need_weight: bool,
    need_scale: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """dweight (V, D) and dscale (N,)."""
    bags, (rows, columns) = offsets.shape[0] - 1, weight.shape
    bag, row = _places(index, offsets, rows, options)
    share, dweight, dscale = _with_zeros(widen(grad)), None, None
    into = share.new_zeros(rows + 1, columns)
    if MODES[options.mode] == "max":
        dweight = into.scatter_add(0, which.where(which >= 0, rows), share[:bags])
    else:
        share = share * _shares(bag, bags, share) if MODES[options.mode] == "mean" else share
        share = share.index_select(0, bag)  # (N, D)
        terms = share if scale is None else share * widen(scale).where(bag < bags, 0.0).unsqueeze(1)
        dweight = into.index_add(0, row, terms)
        if need_scale:
            dscale = (share * _with_zeros(widen(weight)).index_select(0, row)).sum(-1).to(grad.dtype)
    return dweight[:rows].to(grad.dtype) if need_weight else None, dscale
