"""The description of dropout: with a seed in place of a saved mask, and with a residual."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Example, Op, nbytes, normal

ROW_BITS = 32  # a tensor is rows of 2^32 elements for the generator: nearly always a single one


class DropoutOptions(NamedTuple):
    """p: the share that is dropped."""

    p: float


def threshold_and_factor(p: float) -> tuple[int, float]:
    """An element whose 32 random bits are at least the threshold is kept, times the factor."""
    return min(int(p * 2**32), 2**32 - 1), 1 / (1 - p) if p < 1 else 0.0


def factors(seed: Tensor, rows: int, columns: int, p: float, dtype: torch.dtype) -> Tensor:
    """z (rows, columns), 0 or 1 / (1 - p)."""
    threshold, factor = threshold_and_factor(p)
    return (random_bits(seed, rows, columns) >= threshold).to(dtype) * factor


def random_bits(seed: Tensor, rows: int, columns: int) -> Tensor:
    """32 random bits for each place (rows, columns): those of csrc/ops/dropout.h, in wrapping 64-bit integers."""
    count = lambda n: torch.arange(n, device=seed.device)
    x = seed.reshape(()) + (count(rows) + 1) * (0x9E3779B97F4A7C15 - 2**64)
    x = (x ^ _shifted(x, 30, 64)) * (0xBF58476D1CE4E5B9 - 2**64)
    x = (x ^ _shifted(x, 27, 64)) * (0x94D049BB133111EB - 2**64)
    x = (x ^ _shifted(x, 31, 64)).view(rows, 1)
    bits = 2**32 - 1
    low, high = x & bits, _shifted(x, 32, 64)
    x = (count(columns) + low) & bits
    x = ((x ^ _shifted(x, 16, 32)) * 0x7FEB352D & bits) ^ high
    x = (x ^ _shifted(x, 15, 32)) * 0x846CA68B & bits
    return x ^ _shifted(x, 16, 32)


def _shifted(x: Tensor, by: int, width: int) -> Tensor:
    """x >> by without its sign."""
    return (x >> by) & (2 ** (width - by) - 1)


def factors_like(x: Tensor, seed: Tensor, p: float) -> Tensor:
    """z of a whole tensor, in the dtype that it is computed in."""
    rows, columns = -(-x.numel() // 2**ROW_BITS), min(x.numel(), 1 << ROW_BITS)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return factors(seed, rows, columns, p, dtype).flatten()[: x.numel()].view(x.shape)


def _summed(y: Tensor, residual: Tensor | None) -> Tensor:
    return y if residual is None else y + residual


def _dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    residual: Tensor | None = None,
    seed: Tensor | None = None,
) -> Tensor:
    """torch's own; the mask of a seed in torch's operations."""
    if seed is None or not training or p == 0:
        return _summed(F.dropout(input, p, training, inplace), residual)
    y = _summed((input * factors_like(input, seed, p)).to(input.dtype), residual)
    return input.copy_(y) if inplace else y


def _timed(input: Tensor, p: float = 0.5, *, residual: Tensor | None = None, seed: Tensor | None = None) -> Tensor:
    return _summed(F.dropout(input, p), residual)


def _cost(input: Tensor, *args, residual: Tensor | None = None, **kwargs) -> Cost:
    return Cost(2 * nbytes(input) + nbytes(residual), 2 * nbytes(input), 10 * input.numel(), 10 * input.numel())


def _example(p: float, residual: bool = False) -> Example:
    def example(n: int, d: int, dtype: torch.dtype):
        x, kwargs = normal(n, d, dtype=dtype), {"seed": torch.tensor(7)}
        return (x, p), {"residual": normal(n, d, dtype=dtype), **kwargs} if residual else kwargs

    return example


DROPOUT = Op(
    name="dropout",
    primitive="layer_norm",
    idea="z * x + residual in one pass, z 0 or 1 / (1 - p) from a seed and the element's place: no mask is saved",
    inputs=("x", "residual?", "seed"),  # seed: one int64
    options=DropoutOptions,
    outputs=("y",),
    saved=("seed",),
    gradients=("x",),  # that of the residual is the incoming one
    ideas={
        "cpp": ("naive loop", "SIMD, a register of random numbers at a time", "threads"),
        "cuda": ("one thread per element", "128-bit loads"),
        "triton": ("fused: one pass over memory",),
    },
    torch=_dropout,
    timed=_timed,
    cost=_cost,
    examples={"plain": _example(0.3), "residual": _example(0.1, residual=True)},
    sizes=((4096, 4096), (1024, 3072)),
)
