"""Indices that may be out of range: kernels do not follow them but set a flag.

An assertion on the device reports it without making the CPU wait.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from scratchnet.kernels import launch  # noqa: F401  decides whether Triton compiles or interprets


def error_flag(x: Tensor) -> Tensor:
    """What `load_index` sets; the launcher asserts afterwards that it is still 0."""
    return torch.zeros(1, dtype=torch.int32, device=x.device)


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
