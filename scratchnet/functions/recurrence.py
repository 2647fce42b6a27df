"""One layer of an RNN, LSTM or GRU in one direction: what nn.RNN, nn.LSTM and nn.GRU stack."""

from __future__ import annotations

from typing import Iterable

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_dtypes, check_float, check_shape, check_tensor, fail
from scratchnet.functions.dispatch import Function, Operator, lined_up, needs, or_torch
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
            y = inside[0].to(x.dtype)  # a narrow y is rounded
        if torch.is_grad_enabled():  # create_graph=True: what was saved, from the inputs
            y, _, _, *inside = _recurrence.formula(x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, ctx.options)
        inputs = x, batch_sizes, w_ih, w_hh, h0, c0, w_hr
        return lined_up(ctx, *ctx.kernel.backward(grad, grad_h, grad_c, *inputs, y, *inside, ctx.options, *needs(ctx)))


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
    name = "recurrence"
    if mode not in GATES:
        fail(ValueError, name, "mode", f"must be one of {', '.join(map(repr, GATES))}, got {mode!r}")
    check_float(name, "input", input)
    tensors = {"weight_ih": weight_ih, "weight_hh": weight_hh, "h0": h0, "bias_ih": bias_ih, "bias_hh": bias_hh}
    tensors |= {"c0": c0, "weight_hr": weight_hr}
    for argument, value in tensors.items():
        if value is not None or argument in ("weight_ih", "weight_hh", "h0"):
            check_tensor(name, argument, value)
            check_dtypes(name, argument, value, "input", input)
            check_device(name, argument, value, "input", input)
    if mode == "lstm" and c0 is None:
        fail(RuntimeError, name, "c0", "an LSTM starts with cells as well: needs (B, H), got None")
    for argument in ("c0", "weight_hr"):
        if mode != "lstm" and tensors[argument] is not None:
            fail(RuntimeError, name, argument, f"only an LSTM has it, but mode is {mode!r}; leave it out")
    dims = 3 if batch_sizes is None else 2
    if input.dim() != dims:
        kind = "(T, B, I) without batch_sizes" if dims == 3 else "(N, I) with batch_sizes"
        fail(RuntimeError, name, "input", f"input must have {dims} dimensions, {kind}, got shape {tuple(input.shape)}")
    for argument in ("weight_ih", "weight_hh", "h0"):
        if tensors[argument].dim() != 2:
            fail(RuntimeError, name, argument, f"must have 2 dimensions, got shape {tuple(tensors[argument].shape)}")
    batch, state = h0.shape
    hidden = state if weight_hr is None else weight_hr.shape[-1]
    rows = GATES[mode] * hidden
    check_shape(name, "weight_ih", weight_ih, (rows, input.shape[-1]), "G * hidden rows, one column for each input feature")
    check_shape(name, "weight_hh", weight_hh, (rows, state), "G * hidden rows, one column for each number of h0")
    for argument, shape in (
        ("bias_ih", (rows,)),
        ("bias_hh", (rows,)),
        ("c0", (batch, hidden)),
        ("weight_hr", (state, hidden)),
    ):
        if tensors[argument] is not None:
            check_shape(name, argument, tensors[argument], shape, "see weight_hh and h0")
    x = input
    if batch_sizes is None:
        check_shape(name, "h0", h0, (input.shape[1], state), "one row for each sequence of input")
        if input.shape[0] == 0:
            fail(RuntimeError, name, "input", "Expected sequence length to be larger than 0 in RNN")
        batch_sizes = torch.full(input.shape[:1], batch)
        x = input.flatten(0, 1)
    else:
        _check_batch_sizes(name, batch_sizes, input.shape[0], batch)
    values = (x, batch_sizes, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0, weight_hr)
    device = input.device.type
    autocast = device in ("cpu", "cuda") and torch.is_autocast_enabled(device)
    if autocast:  # torch's dtypes: narrow where one fused layer of its does it all, else as wide as the state that moves
        low = torch.get_autocast_dtype(device)
        fused = mode in ("rnn_tanh", "rnn_relu") or mode == "lstm" and input.dim() == 3 and weight_hr is None
        values = _cast(values, low if fused else torch.promote_types(low, h0.dtype))
    y, h_n, c_n = _recurrence(*values, RecurrenceOptions(RECURRENCES.index(mode), reverse))
    if autocast and weight_hr is not None:  # a projection is a product
        y, h_n = _cast((y, h_n), low)
    y = y if input.dim() == 2 else y.unflatten(0, input.shape[:2])
    return (y, h_n, c_n) if mode == "lstm" else (y, h_n)


def _check_batch_sizes(name: str, batch_sizes: Tensor, rows: int, batch: int) -> None:
    """Its values too, where they are at hand."""
    check_tensor(name, "batch_sizes", batch_sizes)
    if batch_sizes.dim() != 1 or batch_sizes.dtype != torch.int64 or batch_sizes.device.type not in ("cpu", "meta"):
        got = f"{batch_sizes.dtype} of shape {tuple(batch_sizes.shape)} on {batch_sizes.device}"
        fail(RuntimeError, name, "batch_sizes", f"must be (T,) int64 on the CPU, as in a PackedSequence, got {got}")
    if torch.compiler.is_compiling() or batch_sizes.is_meta:
        return
    sizes = batch_sizes.tolist()
    if not sizes or sizes[0] != batch or sizes[-1] < 0 or sum(sizes) != rows or sorted(sizes, reverse=True) != sizes:
        problem = f"must fall, begin with h0's {batch} sequences and sum up to input's {rows} rows, got {sizes}"
        fail(RuntimeError, name, "batch_sizes", problem + "; pack with torch.nn.utils.rnn.pack_padded_sequence")
