"""One layer of an RNN, LSTM or GRU in one direction: what nn.RNN, nn.LSTM and nn.GRU stack."""

from __future__ import annotations

from typing import Iterable

import torch
from torch import Tensor

from scratchnet.functions.checks import alike, is_float
from scratchnet.functions.dispatch import Function, Operator, gradients, or_torch, torch_runs
from scratchnet.functions.explain import recurrence as explain
from scratchnet.ops import GATES, RECURRENCES
from scratchnet.ops.recurrence import RecurrenceOptions


class Recurrence(Function):
    """h_t = cell(W_ih x_t + b_ih, W_hh h_(t-1) + b_hh), step by step; backward is the same walk the other way."""

    @staticmethod
    def forward(ctx, kernel, x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, options):
        ctx.kernel, ctx.options = kernel, options
        y, h_n, c_n, *saved = kernel.forward(x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, options)
        # The caller may change y in place, as torch's: backward has a copy. An RNN's activations are y.
        copy = None if RECURRENCES[options.mode].startswith("rnn") else y.clone()
        ctx.save_for_backward(x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, copy, *saved)
        return y, h_n, c_n

    @staticmethod
    def backward(ctx, grad, grad_h, grad_c):
        x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, y, *inside = ctx.saved_tensors
        if y is None:
            y = inside[0].to(x.dtype).view(grad.shape)  # a narrow y is rounded
        if torch.is_grad_enabled():  # create_graph=True: what was saved, from the inputs
            y, _, _, *inside = _recurrence.formula(x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, ctx.options)
        inputs = x, batch_sizes, w_ih, w_hh, h0, c0, w_hr
        return gradients(ctx, grad, grad_h, grad_c, *inputs, y, *inside, ctx.options)


_recurrence = Operator("recurrence", Recurrence)


def _cast(values: Iterable[Tensor | None], dtype: torch.dtype) -> list[Tensor | None]:
    """What autocast changes, to another dtype: floats, but float64."""
    ours = lambda v: isinstance(v, Tensor) and v.is_floating_point() and v.dtype != torch.float64
    return [v.to(dtype) if ours(v) else v for v in values]


@or_torch(_recurrence.op.torch)
def recurrence(
    input: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    h0: Tensor,
    *,
    c0: Tensor | None = None,
    weight_hr: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    mode: str = "lstm",
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    """All steps of a recurrent layer in one direction -> y (T, B, P) and h_n (B, P), for "lstm" also c_n (B, H).

    input (T, B, I), or (N, I) packed with batch_sizes (T,) int64 as in torch.nn.utils.rnn.PackedSequence; weight_ih (G H, I),
    weight_hh (G H, P), biases (G H,), h0 (B, P), c0 (B, H), weight_hr (P, H), P = H without it; G is 4 for mode "lstm", 3
    for "gru", 1 for "rnn_tanh" and "rnn_relu". reverse=True walks from the last step to the first.
    RuntimeError if shapes, dtypes or batch_sizes do not fit, ValueError for another mode. torch.lstm, torch.gru, ...
    """
    parameters = weight_ih, weight_hh, bias_ih, bias_hh
    if not _fits(input, *parameters, h0, c0, weight_hr, batch_sizes, mode):
        explain.recurrence(input, *parameters, h0, c0=c0, weight_hr=weight_hr, batch_sizes=batch_sizes, mode=mode)
    options = {"c0": c0, "weight_hr": weight_hr, "batch_sizes": batch_sizes, "mode": mode, "reverse": reverse}
    if torch_runs(input, _recurrence.op, (), options):  # only now: torch's layers take other shapes too
        return _recurrence.op.torch(input, *parameters, h0, **options)
    values = (input, batch_sizes, *parameters, h0, c0, weight_hr)
    device = input.device.type
    autocast = device in ("cpu", "cuda") and torch.is_autocast_enabled(device)
    if autocast:  # torch's dtypes: narrow where one fused layer of its does it all, else as wide as the state that moves
        low = torch.get_autocast_dtype(device)
        fused = mode in ("rnn_tanh", "rnn_relu") or mode == "lstm" and input.dim() == 3 and weight_hr is None
        values = _cast(values, low if fused else torch.promote_types(low, h0.dtype))
    y, h_n, c_n = _recurrence(*values, RecurrenceOptions(RECURRENCES.index(mode), reverse))
    if autocast and weight_hr is not None:  # a projection is a product
        y, h_n = _cast((y, h_n), low)
    return (y, h_n, c_n) if mode == "lstm" else (y, h_n)


def _fits(input, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, batch_sizes, mode) -> bool:
    """Whether the weights and the state are those of a layer of this mode for these inputs."""
    given = [value for value in (b_ih, b_hh, c0, w_hr) if value is not None]
    if not (
        mode in GATES
        and is_float(input)
        and alike(input, w_ih, w_hh, h0, *given)
        and (mode == "lstm") == (c0 is not None)
        and (mode == "lstm" or w_hr is None)
        and input.dim() == (3 if batch_sizes is None else 2)
        and h0.dim() == 2
        and (w_hr is None or w_hr.dim() == 2)
    ):
        return False
    batch, state = h0.shape
    hidden = state if w_hr is None else w_hr.shape[1]
    rows = GATES[mode] * hidden
    return (
        w_ih.shape == (rows, input.shape[-1])
        and w_hh.shape == (rows, state)
        and (b_ih is None or b_ih.shape == (rows,))
        and (b_hh is None or b_hh.shape == (rows,))
        and (c0 is None or c0.shape == (batch, hidden))
        and (w_hr is None or w_hr.shape[0] == state)
        and (_packs(batch_sizes, input.shape[0], batch) if input.dim() == 2 else input.shape[1] == batch and input.shape[0] > 0)
    )


def _packs(batch_sizes: Tensor, rows: int, batch: int) -> bool:
    """Whether these are the sizes of a PackedSequence: they never increase. In a graph their values are not known."""
    if not (isinstance(batch_sizes, Tensor) and batch_sizes.dim() == 1 and batch_sizes.dtype is torch.int64):
        return False
    if torch.compiler.is_compiling() or batch_sizes.is_meta:
        return True
    sizes = batch_sizes.tolist() if batch_sizes.is_cpu else []
    return sizes[:1] == [batch] and sizes[-1] >= 0 and sum(sizes) == rows and sorted(sizes, reverse=True) == sizes
