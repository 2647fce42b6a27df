"""Why a call of rope is wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_float, check_tensor, fail
from scratchnet.functions.explain.gather import outside

NAME = "rope"


def rope(
    query: Tensor,
    key: Tensor,
    cos: Tensor,
    sin: Tensor,
    position_ids: Tensor | None = None,
    unsqueeze_dim: int = 1,
    interleaved: bool = False,
) -> None:
    for argument, value in (("query", query), ("key", key), ("cos", cos), ("sin", sin)):
        check_float(NAME, argument, value)
        if argument != "query":
            check_device(NAME, argument, value, "query", query)
    _check_options(unsqueeze_dim, interleaved)
    _check_heads(query, key, unsqueeze_dim)
    if sin.dtype is not cos.dtype or sin.shape != cos.shape:
        kinds = f"cos is {cos.dtype} {tuple(cos.shape)}, sin {sin.dtype} {tuple(sin.shape)}"
        fail(RuntimeError, NAME, "sin", f"must have the dtype and the shape of cos, but {kinds}")
    _check_size(query, cos)
    batch, tokens = query.shape[0], query.shape[3 - unsqueeze_dim]
    if position_ids is None:
        _check_rows(cos, batch, tokens)
    else:
        _check_positions(query, cos, position_ids, batch, tokens)


def _check_options(unsqueeze_dim: int, interleaved: bool) -> None:
    if type(unsqueeze_dim) is not int:
        fail(TypeError, NAME, "unsqueeze_dim", f"must be int, not {type(unsqueeze_dim).__name__}")
    if unsqueeze_dim not in (1, 2):
        problem = f"must be 1, for a query of (B, H, T, D), or 2, for (B, T, H, D), got {unsqueeze_dim}"
        fail(ValueError, NAME, "unsqueeze_dim", problem)
    if type(interleaved) is not bool:
        fail(TypeError, NAME, "interleaved", f"must be bool, not {type(interleaved).__name__}")


def _check_heads(query: Tensor, key: Tensor, unsqueeze_dim: int) -> None:
    axes = "(B, H, T, D)" if unsqueeze_dim == 1 else "(B, T, H, D)"
    for argument, value in (("query", query), ("key", key)):
        if value.dim() != 4:
            fix = f"; x.unsqueeze({unsqueeze_dim}) makes a single head of (B, T, D)" if value.dim() == 3 else ""
            fail(RuntimeError, NAME, argument, f"needs four axes, {axes}, got {tuple(value.shape)}{fix}")
    if key.dtype is not query.dtype:
        problem = f"must have query's dtype, {query.dtype}, got {key.dtype}; call key.to(query.dtype)"
        fail(RuntimeError, NAME, "key", problem)
    for name, axis in (("B", 0), ("T", 3 - unsqueeze_dim), ("D", 3)):
        if key.shape[axis] != query.shape[axis]:
            problem = f"may differ from query in the number of heads alone: {axes}, query {tuple(query.shape)}"
            fix = f"; unsqueeze_dim={3 - unsqueeze_dim} is for {('(B, H, T, D)', '(B, T, H, D)')[unsqueeze_dim == 1]}"
            fail(RuntimeError, NAME, "key", f"{problem}, got {tuple(key.shape)}, another {name}{fix if name == 'T' else ''}")


def _check_size(query: Tensor, cos: Tensor) -> None:
    if cos.dim() < 2:
        fail(RuntimeError, NAME, "cos", f"needs a row for each token, (T, R) or (B, T, R), got {tuple(cos.shape)}")
    rotary, size = cos.shape[-1], query.shape[3]
    if rotary % 2:
        problem = f"its last size R is how many columns are turned, in pairs: it must be even, got {tuple(cos.shape)}"
        fail(RuntimeError, NAME, "cos", problem)
    if rotary > size:
        problem = f"its last size R is how many of query's {size} columns are turned, got {tuple(cos.shape)}"
        fail(RuntimeError, NAME, "cos", problem)


def _check_rows(cos: Tensor, batch: int, tokens: int) -> None:
    if cos.dim() > 3 or cos.shape[-2] != tokens or cos.dim() == 3 and cos.shape[0] not in (1, batch):
        wanted = f"({tokens}, R), (1, {tokens}, R) or ({batch}, {tokens}, R)"
        fix = "; of a table, position_ids picks the rows" if cos.dim() == 2 and cos.shape[0] > tokens else ""
        fix = "; the axis of the heads is added here: leave cos.unsqueeze out" if cos.dim() == 4 else fix
        fail(RuntimeError, NAME, "cos", f"needs a row for each token, {wanted}, got {tuple(cos.shape)}{fix}")


def _check_positions(query: Tensor, cos: Tensor, position_ids: Tensor, batch: int, tokens: int) -> None:
    check_tensor(NAME, "position_ids", position_ids)
    check_device(NAME, "position_ids", position_ids, "query", query)
    if position_ids.dtype not in (torch.int64, torch.int32):
        fail(RuntimeError, NAME, "position_ids", f"must be int64 or int32, got {position_ids.dtype}; call .long() on it")
    if cos.dim() != 2:
        problem = f"with position_ids it is a table (N, R), got {tuple(cos.shape)}"
        fail(RuntimeError, NAME, "cos", f"{problem}; if its rows are those of the tokens, leave position_ids out")
    if (
        position_ids.dim() not in (1, 2)
        or position_ids.shape[-1] != tokens
        or position_ids.shape[:-1] not in ((), (1,), (batch,))
    ):
        problem = f"needs a position for each token, ({tokens},), (1, {tokens}) or ({batch}, {tokens})"
        fail(RuntimeError, NAME, "position_ids", f"{problem}, got {tuple(position_ids.shape)}")
    if position_ids.is_cpu and (wrong := outside(position_ids, cos.shape[0])):
        value, where = wrong
        fail(IndexError, NAME, "position_ids", f"index {value} is out of range of a table with {cos.shape[0]} rows, {where}")
