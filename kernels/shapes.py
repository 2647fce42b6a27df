"""Tensors seen as rows and columns, for kernels that treat each row alike."""

from __future__ import annotations

import math

from torch import Tensor

from scratchnet.kernels.launch import statistics


def rows_and_columns(x: Tensor, ndim: int) -> tuple[int, int]:
    """The size of x as a matrix whose rows are its last `ndim` axes."""
    columns = math.prod(x.shape[x.dim() - ndim :])
    return (x.numel() // columns if columns else 0), columns


def row_statistic(x: Tensor, ndim: int) -> Tensor:
    """Memory for one number per row, (..., 1 * ndim); it holds NaN for rows without elements, whose mean is 0 / 0."""
    saved = statistics(x, *x.shape[: x.dim() - ndim], *[1] * ndim)
    return saved if x.numel() else saved.fill_(math.nan)
