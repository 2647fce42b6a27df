"""Layers of an RNN, LSTM or GRU in plain PyTorch; derived in `scratchnet.oracle.recurrence`.

Packed sequences are padded first, so that nothing depends on the values of batch_sizes: a sequence that has ended, or in
reverse has not begun, is a row like the others, but its state does not change.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.ops import GATES, RECURRENCES
from scratchnet.ops.recurrence import RecurrenceOptions
from scratchnet.reference import widen


def _rows(x: Tensor, batch_sizes: Tensor | None) -> tuple[Tensor, Tensor]:
    """x packed, and its batch_sizes: those of x (T, B, I) are all B."""
    if batch_sizes is None:
        return x.flatten(0, 1), torch.full(x.shape[:1], x.shape[1])
    return x, batch_sizes


def _places(batch_sizes: Tensor, rows: int, batch: int, device: torch.device) -> Tensor:
    """Where in a packed tensor step t of sequence b is; `rows`, one past the last, for a step that the sequence lacks."""
    batch_sizes = batch_sizes.to(device).unsqueeze(1)
    b = torch.arange(batch, device=device)
    return torch.where(b < batch_sizes, batch_sizes.cumsum(0) - batch_sizes + b, rows)  # (T, B)


def _padded(packed: Tensor, places: Tensor) -> Tensor:
    """(N, D) -> (T, B, D) with zeros where a sequence has no such step."""
    return torch.cat([packed, packed.new_zeros(1, packed.shape[1])])[places]


def _packed(padded: Tensor, places: Tensor, rows: int) -> Tensor:
    """(T, B, D) -> (N, D)."""
    return padded.flatten(0, 1)[places.flatten().argsort(stable=True)[:rows]]


def _before(after: Tensor, start: Tensor, alive: Tensor, reverse: bool) -> Tensor:
    """The states that the steps begin with, from those after each step (T, B, D) and the initial ones (B, D)."""
    shift = (lambda t, first: torch.cat([t[1:], first])) if reverse else (lambda t, first: torch.cat([first, t[:-1]]))
    return torch.where(shift(alive, torch.zeros_like(alive[:1])), shift(after, start.unsqueeze(0)), start)


def _order(steps: int, reverse: bool) -> list[int]:
    return list(range(steps))[:: -1 if reverse else 1]


def recurrence_forward(
    x: Tensor,
    batch_sizes: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    h0: Tensor,
    c0: Tensor | None,
    w_hr: Tensor | None,
    options: RecurrenceOptions,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """y (T, B, P) or packed (N, P), as x is, h_n (B, P), c_n (B, H); activations (N, G H), inner (N, H), never in 16 bits."""
    axes = x.shape[:-1]
    x, batch_sizes = _rows(x, batch_sizes)
    dtype, rows, name = x.dtype, x.shape[0], RECURRENCES[options.mode]
    x, w_ih, w_hh, b_ih, b_hh, h, c, w_hr = map(widen, (x, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr))
    places = _places(batch_sizes, rows, h.shape[0], x.device)
    alive = (places < rows).unsqueeze(-1)  # (T, B, 1)
    gates = x @ w_ih.T
    gates = _padded(gates if b_ih is None else gates + b_ih, places)  # (T, B, G H)
    steps = [()] * len(gates)
    for t in _order(len(gates), options.reverse):
        hidden = h @ w_hh.T if b_hh is None else h @ w_hh.T + b_hh  # (B, G H)
        match name:
            case "lstm":
                i, f, g, o = (gates[t] + hidden).chunk(4, -1)
                i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
                inner = f * c + i * g
                new = o * inner.tanh()
                new = new if w_hr is None else new @ w_hr.T
                activations = torch.cat([i, f, g, o], -1)
                c = inner.where(alive[t], c)
            case "gru":
                r, z, n = gates[t].chunk(3, -1)
                hidden_r, hidden_z, inner = hidden.chunk(3, -1)
                r, z = (r + hidden_r).sigmoid(), (z + hidden_z).sigmoid()
                n = (n + r * inner).tanh()
                new = n + z * (h - n)
                activations = torch.cat([r, z, n], -1)
            case _:
                new = activations = (gates[t] + hidden).tanh() if name == "rnn_tanh" else (gates[t] + hidden).relu()
                inner = new.new_empty(new.shape[0], 0)
        h = new.where(alive[t], h)
        steps[t] = new, activations, inner
    y, activations, inner = (_packed(torch.stack(values), places, rows) for values in zip(*steps, strict=True))
    y = y.reshape(*axes, y.shape[1])
    return y.to(dtype), h.to(dtype), x.new_empty(0, dtype=dtype) if c is None else c.to(dtype), activations, inner


def recurrence_forward_shapes(x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, options):
    """Results of `recurrence_forward` without their values: the number of steps is not constant in a compiled graph."""
    wide, rows, gates = widen(x).dtype, math.prod(x.shape[:-1]), w_hh.shape[0]  # not numel(), a constant
    hidden = gates // GATES[RECURRENCES[options.mode]] if RECURRENCES[options.mode] in ("lstm", "gru") else 0
    c_n = x.new_empty(0) if c0 is None else torch.empty_like(c0)
    inside = (x.new_empty(rows, size, dtype=wide) for size in (gates, hidden))
    return x.new_empty(*x.shape[:-1], h0.shape[1]), torch.empty_like(h0), c_n, *inside


def recurrence_backward(
    grad_y: Tensor,
    grad_h_n: Tensor,
    grad_c_n: Tensor,
    x: Tensor,
    batch_sizes: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    w_hr: Tensor | None,
    y: Tensor,
    activations: Tensor,
    inner: Tensor,
    options: RecurrenceOptions,
    need_x: bool,
    need_w_ih: bool,
    need_w_hh: bool,
    need_b_ih: bool,
    need_b_hh: bool,
    need_h0: bool,
    need_c0: bool,
    need_w_hr: bool,
) -> tuple[Tensor | None, ...]:
    """Gradients of x, w_ih, w_hh, b_ih, b_hh, h0, c0 and w_hr; a second derivative needs differentiable saved values."""
    mode, reverse = options
    axes, grad_y, y = x.shape, grad_y.flatten(0, -2), y.flatten(0, -2)
    x, batch_sizes = _rows(x, batch_sizes)
    dtype, rows, name = x.dtype, x.shape[0], RECURRENCES[mode]
    values = grad_y, grad_h_n, grad_c_n, x, w_ih, w_hh, h0, c0, w_hr, y
    grad_y, dh, dc, x, w_ih, w_hh, h0, c0, w_hr, y = map(widen, values)
    places = _places(batch_sizes, rows, h0.shape[0], x.device)
    alive = (places < rows).unsqueeze(-1)
    grad_y, y, activations, inner = (_padded(t, places) for t in (grad_y, y, activations, inner))
    before = _before(y, h0, alive, reverse)
    cells = _before(inner, c0, alive, reverse) if name == "lstm" else None
    steps = [()] * len(y)
    for t in _order(len(y), not reverse):
        new = dh + grad_y[t]
        projected = dprojected = new[:, :0]
        match name:
            case "lstm":
                i, f, g, o = activations[t].chunk(4, -1)
                tanh = inner[t].tanh()
                projected, dprojected = o * tanh, new
                m = new if w_hr is None else new @ w_hr
                new_c = dc + m * o * (1 - tanh**2)
                gates = [
                    new_c * g * i * (1 - i),
                    new_c * cells[t] * f * (1 - f),
                    new_c * i * (1 - g**2),
                    m * tanh * o * (1 - o),
                ]
                gates = hidden = torch.cat(gates, -1)
                dc = torch.where(alive[t], new_c * f, dc)
                new = gates @ w_hh
            case "gru":
                r, z, n = activations[t].chunk(3, -1)
                dn = new * (1 - z) * (1 - n**2)
                dr, dz = dn * inner[t] * r * (1 - r), new * (before[t] - n) * z * (1 - z)
                gates, hidden = torch.cat([dr, dz, dn], -1), torch.cat([dr, dz, dn * r], -1)
                new = new * z + hidden @ w_hh
            case "rnn_tanh":
                gates = hidden = new * (1 - activations[t] ** 2)
                new = gates @ w_hh
            case _:
                gates = hidden = new.where(~(activations[t] <= 0), 0.0)  # NaN lets the gradient through
                new = gates @ w_hh
        dh = torch.where(alive[t], new, dh)
        steps[t] = gates, hidden, projected, dprojected
    sequences = (*map(torch.stack, zip(*steps, strict=True)), before)
    gates, hidden, projected, dprojected, before = (_packed(t, places, rows) for t in sequences)
    grads = (
        (gates @ w_ih).reshape(axes) if need_x else None,
        gates.T @ x if need_w_ih else None,
        hidden.T @ before if need_w_hh else None,
        gates.sum(0) if need_b_ih else None,
        hidden.sum(0) if need_b_hh else None,
        dh if need_h0 else None,
        dc if need_c0 else None,
        dprojected.T @ projected if need_w_hr else None,
    )
    return tuple(None if g is None else g.to(dtype) for g in grads)


def recurrence_backward_shapes(
    grad_y, grad_h_n, grad_c_n, x, batch_sizes, w_ih, w_hh, h0, c0, w_hr, y, activations, inner, options, *need
):
    """Results of `recurrence_backward` without their values."""
    bias = w_hh.new_empty(w_hh.shape[0])
    results = x, w_ih, w_hh, bias, bias, h0, c0, w_hr
    return tuple(torch.empty_like(like) if needed else None for like, needed in zip(results, need, strict=True))
