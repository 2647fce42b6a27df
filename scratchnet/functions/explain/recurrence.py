"""Why a call of recurrence is wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_dtypes, check_float, check_shape, check_tensor, fail
from scratchnet.ops import GATES


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
) -> None:
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
    for argument in ("weight_ih", "weight_hh", "h0", "weight_hr"):
        value = tensors[argument]
        if value is not None and value.dim() != 2:
            fail(RuntimeError, name, argument, f"must have 2 dimensions, got shape {tuple(value.shape)}")
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
    if batch_sizes is None:
        check_shape(name, "h0", h0, (input.shape[1], state), "one row for each sequence of input")
        if input.shape[0] == 0:
            fail(RuntimeError, name, "input", "Expected sequence length to be larger than 0 in RNN")
    else:
        _check_batch_sizes(name, batch_sizes, input.shape[0], batch)


def _check_batch_sizes(name: str, batch_sizes: Tensor, rows: int, batch: int) -> None:
    """Their values too, where they can be read."""
    check_tensor(name, "batch_sizes", batch_sizes)
    if batch_sizes.dim() != 1 or batch_sizes.dtype != torch.int64 or batch_sizes.device.type not in ("cpu", "meta"):
        got = f"{batch_sizes.dtype} of shape {tuple(batch_sizes.shape)} on {batch_sizes.device}"
        fail(RuntimeError, name, "batch_sizes", f"must be (T,) int64 on the CPU, as in a PackedSequence, got {got}")
    if torch.compiler.is_compiling() or batch_sizes.is_meta:
        return
    sizes = batch_sizes.tolist()
    if not sizes or sizes[0] != batch or sizes[-1] < 0 or sum(sizes) != rows or sorted(sizes, reverse=True) != sizes:
        problem = f"must not increase, begin with h0's {batch} sequences and add up to input's {rows} rows, got {sizes}"
        fail(RuntimeError, name, "batch_sizes", problem + "; pack with torch.nn.utils.rnn.pack_padded_sequence")
