"""Attention: each position takes a mean of the values at all positions, weighted by how well its query matches their keys."""

from __future__ import annotations

import math
import warnings

import torch.nn
from torch import Tensor
from torch.nn import Module, Parameter, init
from torch.nn.functional import pad

from scratchnet.functions.checks import check_tensor, fail
from scratchnet.functions.dispatch import unknown
from scratchnet.functions.matmul import matmul
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called
from scratchnet.nn.linear import Linear


class NonDynamicallyQuantizableLinear(Linear, torch.nn.modules.linear.NonDynamicallyQuantizableLinear):
    """A Linear with the class name that torch gives MultiheadAttention.out_proj."""


class MultiheadAttention(Called, torch.nn.MultiheadAttention):
    """softmax(Q K^T / sqrt(d) + mask) V in num_heads subspaces of d = embed_dim / num_heads, then one more projection.

    Q, K and V are linear in query (N, L, embed_dim), key (N, S, kdim) and value (N, S, vdim) if batch_first, else (L, N, ...),
    or without N. Dividing by sqrt(d) keeps the variance of the scores, sums of d products, at 1, where softmax still learns.
    dropout drops the probabilities that torch's layer drops for the same torch.manual_seed; after `layer.redraw = True`, and
    with need_weights=False, others, from a seed that backward draws them from again instead of reading them.
    ValueError for sizes below 1, AssertionError unless num_heads divides embed_dim.
    Vaswani et al.: Attention Is All You Need, https://arxiv.org/abs/1706.03762.
    """

    redraw = False

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        device=None,
        dtype=None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            sizes = f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads}"
            fail(ValueError, "MultiheadAttention", "embed_dim" if embed_dim <= 0 else "num_heads", sizes)
        if embed_dim % num_heads:
            sizes = f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}"
            fitting = [heads for heads in range(1, embed_dim + 1) if embed_dim % heads == 0]
            nearest = min(fitting, key=lambda heads: abs(heads - num_heads))
            fail(AssertionError, "MultiheadAttention", "num_heads", f"{sizes}; {nearest} heads would do")
        Module.__init__(self)
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads

        def parameter(wanted: bool, *shape: int) -> Parameter | None:
            return Parameter(torch.empty(shape, device=device, dtype=dtype)) if wanted else None

        together = self._qkv_same_embed_dim  # one matrix for all three projections, or one each; the unused ones are None
        weights = {
            "q_proj_weight": parameter(not together, embed_dim, embed_dim),
            "k_proj_weight": parameter(not together, embed_dim, self.kdim),
            "v_proj_weight": parameter(not together, embed_dim, self.vdim),
            "in_proj_weight": parameter(together, 3 * embed_dim, embed_dim),
            "in_proj_bias": parameter(bias, 3 * embed_dim),
        }
        for name, weight in weights.items():
            self.register_parameter(name, weight)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.bias_k = parameter(add_bias_kv, 1, 1, embed_dim)
        self.bias_v = parameter(add_bias_kv, 1, 1, embed_dim)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Xavier's distributions for the input projections, bias_k and bias_v; the other biases are 0."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(output in query's shape, weights): weights (N, L, S), (N, heads, L, S) if not averaged, None if not needed.

        key_padding_mask (N, S), attn_mask (L, S) or (N * heads, L, S): True hides a key, a float is added to its score.
        is_causal says that attn_mask is the causal mask: without key_padding_mask and need_weights it is not read, and may have
        another length. AssertionError or RuntimeError, as from torch, for shapes that do not fit.
        """
        if unknown((query, key, value)):
            options = (key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)
            return super().forward(query, key, value, *options)
        if is_causal and attn_mask is None:
            hint = "Transformer.generate_square_subsequent_mask makes it"
            fail(RuntimeError, "MultiheadAttention", "attn_mask", f"Need attn_mask if specifying the is_causal hint; {hint}")
        causal = is_causal and key_padding_mask is None and not need_weights
        batched = self._check(query, key, value, key_padding_mask, None if causal else attn_mask)
        extended = self.bias_k is not None or self.add_zero_attn
        if causal and extended:  # every query sees the added keys
            sequence = 1 if batched and self.batch_first else 0
            size = query.shape[sequence], key.shape[sequence]
            causal, attn_mask = False, torch.ones(size, dtype=torch.bool, device=query.device).triu(1)
        mask = None if causal else self._mask(query, key_padding_mask, attn_mask)

        # (N, heads, L, d), (N, heads, S, d), (N, heads, S, d)
        axes = (1, 2, 0, 3) if batched and not self.batch_first else (0, 2, 1, 3)
        q, k, v = (t.permute(axes) for t in self._project(query, key, value, batched))
        if extended:
            k, v, mask = self._extend(k, v, mask)
        dropout = self.dropout if self.training else 0.0
        if need_weights:
            scores = matmul(q * math.sqrt(1 / self.head_dim), k.mT)
            weights = F.softmax(scores if mask is None else scores + mask.to(scores.dtype), -1)
            weights = F.dropout(weights, dropout)
            y = matmul(weights, v)
        else:
            weights = None
            torchs = dropout and not self.redraw  # torch's own drops what torch's layer drops for the same seed
            attend = torch.nn.functional.scaled_dot_product_attention if torchs else F.scaled_dot_product_attention
            y = attend(q, k, v, None if mask is None else mask.to(q.dtype), dropout, causal)

        # (L, N, E), the heads side by side: torch's order in memory, so that a dropout after this draws the same mask
        y = F.linear(y.permute(2, 0, 1, 3).flatten(2), self.out_proj.weight, self.out_proj.bias)
        if not batched:
            y = y.squeeze(1)
        elif self.batch_first:
            y = y.transpose(0, 1)
        if weights is not None:
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        return y, weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor, batched: bool) -> tuple[Tensor, ...]:
        """The heads of Q, K, V, (N, L, heads, d) or (L, N, heads, d); inputs that are the same tensor share a product."""
        inputs, weight, bias = [query, key, value], self.in_proj_weight, self.in_proj_bias
        e = self.embed_dim
        if weight is None:
            sizes, weights = [e, e, e], [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        else:  # the matrices are stacked: one product serves inputs that are the same tensor
            sizes = [3 * e] if query is key is value else [e, 2 * e] if key is value else [e, e, e]
            weights = weight.split(sizes)
        biases = [None] * len(sizes) if bias is None else bias.split(sizes)
        heads = []
        for x, w, b in zip(inputs, weights, biases, strict=False):  # stops at the last weight
            y = F.linear(x if batched else x.unsqueeze(0), w, b)
            heads += y.unflatten(-1, (-1, self.num_heads, self.head_dim)).unbind(2)
        return tuple(heads)

    def _extend(self, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Append a key and value of learned biases, then one of zeros, where asked for; every query sees them."""
        if self.bias_k is not None:
            biases = (b.view(1, self.num_heads, 1, self.head_dim) for b in (self.bias_k, self.bias_v))
            k, v = (torch.cat([t, b.expand(t.shape[0], -1, -1, -1)], 2) for t, b in zip((k, v), biases, strict=True))
            mask = None if mask is None else pad(mask, (0, 1))
        if self.add_zero_attn:
            k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
            mask = None if mask is None else pad(mask, (0, 1))
        return k, v, mask

    def _mask(self, query: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None) -> Tensor | None:
        """Both masks combined into one to add to the scores, broadcastable to (N, heads, L, S)."""
        name = "MultiheadAttention"
        padding = additive_mask(name, "key_padding_mask", key_padding_mask, query.dtype, "attn_mask", attn_mask)
        mask = additive_mask(name, "attn_mask", attn_mask, query.dtype)
        if mask is not None:
            mask = mask.unflatten(0, (-1, self.num_heads)) if mask.dim() == 3 else mask[None, None]
        if padding is None:
            return mask
        padding = padding.reshape(-1, 1, 1, padding.shape[-1])
        return padding if mask is None else mask + padding

    def _check(self, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None) -> bool:
        """Whether the call is batched; raises for shapes that do not fit together."""

        def wrong(argument: str, problem: str, error: type[Exception] = AssertionError) -> None:
            fail(error, "MultiheadAttention", argument, problem)

        for argument, tensor in (("query", query), ("key", key), ("value", value)):
            check_tensor("MultiheadAttention", argument, tensor)
        dims = query.dim()
        if dims not in (2, 3):
            wrong("query", f"query should be unbatched 2D or batched 3D tensor but received {dims}-D query tensor")
        batched = dims == 3
        kind = "batched (3-D) `query`" if batched else "unbatched (2-D) `query`"
        if key.dim() != dims or value.dim() != dims:
            found = f"but found {key.dim()}-D and {value.dim()}-D tensors respectively"
            wrong("value" if key.dim() == dims else "key", f"For {kind}, expected `key` and `value` to be {dims}-D {found}")
        batch, sequence = (0, 1) if batched and self.batch_first else (1, 0)
        n, length, keys = query.shape[batch] if batched else 1, query.shape[sequence], key.shape[sequence]
        if query.shape[-1] != self.embed_dim:
            got = f"was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}"
            wrong("query", f"{got}: query is {tuple(query.shape)}")
        together = self._qkv_same_embed_dim
        if key.shape[:-1] != value.shape[:-1] or together and key.shape != value.shape:
            words = "key shape" if together else "key's sequence and batch dims, of shape"
            shapes = f"{tuple(key.shape)} does not match value shape {tuple(value.shape)}"
            wrong("value", f"{words} {shapes}: each key needs a value")
        for argument, tensor, size in (("key", key, self.kdim), ("value", value, self.vdim)):
            if tensor.shape[-1] != size:
                needs = f"needs a last axis of {argument[0]}dim = {size}, got {argument} {tuple(tensor.shape)}"
                wrong(argument, needs, RuntimeError if together else AssertionError)
        if batched and key.shape[batch] != n:
            order = "(N, L, E)" if self.batch_first else "(L, N, E), because batch_first=False"
            shapes = f"key {tuple(key.shape)} and query {tuple(query.shape)} are {order}"
            wrong("key", f"expected query's batch of {n} but got {key.shape[batch]}: {shapes}", RuntimeError)
        if padding is not None:
            if padding.dim() != dims - 1:
                found = f"but found {padding.dim()}-D tensor instead"
                wrong("key_padding_mask", f"For {kind}, expected `key_padding_mask` to be `None` or {dims - 1}-D {found}")
            needed = (n, keys) if batched else (keys,)
            if tuple(padding.shape) != needed:
                wrong("key_padding_mask", f"Expected key_padding_mask of shape {needed}, but got {tuple(padding.shape)}")
        if mask is not None:
            if mask.dim() not in (2, 3):
                found = f"but found {mask.dim()}-D tensor instead"
                wrong("attn_mask", f"For {kind}, expected `attn_mask` to be `None`, 2-D or 3-D {found}")
            needed = (length, keys) if mask.dim() == 2 else (n * self.num_heads, length, keys)
            if tuple(mask.shape) != needed:
                meaning = "(L, S)" if mask.dim() == 2 else "(N * num_heads, L, S)"
                got = f"The shape of the {mask.dim()}D attn_mask is {tuple(mask.shape)}, but should be {needed} = {meaning}"
                wrong("attn_mask", got, RuntimeError if batched or mask.dim() == 2 else AssertionError)
        return batched


def additive_mask(
    function: str, name: str, mask: Tensor | None, dtype: torch.dtype, other_name: str = "", other: Tensor | None = None
) -> Tensor | None:
    """A boolean mask (True: hidden) as 0 and -inf in `dtype`, to be added; a float mask as it is. Warns if dtypes differ."""
    if mask is None:
        return None
    if mask.dtype is not torch.bool and not mask.is_floating_point():
        hint = "call .bool() on it, True hides a key"
        needs = f"only bool and floating types of {name} are supported, got {mask.dtype}; {hint}"
        fail(AssertionError, function, name, needs)
    if other is not None and other.dtype != mask.dtype:
        advice = "is deprecated. Use same type for both instead."
        warnings.warn(f"Support for mismatched {name} and {other_name} {advice}", stacklevel=4)
    if mask.dtype is torch.bool:
        return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)
    return mask
