"""The description of recurrence: a layer of an RNN, LSTM or GRU."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from scratchnet.ops.op import GATES, Cost, Example, Op, nbytes, normal


def _recurrence_example(mode: str, packed=False, projection=False, bias=True, **options) -> Example:
    gates = GATES[mode]

    def example(b: int, inputs: int, dtype: torch.dtype):
        h = min(inputs, 300)  # the weights grow with its square
        lengths = _LENGTHS_PACKED if packed else (1.0,) * _STEPS
        batch_sizes = torch.tensor([math.ceil(b * share) for share in lengths])
        projected = projection and h > 1  # torch takes one to a smaller size only
        state = h // 3 + 1 if projected else h

        def drawn(*shape: int) -> Tensor:  # weights as a layer draws them: the gates are far from saturated
            return torch.rand(shape, dtype=torch.float64).sub(0.5).mul(2 / math.sqrt(max(h, 1))).to(dtype).requires_grad_()

        shape = (int(batch_sizes.sum()), inputs) if packed else (_STEPS, b, inputs)
        biases = [drawn(gates * h) if bias else None for _ in range(2)]
        args = [normal(*shape, dtype=dtype), drawn(gates * h, inputs), drawn(gates * h, state), *biases]
        args.append(normal(b, state, dtype=dtype))
        kwargs = {"mode": mode, **options}
        if mode == "lstm":
            kwargs["c0"] = normal(b, h, dtype=dtype)
        if projected:
            kwargs["weight_hr"] = drawn(state, h)
        if packed:
            kwargs["batch_sizes"] = batch_sizes
        return tuple(args), kwargs

    return example


_STEPS = 3
_LENGTHS_PACKED = (1.0, 0.6, 0.6, 0.2)  # step by step, the share of the sequences that are not over


def _recurrence(x, w_ih, w_hh, b_ih, b_hh, h0, *, c0=None, weight_hr=None, batch_sizes=None, mode="lstm", reverse=False):
    """torch's layer with one direction; for the reverse one, both with the same weights, and what the second one gives."""
    directions = 1 + reverse
    weights = [w for w in (w_ih, w_hh, b_ih, b_hh, weight_hr) if w is not None] * directions
    hx = [torch.stack([h] * directions) for h in (h0, c0) if h is not None]
    layer = getattr(torch, mode)
    where = (x, batch_sizes) if batch_sizes is not None else (x,)
    last = () if batch_sizes is not None else (False,)  # batch_first
    y, *state = layer(*where, hx if mode == "lstm" else hx[0], weights, b_ih is not None, 1, 0.0, False, reverse, *last)
    return y[..., -h0.shape[-1] :], *(h[-1] for h in state)


def _recurrence_cost(
    x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None, h0: Tensor, **options
) -> Cost:
    rows = x.numel() // max(x.shape[-1], 1)
    weights = w_ih.numel() + w_hh.numel()
    moved = nbytes(x, w_ih, w_hh, b_ih, b_hh, h0) + rows * h0.shape[-1] * x.element_size()
    return Cost(moved, 2 * moved, 2 * rows * weights, 4 * rows * weights)


def _recurrence_variant(*args, mode="lstm", batch_sizes=None, reverse=False, **kwargs) -> str:
    return "reverse" if reverse else mode if batch_sizes is None else f"{mode}, packed"


class RecurrenceOptions(NamedTuple):
    """mode: an index into RECURRENCES; reverse: from the last step to the first."""

    mode: int
    reverse: bool


RECURRENCE = Op(
    name="recurrence",
    primitive="matmul",
    idea="a layer of an RNN, LSTM or GRU: inputs projected at once, recurrent weights packed once, each thread owns sequences",
    # x (T, B, I), or packed (N, I), row after row of step 0, then of step 1, ..., with batch_sizes (T) int64 on the CPU, the
    # rows of each step; w_ih (G H, I), w_hh (G H, P), b_ih and b_hh (G H), h0 (B, P), c0 (B, H), w_hr (P, H), P = H without
    # w_hr -> y (T, B, P) or (N, P), h_n (B, P), c_n (B, H) or (0), activations (N, G H), N = T B, inner: the cells of an LSTM,
    # W_hn h + b_hn of a GRU
    inputs=("x", "batch_sizes?", "w_ih", "w_hh", "b_ih?", "b_hh?", "h0", "c0?", "w_hr?"),
    options=RecurrenceOptions,
    outputs=("y", "h_n", "c_n"),
    kept=("activations", "inner"),
    saved=("x", "batch_sizes", "w_ih", "w_hh", "h0", "c0", "w_hr", "y", "activations", "inner"),
    gradients=("x", "w_ih", "w_hh", "b_ih", "b_hh", "h0", "c0", "w_hr"),
    ideas={
        "cpp": (
            "naive loop",
            "SIMD",
            "packed weights, each thread its own sequences",
            "few sequences: weights in place, all threads in a step",
        )
    },
    torch=_recurrence,
    variant=_recurrence_variant,
    cost=_recurrence_cost,
    products=_recurrence_cost,
    examples={
        "lstm": _recurrence_example("lstm"),
        "gru": _recurrence_example("gru"),
        "rnn": _recurrence_example("rnn_tanh", bias=False),
        "rnn, packed": _recurrence_example("rnn_tanh", packed=True),
        "gru, packed, reverse": _recurrence_example("gru", packed=True, reverse=True),
        "lstm, packed, projection": _recurrence_example("lstm", packed=True, projection=True, reverse=True, bias=False),
    },
    sizes=((64, 256), (32, 200)),
)
