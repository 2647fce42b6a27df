"""Rotary position embedding in plain PyTorch; derived in `scratchnet.oracle.rope`."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.ops.rope import RopeOptions
from scratchnet.reference import widen


def _quarter_turn(x: Tensor, interleaved: bool) -> Tensor:
    """(-x_b, x_a) in place of each pair (x_a, x_b)."""
    if interleaved:
        return torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), -1)


def _table(table: Tensor, positions: Tensor | None, options: RopeOptions) -> Tensor:
    """cos or sin with an axis for the heads: (B or 1, 1, T, R), or (B or 1, T, 1, R)."""
    table = widen(table)
    if positions is not None:
        table = torch.embedding(table, positions)  # IndexError for a position that is out of range
    return table.unsqueeze(options.unsqueeze_dim)


def rope_forward(
    q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None, options: RopeOptions
) -> tuple[Tensor, Tensor]:
    """q (B, H, T, D) and k (B, Hk, T, D), turned in their first R columns; unsqueeze_dim 2 has axes 1 and 2 exchanged."""
    c, s = _table(cos, positions, options), _table(sin, positions, options)

    def turned(x: Tensor) -> Tensor:
        head, rest = x[..., : c.shape[-1]], x[..., c.shape[-1] :]
        wide = widen(head)
        return torch.cat([(wide * c + _quarter_turn(wide, options.interleaved) * s).to(x.dtype), rest], -1)

    return turned(q), turned(k)


def rope_backward(
    grad_q_out: Tensor,
    grad_k_out: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Tensor | None,
    options: RopeOptions,
    need_q: bool,
    need_k: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """dq and dk (shapes of q and k) of `rope_forward`."""
    c, s = _table(cos, positions, options), _table(sin, positions, options)

    def turned_back(grad: Tensor) -> Tensor:
        head, rest = grad[..., : c.shape[-1]], grad[..., c.shape[-1] :]
        wide = widen(head)
        return torch.cat([(wide * c - _quarter_turn(wide * s, options.interleaved)).to(grad.dtype), rest], -1)

    return turned_back(grad_q_out) if need_q else None, turned_back(grad_k_out) if need_k else None
