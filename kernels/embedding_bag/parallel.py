"""embedding_bag: a tile of bags and columns for each program, the gradient of the table over a sorted index.

    sum, mean   y[b] = share sum of scale[p] weight[index[p]] over the p of bag b       share: 1, or 1 / number of entries
                dweight[k] = sum of share scale[p] dy[bag of p] over the p with index[p] = k
                dscale[p] = share dy[bag of p] . weight[index[p]]
    max         y[b][j] = the largest weight[index[p]][j], the first of equals; dweight of its row adds up dy[b][j]

Backward finds the bag of each entry and sorts the index; one program adds up in order all that belongs to a row of the table:
the same bits every run. The gradient of a maximum is a gather's, with atomics unless torch.use_deterministic_algorithms is on.

              passes over memory                               bytes (N entries, B bags, V rows of D numbers, b bytes each)
    forward   read index and the rows it names; write y        N (8 + D b) + B (8 + D b)
    backward  read dy for each entry, add to zeros: dweight    N D b + 2 V D b, and lists of N entries around the sort
    of scale  read rows of dy and weight for each entry        2 N D b + N b
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels.gather.parallel import gather_backward
from scratchnet.kernels.indices import check, error_flag, load_index
from scratchnet.kernels.launch import accumulator, launch, statistics
from scratchnet.kernels.row_sums import row_grid, row_tile, sum_sorted_kernel
from scratchnet.ops import DimOptions
from scratchnet.ops.embedding_bag import MODES, EmbeddingBagOptions

# ---- forward ------------------------------------------------------------------------------------------------------------


@triton.jit
def bags_kernel(
    weight, index, offsets, scale,  # (n, columns), (entries), (bags + 1), (entries) or None
    y, which, bad,  # (bags, columns), the same for a maximum or None, (1)
    bags, columns, n, entries, padding,
    MEAN: tl.constexpr, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    bag = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = tl.program_id(1).to(tl.int64) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    position = tl.load(offsets + bag, mask=bag < bags, other=0)
    last = tl.load(offsets + bag + 1, mask=bag < bags, other=0)
    fits = (position >= 0) & (position <= last) & (last <= entries) & ((bag > 0) | (position == 0))
    tl.store(bad + bag * 0, 1, mask=~fits)
    last = tl.where(fits, last, position)
    total = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    row = tl.full([BLOCK_ROWS, BLOCK_COLUMNS], -1, tl.int64)
    count = tl.zeros([BLOCK_ROWS], tl.int32)
    while tl.max((position < last).to(tl.int32), 0) > 0:
        at, valid = load_index(index, bad, position, last, n)
        counts = valid & (at != padding)
        mask = counts[:, None] & (column < columns)[None, :]
        value = tl.load(weight + at[:, None] * columns + column[None, :], mask=mask, other=0).to(ACC)
        if which is not None:
            more = mask & ((row < 0) | (value > total))
            total = tl.where(more, value, total)
            row = tl.where(more, at[:, None], row)
        else:
            if scale is not None:
                value = value * tl.load(scale + position, mask=counts, other=0).to(ACC)[:, None]
            total += value
        count += counts.to(tl.int32)
        position += 1
    if MEAN:
        total = total / tl.maximum(count, 1).to(ACC)[:, None]
    to = bag[:, None] * columns + column[None, :]
    inside = (bag < bags)[:, None] & (column < columns)[None, :]
    tl.store(y + to, total.to(y.dtype.element_ty), mask=inside)
    if which is not None:
        tl.store(which + to, row, mask=inside)


def embedding_bag_forward(
    weight: Tensor, index: Tensor, offsets: Tensor, scale: Tensor | None, options: EmbeddingBagOptions
) -> tuple[Tensor, Tensor]:
    weight, index, offsets, bad = weight.contiguous(), index.contiguous(), offsets.contiguous(), error_flag(weight)
    scale = scale if scale is None else scale.contiguous()
    bags, (n, columns) = offsets.shape[0] - 1, weight.shape
    y, tile = weight.new_empty(bags, columns), row_tile(columns)
    which = index.new_empty(bags, columns) if MODES[options.mode] == "max" else None
    sizes, how = (bags, columns, n, index.shape[0], options.padding_idx), {"MEAN": MODES[options.mode] == "mean"}
    grid = row_grid(bags, columns, tile)
    launch(bags_kernel, grid, weight, index, offsets, scale, y, which, bad, *sizes, ACC=accumulator(weight), **how, **tile)
    check(bad)
    return y, index.new_empty(0) if which is None else which


# ---- backward -----------------------------------------------------------------------------------------------------------


@triton.jit
def dots_kernel(
    grad, weight, bag, row, share, dscale,  # (bags, columns), (n, columns), (entries) twice, (bags + 1) or None, (entries)
    entries, columns, n, ACC: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    at = tl.load(row + i, mask=i < entries, other=n)
    counts = (at >= 0) & (at < n)
    b = tl.load(bag + i, mask=counts, other=0)
    products = tl.zeros([BLOCK_ROWS, BLOCK_COLUMNS], ACC)
    for start in range(0, columns, BLOCK_COLUMNS):
        column = start + tl.arange(0, BLOCK_COLUMNS).to(tl.int64)
        mask = counts[:, None] & (column < columns)[None, :]
        g = tl.load(grad + b[:, None] * columns + column[None, :], mask=mask, other=0).to(ACC)
        products += g * tl.load(weight + at[:, None] * columns + column[None, :], mask=mask, other=0).to(ACC)
    total = tl.sum(products, 1)
    if share is not None:
        total = total * tl.load(share + b, mask=counts, other=0).to(ACC)
    tl.store(dscale + i, total.to(dscale.dtype.element_ty), mask=i < entries)


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
    (rows, columns), bags, entries = weight.shape, offsets.shape[0] - 1, index.shape[0]
    if MODES[options.mode] == "max":  # one row more, for what is from none
        from_row = which.where(which >= 0, rows)
        return gather_backward(grad, [rows + 1, columns], from_row, DimOptions(0))[:rows] if need_weight else None, None
    grad, weight, tile = grad.contiguous(), weight.contiguous(), row_tile(columns)
    how = {"ACC": accumulator(grad), **tile}
    entry = torch.arange(entries, device=index.device)
    bag = torch.searchsorted(offsets[1:].contiguous(), entry, right=True)  # how many end before the entry
    counts = (bag < bags) & (index != options.padding_idx)
    exists = (bag >= bags) | (index >= 0) & (index < rows)
    row = torch.where(counts, index, rows).where(exists, -1)  # what does not count is from a row behind the last
    share = dweight = dscale = None
    if MODES[options.mode] == "mean":
        count = index.new_zeros(bags + 1).scatter_add(0, bag, counts.long())
        share = statistics(grad, bags + 1).copy_(count.clamp(min=1)).reciprocal()
    if need_scale:
        dscale, grid = grad.new_empty(entries), (triton.cdiv(entries, tile["BLOCK_ROWS"]),)
        launch(dots_kernel, grid, grad, weight, bag, row, share, dscale, entries, columns, rows, **how)
    if need_weight:
        factor = statistics(grad, entries).copy_(1 if scale is None else scale)
        factor = factor if share is None else factor * share[bag]
        fits = (offsets[0] == 0) & (offsets.diff() >= 0).all() & (offsets[-1] <= entries)
        dweight, bad, (row, order) = grad.new_zeros(rows, columns), (~fits).int().view(1), row.sort(stable=True)
        tensors, sizes = (grad, row, bag[order], factor[order], None, dweight, bad), (entries, columns, rows + 1, rows)
        launch(sum_sorted_kernel, row_grid(entries, columns, tile), *tensors, *sizes, ADDS=False, **how)
        check(bad)
    return dweight, dscale
