"""One layer of an RNN, LSTM or GRU in float64 NumPy, in one direction over packed sequences.

Packed: the rows of step 0, one for each sequence, then those of step 1, ...; sequences are sorted by length, the longest
first, and batch_sizes says how many have step t. A sequence's state changes only in its own steps, in reverse from its last
one to its first.

Forward, with u = W_ih x + b_ih for all steps at once, v = W_hh h + b_hh for the state h of the step before, s the sigmoid:

    RNN    h' = tanh(u + v), or relu
    LSTM   i, f, o = s(u + v), g = tanh(u + v) (quarters i, f, g, o);   c' = f c + i g;   m = o tanh(c');   h' = W_hr m, or m
    GRU    r, z = s(u + v),  n = tanh(u_n + r v_n) (its thirds r, z, n);    h' = n + z (h - n)

Backward goes through the steps in the opposite order with dh and dc, the gradients of the state from later steps. With
s' = s (1 - s), tanh' = 1 - tanh^2, and dh' = dh + the gradient of this step's output:

    RNN    du = dv = dh' (1 - h'^2)
    LSTM   dm = W_hr^T dh';  dc' = dc + dm o (1 - tanh(c')^2);  dc = dc' f
           du = dv = [dc' g i (1 - i),  dc' c f (1 - f),  dc' i (1 - g^2),  dm tanh(c') o (1 - o)]
    GRU    du_n = dh' (1 - z) (1 - n^2),  dv_n = du_n r,  du_r = dv_r = du_n v_n r (1 - r),  du_z = dv_z = dh' (h - n) z (1 - z)
    all    dh = W_hh^T dv, for a GRU + dh' z

and after the last step, as products over all rows: dW_ih = du^T x, dW_hh = dv^T h, db_ih = sum of du, db_hh = sum of dv,
dx = du W_ih, dW_hr = dh'^T m.

LSTM: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000. GRU: Cho et al.,
https://arxiv.org/abs/1406.1078, with the reset gate after the product, as in torch.nn.GRU.
"""

from __future__ import annotations

from typing import Iterator

import numpy as np

from scratchnet.ops import RECURRENCES
from scratchnet.ops.recurrence import RecurrenceOptions


def _sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def _rows(x: np.ndarray, batch_sizes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """x packed, and its batch_sizes: those of x (T, B, I) are all B."""
    if batch_sizes is None:
        return x.reshape(x.shape[0] * x.shape[1], x.shape[2]), np.full(x.shape[0], x.shape[1])
    return x, batch_sizes


def _steps(batch_sizes: np.ndarray, reverse: bool) -> Iterator[tuple[slice, int]]:
    """(rows of the step in the packed arrays, number of sequences that have it), step by step."""
    ends = np.cumsum(batch_sizes)
    steps = [(slice(int(end - n), int(end)), int(n)) for end, n in zip(ends, batch_sizes, strict=True)]
    return iter(steps[:: -1 if reverse else 1])


def _before(after: np.ndarray, start: np.ndarray, batch_sizes: np.ndarray, reverse: bool) -> np.ndarray:
    """The states that the steps begin with (N, D), from those after each step and the initial ones (B, D)."""
    state, before = start.copy(), np.empty_like(after)
    for rows, n in _steps(batch_sizes, reverse):
        before[rows] = state[:n]
        state[:n] = after[rows]
    return before


@np.errstate(all="ignore")
def recurrence_forward(
    x: np.ndarray,
    batch_sizes: np.ndarray | None,
    w_ih: np.ndarray,
    w_hh: np.ndarray,
    b_ih: np.ndarray | None,
    b_hh: np.ndarray | None,
    h0: np.ndarray,
    c0: np.ndarray | None,
    w_hr: np.ndarray | None,
    options: RecurrenceOptions,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """y (T, B, P) or packed (N, P), as x is, h_n (B, P), c_n (B, H), activations (N, G H), inner values (N, H): c' or v_n."""
    axes = x.shape[:-1]
    x, batch_sizes = _rows(x, batch_sizes)
    name, hidden = RECURRENCES[options.mode], h0.shape[1] if w_hr is None else w_hr.shape[1]
    u = x @ w_ih.T + (0 if b_ih is None else b_ih)
    h, c = h0.copy(), np.empty(0) if c0 is None else c0.copy()
    y, activations = np.empty((len(x), h.shape[1])), np.empty((len(x), w_hh.shape[0]))
    inner = np.empty((len(x), hidden if name in ("lstm", "gru") else 0))
    for rows, n in _steps(batch_sizes, options.reverse):
        v = h[:n] @ w_hh.T + (0 if b_hh is None else b_hh)
        match name:
            case "lstm":
                i, f, g, o = np.split(u[rows] + v, 4, axis=1)
                i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
                c[:n] = inner[rows] = f * c[:n] + i * g
                m = o * np.tanh(c[:n])
                new = m if w_hr is None else m @ w_hr.T
                activations[rows] = np.hstack([i, f, g, o])
            case "gru":
                (u_r, u_z, u_n), (v_r, v_z, v_n) = np.split(u[rows], 3, axis=1), np.split(v, 3, axis=1)
                r, z = _sigmoid(u_r + v_r), _sigmoid(u_z + v_z)
                candidate = np.tanh(u_n + r * v_n)
                new = candidate + z * (h[:n] - candidate)
                activations[rows], inner[rows] = np.hstack([r, z, candidate]), v_n
            case _:
                new = np.tanh(u[rows] + v) if name == "rnn_tanh" else np.maximum(u[rows] + v, 0.0)
                activations[rows] = new
        h[:n] = y[rows] = new
    return y.reshape(*axes, y.shape[1]), h, c, activations, inner


@np.errstate(all="ignore")
def recurrence_backward(
    grad_y: np.ndarray,
    grad_h_n: np.ndarray,
    grad_c_n: np.ndarray,
    x: np.ndarray,
    batch_sizes: np.ndarray | None,
    w_ih: np.ndarray,
    w_hh: np.ndarray,
    h0: np.ndarray,
    c0: np.ndarray | None,
    w_hr: np.ndarray | None,
    y: np.ndarray,
    activations: np.ndarray,
    inner: np.ndarray,
    options: RecurrenceOptions,
    need_x: bool,
    need_w_ih: bool,
    need_w_hh: bool,
    need_b_ih: bool,
    need_b_hh: bool,
    need_h0: bool,
    need_c0: bool,
    need_w_hr: bool,
) -> tuple[np.ndarray | None, ...]:
    """Gradients of x, w_ih, w_hh, b_ih, b_hh, h0, c0 and w_hr of `recurrence_forward`."""
    mode, reverse = options
    name = RECURRENCES[mode]
    axes = x.shape
    x, batch_sizes = _rows(x, batch_sizes)
    grad_y, y = (t.reshape(len(x), h0.shape[1]) for t in (grad_y, y))
    dh, dc, m = grad_h_n.copy(), grad_c_n.copy(), np.empty_like(inner)
    du, dv, dy = np.empty_like(activations), np.empty_like(activations), np.empty_like(y)
    before = _before(y, h0, batch_sizes, reverse)
    cells = _before(inner, c0, batch_sizes, reverse) if name == "lstm" else None
    for rows, n in _steps(batch_sizes, not reverse):
        dy[rows] = dh[:n] + grad_y[rows]
        dh[:n] = 0
        match name:
            case "lstm":
                i, f, g, o = np.split(activations[rows], 4, axis=1)
                tanh = np.tanh(inner[rows])
                m[rows] = o * tanh
                dm = dy[rows] if w_hr is None else dy[rows] @ w_hr
                d = dc[:n] + dm * o * (1 - tanh**2)
                dc[:n] = d * f
                gates = d * g * i * (1 - i), d * cells[rows] * f * (1 - f), d * i * (1 - g**2), dm * tanh * o * (1 - o)
                du[rows] = dv[rows] = np.hstack(gates)
            case "gru":
                r, z, candidate = np.split(activations[rows], 3, axis=1)
                dn = dy[rows] * (1 - z) * (1 - candidate**2)
                dr = dn * inner[rows] * r * (1 - r)
                dz = dy[rows] * (before[rows] - candidate) * z * (1 - z)
                du[rows], dv[rows] = np.hstack([dr, dz, dn]), np.hstack([dr, dz, dn * r])
                dh[:n] = dy[rows] * z
            case "rnn_tanh":
                du[rows] = dv[rows] = dy[rows] * (1 - activations[rows] ** 2)
            case _:
                du[rows] = dv[rows] = np.where(activations[rows] <= 0, 0.0, dy[rows])
        dh[:n] += dv[rows] @ w_hh
    return (
        (du @ w_ih).reshape(axes) if need_x else None,
        du.T @ x if need_w_ih else None,
        dv.T @ before if need_w_hh else None,
        du.sum(0) if need_b_ih else None,
        dv.sum(0) if need_b_hh else None,
        dh if need_h0 else None,
        dc if need_c0 else None,
        dy.T @ m if need_w_hr else None,
    )
