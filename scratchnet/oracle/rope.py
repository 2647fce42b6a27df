"""Rotary position embedding in float64 NumPy.

Forward:   a pair (x_a, x_b) of a head is turned by an angle t of its token, as (x_a + i x_b) e^(i t) in the complex plane:
           y_a = x_a cos t - x_b sin t,    y_b = x_b cos t + x_a sin t
Backward:  the matrix [[cos, -sin], [sin, cos]] is orthogonal, its transpose turns back by t: the same with -sin
           dx_a = g_a cos t + g_b sin t,   dx_b = g_b cos t - g_a sin t

With R the map (x_a, x_b) -> (-x_b, x_a), which is Hugging Face's rotate_half, y = x cos + R(x) sin. cos and sin have a number
for each column, so that both of a pair could have their own: the transpose of R is -R, and dx = g cos - R(g sin) in any case.
IndexError for a position that is out of range.
"""

from __future__ import annotations

import numpy as np

from scratchnet.ops.rope import RopeOptions


def _quarter_turn(x: np.ndarray, interleaved: bool) -> np.ndarray:
    """(-x_b, x_a) in place of each pair (x_a, x_b)."""
    turned = np.empty_like(x)
    half = x.shape[-1] // 2
    a, b = (np.s_[..., ::2], np.s_[..., 1::2]) if interleaved else (np.s_[..., :half], np.s_[..., half:])
    turned[a], turned[b] = -x[b], x[a]
    return turned


def _table(table: np.ndarray, positions: np.ndarray | None, options: RopeOptions) -> np.ndarray:
    """cos or sin with an axis for the heads: (B or 1, 1, T, R), or (B or 1, T, 1, R)."""
    if positions is not None:
        outside = positions[(positions < 0) | (positions >= len(table))]
        if outside.size:
            raise IndexError(f"rope: position {outside[0]} is out of range: it must be from 0 to {len(table) - 1}")
        table = table[positions]
    return np.expand_dims(table, options.unsqueeze_dim)


@np.errstate(all="ignore")
def rope_forward(
    q: np.ndarray, k: np.ndarray, cos: np.ndarray, sin: np.ndarray, positions: np.ndarray | None, options: RopeOptions
) -> tuple[np.ndarray, np.ndarray]:
    """q (B, H, T, D) and k (B, Hk, T, D), turned in their first R columns; unsqueeze_dim 2 has axes 1 and 2 exchanged."""
    c, s = (_table(table, positions, options) for table in (cos, sin))

    def turned(x: np.ndarray) -> np.ndarray:
        head, rest = np.split(x, [c.shape[-1]], axis=-1)
        return np.concatenate([head * c + _quarter_turn(head, options.interleaved) * s, rest], axis=-1)

    return turned(q), turned(k)


@np.errstate(all="ignore")
def rope_backward(
    grad_q_out: np.ndarray,
    grad_k_out: np.ndarray,
    cos: np.ndarray,
    sin: np.ndarray,
    positions: np.ndarray | None,
    options: RopeOptions,
    need_q: bool,
    need_k: bool,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """dq and dk (shapes of q and k) of `rope_forward`."""
    c, s = (_table(table, positions, options) for table in (cos, sin))

    def turned_back(grad: np.ndarray) -> np.ndarray:
        head, rest = np.split(grad, [c.shape[-1]], axis=-1)
        return np.concatenate([head * c - _quarter_turn(head * s, options.interleaved), rest], axis=-1)

    return turned_back(grad_q_out) if need_q else None, turned_back(grad_k_out) if need_k else None
