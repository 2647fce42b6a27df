"""The description of rope: rotary position embedding of query and key."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scratchnet.ops.op import Cost, Example, Op, indices, nbytes, normal


class RopeOptions(NamedTuple):
    """unsqueeze_dim: the axis of the heads, 1 or 2; interleaved: the pairs of a head are neighbours, not in its halves."""

    unsqueeze_dim: int
    interleaved: bool


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    """Hugging Face's formula, q * cos + rotate_half(q) * sin, for the first columns; the others stay as they are."""
    head, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    if interleaved:
        turned = torch.stack((-head[..., 1::2], head[..., ::2]), -1).flatten(-2)
    else:
        half = head.shape[-1] // 2
        turned = torch.cat((-head[..., half:], head[..., :half]), -1)
    y = (head * cos + turned * sin).to(x.dtype)
    return torch.cat((y, rest), -1) if rest.shape[-1] else y


def _rope(
    query: Tensor,
    key: Tensor,
    cos: Tensor,
    sin: Tensor,
    position_ids: Tensor | None = None,
    unsqueeze_dim: int = 1,
    interleaved: bool = False,
) -> tuple[Tensor, Tensor]:
    if position_ids is not None:
        cos, sin = (torch.embedding(table, position_ids) for table in (cos, sin))
    cos, sin = (t.expand(1, *t.shape[-2:]) if t.dim() == 2 else t for t in (cos, sin))
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    return _rotated(query, cos, sin, interleaved), _rotated(key, cos, sin, interleaved)


def _rope_cost(
    query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, position_ids: Tensor | None = None, *args, **kwargs
) -> Cost:
    moved = 2 * nbytes(query, key) + nbytes(cos, sin, position_ids)
    return Cost(moved, moved, 3 * (query.numel() + key.numel()), 3 * (query.numel() + key.numel()))


def _angles(positions: Tensor, rotary: int, interleaved: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin (*positions, rotary), of each angle twice."""
    inverse_wavelengths = 10000.0 ** (torch.arange(0, rotary, 2, dtype=torch.float64) / -max(rotary, 1))
    angles = positions[..., None] * inverse_wavelengths
    angles = angles.repeat_interleave(2, -1) if interleaved else torch.cat((angles, angles), -1)
    dtype = torch.float64 if dtype == torch.float64 else torch.float32
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _from_projections(n: int, d: int, dtype: torch.dtype) -> tuple[tuple, dict]:
    """Query and key as a view of a projection's result has them: a token's heads are side by side in memory."""
    q, k = (normal(2, n, heads, d, dtype=dtype).detach().transpose(1, 2).requires_grad_() for heads in (3, 1))
    return (q, k, *_angles(torch.arange(n), d - d % 2, False, dtype)), {}


def _interleaved(n: int, d: int, dtype: torch.dtype) -> tuple[tuple, dict]:
    """Half of each head, at positions from a table that is longer than the text."""
    rotary = d // 4 * 2
    table = _angles(torch.arange(n + 3), rotary, True, dtype)
    return (normal(2, 2, n, d, dtype=dtype), normal(2, 1, n, d, dtype=dtype), *table, indices(n + 3, 2, n)), {
        "interleaved": True
    }


def _different_angles(interleaved: bool) -> Example:
    """Any numbers in place of cosines and sines, other ones for both of a pair: the gradient is the transpose all the same."""

    def example(n: int, d: int, dtype: torch.dtype):
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        tables = (normal(2, n, d - d % 2, dtype=wide).detach() for _ in range(2))
        return (normal(2, n, 2, d, dtype=dtype), normal(2, n, 3, d, dtype=dtype), *tables, None, 2), {
            "interleaved": interleaved
        }

    return example


ROPE = Op(
    name="rope",
    primitive="rope",
    idea="pairs of each head turned by their position's angle, query and key in one pass; backward turns them back",
    # q (B, H, T, D), k (B, Hk, T, D), or axes 1 and 2 the other way round; cos and sin (B or 1, T, R), or (N, R) with
    # positions (B or 1, T); they have q's dtype or the one that is computed in
    inputs=("q", "k", "cos", "sin", "positions?"),
    options=RopeOptions,
    outputs=("q_out", "k_out"),
    saved=("cos", "sin", "positions"),
    gradients=("q", "k"),
    ideas={
        "cpp": ("naive loop", "SIMD", "threads, heads in the order of memory", "writes past the cache"),
        "cuda": ("one thread per pair", "128-bit loads, angles that stay in registers"),
        "triton": ("naive: one kernel per operation", "fused: one pass over memory"),
    },
    torch=_rope,
    variant=lambda *args, interleaved=False, **kwargs: "interleaved" if interleaved else "halves",
    cost=_rope_cost,
    examples={
        "halves": _from_projections,
        "interleaved, half of the head": _interleaved,
        "any angles": _different_angles(False),
        "any angles, interleaved": _different_angles(True),
    },
    sizes=((8192, 128), (512, 64)),
)
