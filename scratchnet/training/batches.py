"""Mini-batches."""

from __future__ import annotations

from typing import Iterator

import torch
from torch import Tensor


class Batches:
    """The mini-batches (x, y) of two tensors, one pass per iteration; the last one may be smaller.

    They are like those of `DataLoader(TensorDataset(x, y), batch_size, shuffle=True)`, but sliced from the tensors rather than
    collected sample by sample, which takes longer than a small model's step. `seed` draws a new order for every pass; None
    keeps the order of the data. ValueError for tensors that do not fit.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int | None = None) -> None:
        if len(x) != len(y) or not len(x):
            raise ValueError(f"Batches: x and y must have the same number of rows, at least one, not {len(x)} and {len(y)}")
        if batch_size < 1:
            raise ValueError(f"Batches: batch_size must be at least 1, not {batch_size}")
        self.x, self.y, self.batch_size = x, y, batch_size
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """How many batches a pass has."""
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.generator is None:
            yield from zip(self.x.split(self.batch_size), self.y.split(self.batch_size), strict=True)
            return
        for index in torch.randperm(len(self.x), generator=self.generator).split(self.batch_size):
            yield self.x[index], self.y[index]
