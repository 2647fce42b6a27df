"""Why a call of embedding_bag is wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scratchnet.functions.checks import FLOATS, check_device, check_tensor, fail
from scratchnet.functions.explain.gather import outside
from scratchnet.ops.embedding_bag import MODES

_NAME = "embedding_bag"
_INDICES = (torch.int64, torch.int32)


def is_index(input: Tensor, offsets: Tensor | None) -> bool:
    """Whether these are integers that name rows, with a place where a bag begins."""
    return input.dtype in _INDICES and (offsets is None or offsets.dtype in _INDICES and offsets.numel() > 0)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> None:
    check_tensor(_NAME, "input", input)
    if input.dim() == 2 and offsets is not None:
        problem = "if input is 2D, then offsets has to be None, as each row of input is a bag"
        fail(ValueError, _NAME, "offsets", f"{problem}; flatten input, or leave them out")
    given = (("weight", weight), ("offsets", offsets), ("per_sample_weights", per_sample_weights))
    for argument, tensor in given:
        if tensor is not None or argument == "weight":
            check_tensor(_NAME, argument, tensor)
            check_device(_NAME, argument, tensor, "input", input)
    if weight.dtype is torch.int64 and input.is_floating_point():  # torch's own takes the two the other way round too
        return
    if per_sample_weights is not None and per_sample_weights.shape != input.shape:
        problem = f"got {tuple(per_sample_weights.shape)}, must have the same shape as the input, {tuple(input.shape)}"
        fail(ValueError, _NAME, "per_sample_weights", problem)
    if weight.dim() != 2:
        shape = f"weight has to be a 2D Tensor, (num_embeddings, embedding_dim), but got {tuple(weight.shape)}"
        fail(ValueError, _NAME, "weight", shape)
    _check_shapes(input, offsets)
    _check_options(mode, scale_grad_by_freq, sparse, max_norm, per_sample_weights, padding_idx, weight.shape[0])
    for argument, tensor in (("input", input), ("offsets", offsets)):
        if tensor is not None and tensor.dtype not in _INDICES:
            needs = "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int"
            fail(RuntimeError, _NAME, argument, f"{needs}; but got {tensor.dtype}; call .long() on it")
    if weight.dtype not in FLOATS:
        needs = (
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, Double"
        )
        fail(RuntimeError, _NAME, "weight", f"{needs}; but got {weight.dtype}; call .float() on it")
    if per_sample_weights is not None and per_sample_weights.dtype != weight.dtype:
        problem = f"Expected the same type as 'weight', {weight.dtype}, got {per_sample_weights.dtype}"
        fail(RuntimeError, _NAME, "per_sample_weights", f"{problem}: call per_sample_weights.to(weight.dtype)")
    _check_values(input, weight.shape[0], offsets, RuntimeError if max_norm is None else IndexError)


def _check_shapes(input: Tensor, offsets: Tensor | None) -> None:
    if input.dim() == 2:
        if input.numel() == 0 and not input.shape[1]:
            fail(RuntimeError, _NAME, "input", f"step must be nonzero: bags of no entries, {tuple(input.shape)}")
    elif input.dim() != 1:
        fail(ValueError, _NAME, "input", f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    elif offsets is None:
        problem = "offsets has to be a 1D Tensor but got None: it says where in a 1D input each bag begins"
        fail(ValueError, _NAME, "offsets", f"{problem}; input.unsqueeze(0) is one bag")
    elif offsets.dim() != 1:
        fail(ValueError, _NAME, "offsets", f"offsets has to be a 1D Tensor, got {tuple(offsets.shape)}")


def _check_options(
    mode: str, by_count: bool, sparse: bool, max_norm: Any, weights: Tensor | None, padding: Any, rows: int
) -> None:
    if mode not in MODES:
        fail(ValueError, _NAME, "mode", f"mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and by_count:
        fail(ValueError, _NAME, "scale_grad_by_freq", "max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        fail(ValueError, _NAME, "sparse", "max mode does not support sparse weights")
    if max_norm is not None and not isinstance(max_norm, (int, float)):
        fail(TypeError, _NAME, "max_norm", f"must be float, not {type(max_norm).__name__}")
    if weights is not None and mode != "sum":
        problem = f"per_sample_weights is only supported for mode='sum' (got mode='{mode}')"
        fail(NotImplementedError, _NAME, "per_sample_weights", problem)
    if padding is not None:
        if isinstance(padding, bool) or not hasattr(padding, "__index__"):
            fail(TypeError, _NAME, "padding_idx", f"must be int, not {type(padding).__name__}")
        if not -rows <= padding < rows:
            problem = f"padding_idx must be within the number of embeddings, {-rows} through {rows - 1}, but got {padding}"
            fail(RuntimeError, _NAME, "padding_idx", problem)


def _check_values(input: Tensor, rows: int, offsets: Tensor | None, error: type[Exception]) -> None:
    if not input.is_cpu:
        return
    n = input.numel()
    if offsets is not None and offsets.numel() and (wrong := outside(offsets, n + 1)):
        value, where = wrong
        problem = f"offsets[-1] can not be greater than input's length {n} but got {value} {where}"
        fail(RuntimeError, _NAME, "offsets", problem)
    if offsets is not None and offsets.numel() and outside(offsets[:1], 1):
        problem = f"offsets[0] has to be 0, i.e., the first bag has to start from position 0. However, got {int(offsets[0])}"
        fail(RuntimeError, _NAME, "offsets", problem)
    if offsets is not None and outside(-offsets.diff().clamp(max=0), 1):
        fail(
            RuntimeError,
            _NAME,
            "offsets",
            f"they have to rise: got {offsets.tolist()[:8]}; sort them, or sum lengths with cumsum",
        )
    if wrong := outside(input, rows):
        value, where = wrong
        problem = f"index out of range: {value}, which is not in the valid range [0, {rows})"
        fail(error, _NAME, "input", f"{problem}, for a table of {rows} rows, {where}")


def segment_reduce(data: Tensor, lengths: Tensor | None, offsets: Tensor) -> None:
    name, rows = "segment_reduce", data.shape[0]
    argument = "offsets" if lengths is None else "lengths"
    if bool((offsets.diff() < 0).any()):
        fail(
            RuntimeError,
            name,
            argument,
            "contains negative value! Segments have 0 rows or more: lengths >= 0, offsets that rise",
        )
    if lengths is None:
        ends = f"must be from 0 to data.size(0), {rows}: got {int(offsets[0])} to {int(offsets[-1])}"
        fail(RuntimeError, name, argument, ends)
    problem = f"Expected all rows of lengths along axis to sum to data.size(0), {rows}: got {int(offsets[-1])}"
    fail(RuntimeError, name, argument, problem)
