"""Why a call of scaled_dot_product_attention or varlen_attn is wrong."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_dtypes, check_float, check_tensor, fail, same_dtype

NAME = "scaled_dot_product_attention"


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    window: object = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> None:
    given = {"query": query, "key": key, "value": value}
    for argument, tensor in given.items():
        check_tensor(NAME, argument, tensor)
    for argument, number in (("dropout_p", dropout_p), ("scale", scale), ("softcap", softcap)):
        if not isinstance(number, (float, int, torch.SymFloat)) and (number is not None or argument == "dropout_p"):
            fail(TypeError, NAME, argument, f"must be float, not {type(number).__name__}")
    for argument, tensor in given.items():
        if tensor.dim() < 2:
            needs = "Expected query, key, and value to all be at least 2 dimensional, (..., length, head size)"
            fail(RuntimeError, NAME, argument, f"{needs}, but got {argument} of shape {tuple(tensor.shape)}")
        if not same_dtype(query, tensor):
            kinds = f"but got query.dtype: {query.dtype} and {argument}.dtype: {tensor.dtype}"
            problem = f"Expected query, key, and value to have the same dtype, {kinds}"
            fail(RuntimeError, NAME, argument, f"{problem}; call {argument}.to(query.dtype)")
        check_device(NAME, argument, tensor, "query", query)
    if query.is_complex():
        return
    if not query.is_floating_point():
        fail(RuntimeError, NAME, "query", f"expected a floating-point tensor but got {query.dtype}: call .float() on it")
    check_float(NAME, "query", query)
    _check_shapes(query, key, value, enable_gqa)
    if not 0 <= dropout_p <= 1:
        fail(RuntimeError, NAME, "dropout_p", f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if window is not None:
        _check_window(window)
    if softcap is not None and not softcap > 0:
        fail(ValueError, NAME, "softcap", f"must be positive, got {softcap}; None leaves the scores as they are")
    heads = max(t.shape[-3] if t.dim() > 2 else 1 for t in (query, key, value))
    if sinks is not None:
        check_tensor(NAME, "sinks", sinks)
        check_device(NAME, "sinks", sinks, "query", query)
        if sinks.shape != (heads,) or not same_dtype(query, sinks):
            got = f"got {sinks.dtype} of shape {tuple(sinks.shape)}"
            fail(RuntimeError, NAME, "sinks", f"expected one number for each of the {heads} heads, of {query.dtype}, {got}")
    if attn_mask is not None:
        _check_mask(query, key, value, attn_mask, heads)


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> None:
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if query.shape[-1] != key.shape[-1]:
        sizes = f"query and key must have the same last axis, got {query.shape[-1]} and {key.shape[-1]}"
        fail(RuntimeError, NAME, "key", f"{sizes}: a score is their inner product; {shapes}")
    if key.shape[-2] != value.shape[-2]:
        lengths = f"each key needs a value, got {key.shape[-2]} keys and {value.shape[-2]} values"
        fail(RuntimeError, NAME, "value", f"{lengths}; {shapes}")
    if enable_gqa and min(query.dim(), key.dim(), value.dim()) < 3:
        fail(IndexError, NAME, "enable_gqa", f"needs tensors with an axis of heads, (..., heads, length, size), got {shapes}")
    for argument, tensor in (("key", key), ("value", value)):
        heads, own = (t.shape[-3] if t.dim() > 2 else 1 for t in (query, tensor))
        if enable_gqa and (own == 0 or heads % own):
            problem = f"Number of heads in key and value must divide the number of heads in query, got {own} and {heads}"
            fail(RuntimeError, NAME, argument, f"{problem}; {shapes}")
        if not enable_gqa and heads != own and 1 not in (heads, own):
            problem = f"expected the {heads} heads of query, but got {own}"
            fix = "; heads that share keys and values need enable_gqa=True" if own and heads % own == 0 else ""
            fail(RuntimeError, NAME, argument, f"{problem}{fix}; {shapes}")
    try:
        torch.broadcast_shapes(*(t.shape[: -3 if enable_gqa else -2] for t in (query, key, value)))
    except RuntimeError:
        fail(RuntimeError, NAME, "key", f"the axes before the last two must be equal or 1, got {shapes}")


def _check_window(window: object) -> None:
    needs = "the number of keys that a query sees on each side, its own included, or a pair (before, after), None for no limit"
    kind = type(window).__name__
    if isinstance(window, bool) or not isinstance(window, (int, tuple)):
        fail(TypeError, NAME, "window", f"must be int or tuple, not {kind}: {needs}")
    if isinstance(window, int):
        if window < 1:
            fail(ValueError, NAME, "window", f"must be at least 1, got {window}: {needs}")
    elif len(window) != 2 or not all(side is None or type(side) is int and side >= 0 for side in window):
        fail(ValueError, NAME, "window", f"must be two numbers that are not negative, got {window}: {needs}")


def _check_mask(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, heads: int) -> None:
    check_tensor(NAME, "attn_mask", mask)
    check_device(NAME, "attn_mask", mask, "query", query)
    if mask.dtype not in (torch.bool, torch.float32, query.dtype):
        kinds = f"but got attn_mask.dtype: {mask.dtype} and query.dtype: {query.dtype}"
        problem = f"Expected attn_mask dtype to be bool or float or to match query dtype, {kinds}"
        fail(RuntimeError, NAME, "attn_mask", f"{problem}; True keeps a key, a float is added to its score")
    lead = torch.broadcast_shapes(*(t.shape[:-3] for t in (query, key, value)))
    needed = (*lead, *([heads] if max(query.dim(), key.dim(), value.dim()) > 2 else []), query.shape[-2], key.shape[-2])
    got = f"got {tuple(mask.shape)} for scores of shape {needed}"
    fail(RuntimeError, NAME, "attn_mask", f"must be broadcastable to the scores, (..., queries, keys), {got}")


def varlen_attn(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    window_size: tuple[int, int],
) -> tuple[list[int], list[int]]:
    """The lengths of the sequences of queries and of keys, read once: on a GPU each reading waits for all that was asked."""
    name = "varlen_attn"
    for argument, tensor in (("query", query), ("key", key), ("value", value)):
        check_float(name, argument, tensor)
        if tensor.dim() != 3:
            fail(RuntimeError, name, argument, f"must be (tokens, heads, head size), got shape {tuple(tensor.shape)}")
        check_dtypes(name, "query", query, argument, tensor)
        check_device(name, argument, tensor, "query", query)
    ends = (("cu_seq_q", cu_seq_q, "max_q", max_q, query), ("cu_seq_k", cu_seq_k, "max_k", max_k, key))
    queries, keys = (_lengths(name, *end) for end in ends)
    if len(cu_seq_q) != len(cu_seq_k):
        counts = f"{len(cu_seq_q) - 1} sequences of queries and {len(cu_seq_k) - 1} of keys"
        fail(RuntimeError, name, "cu_seq_k", f"needs the {len(cu_seq_q)} numbers of cu_seq_q, got {counts}")
    if len(value) != len(key):
        fail(RuntimeError, name, "value", f"each key needs a value, got {len(key)} keys and {len(value)} values")
    if not (isinstance(window_size, (tuple, list)) and len(window_size) == 2 and all(type(n) is int for n in window_size)):
        fail(ValueError, name, "window_size", f"must be two numbers (before, after), -1 for no limit, got {window_size!r}")
    return queries, keys


def _lengths(name: str, argument: str, cu_seq: Tensor, longest: str, limit: int, tensor: Tensor) -> list[int]:
    check_tensor(name, argument, cu_seq)
    if cu_seq.dtype not in (torch.int32, torch.int64) or cu_seq.dim() != 1 or not len(cu_seq):
        got = f"got {cu_seq.dtype} of shape {tuple(cu_seq.shape)}"
        fail(RuntimeError, name, argument, f"needs int32 or int64 of shape (sequences + 1,), {got}")
    places, tokens = cu_seq.tolist(), len(tensor)
    lengths = [after - before for before, after in itertools.pairwise(places)]
    if places[0] != 0 or places[-1] != tokens or min(lengths, default=0) < 0:
        needs = f"must rise from 0 to the number of tokens, {tokens}"
        fail(IndexError, name, argument, f"{needs}, got {places[:8]}{' ...' if len(places) > 8 else ''}")
    if max(lengths, default=0) > limit:
        fail(RuntimeError, name, longest, f"is {limit}, but a sequence of {argument} has {max(lengths)} tokens")
    return lengths
