"""Indices that may be out of range: kernels do not follow them but set a flag."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels import launch  # noqa: F401  decides whether Triton compiles or interprets


def error_flag(x: Tensor) -> Tensor:
    """What `load_index` sets; `check` looks at it afterwards."""
    return torch.zeros(1, dtype=torch.int32, device=x.device)


def check(bad: Tensor) -> None:
    """IndexError if the flag is set; on a GPU an assertion on the device, which does not make the CPU wait."""
    if not bad.is_cpu:
        torch._assert_async(bad == 0)
    elif bad.any():
        raise IndexError("index out of range: it must be from 0 to size - 1")


@triton.jit
def load_index(index, bad, i, count, n):
    """The indices at places i, and which of them are between 0 and n - 1."""
    at = tl.load(index + i, mask=i < count, other=0)
    valid = (i < count) & (at >= 0) & (at < n)
    tl.store(bad + i * 0, 1, mask=(i < count) & ~valid)
    return at, valid


def narrowed(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """x without what gather never reads: in every dimension but dim, only as much as index has."""
    return x[tuple(slice(None) if axis == dim else slice(size) for axis, size in enumerate(index.shape))]


def rows_of_tokens(positions: Tensor | None, table: Tensor, tokens: int) -> Tensor:
    """The row of a table (..., R) for each token, (B or 1, T): its position; without positions, one row after the other."""
    if positions is not None:
        return positions.contiguous()
    return torch.arange(table.shape[0] * tokens, device=table.device).view(table.shape[0], tokens)


@triton.jit
def token_row(rows, bad, row, count, batches, heads, tokens, table, TOKENS_FIRST: tl.constexpr):
    """Of rows of (B, H, T, D) or, TOKENS_FIRST, (B, T, H, D): what `rows_of_tokens` has for them, and which of it is valid."""
    token = row // heads % tokens if TOKENS_FIRST else row % tokens
    batch = row // (heads * tokens) % batches
    place = tl.where(row < count, batch * tokens + token, batches * tokens)
    return load_index(rows, bad, place, batches * tokens, table)
