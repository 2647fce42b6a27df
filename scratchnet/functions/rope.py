"""Rotary position embedding: query and key, turned by the angles of their positions."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import is_float
from scratchnet.functions.dispatch import Function, Operator, gradients, or_torch, torch_runs
from scratchnet.functions.explain import rope as explain
from scratchnet.ops.rope import RopeOptions


class Rope(Function):
    """y = x cos + R(x) sin, R a quarter turn of each pair;  dx = grad cos - R(grad sin): turned back, from the angles alone."""

    @staticmethod
    def forward(ctx, kernel, q, k, cos, sin, positions, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(cos, sin, positions)
        return kernel.forward(q, k, cos, sin, positions, options)

    @staticmethod
    def backward(ctx, grad_q, grad_k):
        return gradients(ctx, grad_q, grad_k, *ctx.saved_tensors, ctx.options)


_rope = Operator("rope", Rope, constant=("cos", "sin"), wide=True)


@or_torch(_rope.op.torch, explain=explain.rope)
def rope(
    query: Tensor,
    key: Tensor,
    cos: Tensor,
    sin: Tensor,
    position_ids: Tensor | None = None,
    unsqueeze_dim: int = 1,
    interleaved: bool = False,
) -> tuple[Tensor, Tensor]:
    """Rotary position embedding: x * cos + rotate_half(x) * sin for query and key in one pass; returns both.

    query (B, H, T, D), key (B, Hk, T, D), or tokens first, (B, T, H, D), with unsqueeze_dim=2. cos and sin (T, R), (1, T, R) or
    (B, T, R), or a table (N, R) whose rows position_ids (T,), (1, T) or (B, T) names. The first R of the D columns are turned,
    the others copied. R is the full size, with each angle twice: torch.cat((a, a), -1) for halves, a.repeat_interleave(2, -1)
    if interleaved. Pairs are (j, j + R / 2) as in Llama, or interleaved (2j, 2j + 1) as in GPT-J. The results have query's
    dtype and lie in memory as query does; beside 16-bit numbers, cos and sin should be float32.
    RuntimeError if shapes, dtypes or devices do not fit, ValueError for another unsqueeze_dim, IndexError for a position that
    is out of range. Su et al., https://arxiv.org/abs/2104.09864; apply_rotary_pos_emb of Hugging Face's transformers.
    """
    if not (
        is_float(query)
        and isinstance(key, Tensor)
        and is_float(cos)
        and isinstance(sin, Tensor)
        and query.dtype is key.dtype
        and cos.dtype is sin.dtype
        and query.device == key.device == cos.device == sin.device
        and type(unsqueeze_dim) is int
        and unsqueeze_dim in (1, 2)
        and type(interleaved) is bool
        and query.dim() == key.dim() == 4
        and (query.shape[0], query.shape[3 - unsqueeze_dim], query.shape[3])
        == (key.shape[0], key.shape[3 - unsqueeze_dim], key.shape[3])
        and cos.shape == sin.shape
        and cos.dim() > 1
        and cos.shape[-1] % 2 == 0
        and cos.shape[-1] <= query.shape[3]
        and _one_for_each_token(cos, position_ids, query.shape[0], query.shape[3 - unsqueeze_dim])
        and (position_ids is None or position_ids.device == query.device)
    ):
        explain.rope(query, key, cos, sin, position_ids, unsqueeze_dim, interleaved)
    options = {"unsqueeze_dim": unsqueeze_dim, "interleaved": interleaved}
    if torch_runs(query, _rope.op, (), options):  # only now: torch's products take other shapes too
        return _rope.op.torch(query, key, cos, sin, position_ids, **options)
    wide = torch.float64 if query.dtype is torch.float64 else torch.float32
    if cos.dtype is not wide and cos.dtype is not query.dtype:
        cos, sin = cos.to(wide), sin.to(wide)
    if position_ids is not None:
        position_ids = position_ids.long()
        position_ids = position_ids.unsqueeze(0) if position_ids.dim() == 1 else position_ids
    elif cos.dim() == 2:
        cos, sin = cos.unsqueeze(0), sin.unsqueeze(0)
    if unsqueeze_dim == 1 and query.stride(1) < query.stride(2):  # a projection's heads: kernels write what is contiguous
        options = RopeOptions(2, interleaved)
        q, k = _rope(query.transpose(1, 2), key.transpose(1, 2), cos, sin, position_ids, options)
        return q.transpose(1, 2), k.transpose(1, 2)
    return _rope(query, key, cos, sin, position_ids, RopeOptions(unsqueeze_dim, interleaved))


def _one_for_each_token(cos: Tensor, position_ids: Tensor | None, batch: int, tokens: int) -> bool:
    """Whether there is a row of cos for each token, or a table and a position for each token."""
    if position_ids is None:
        return cos.shape[-2] == tokens and (cos.dim() == 2 or cos.dim() == 3 and cos.shape[0] in (1, batch))
    return (
        cos.dim() == 2
        and isinstance(position_ids, Tensor)
        and position_ids.dtype in (torch.int64, torch.int32)
        and position_ids.dim() in (1, 2)
        and position_ids.shape[-1] == tokens
        and (position_ids.dim() == 1 or position_ids.shape[0] in (1, batch))
    )
