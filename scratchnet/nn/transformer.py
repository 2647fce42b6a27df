"""The feed-forward block, the transformer encoder layer and a stack of them."""

from __future__ import annotations

import copy
from typing import Callable

import torch.nn
from torch import Tensor
from torch.nn import Module, ModuleList

from scratchnet.functions.checks import fail
from scratchnet.functions.dispatch import unknown
from scratchnet.nn import functional as F
from scratchnet.nn.attention import MultiheadAttention, additive_mask
from scratchnet.nn.called import Called
from scratchnet.nn.dropout import Dropout
from scratchnet.nn.fused import add_norm, linear_activation
from scratchnet.nn.linear import Linear
from scratchnet.nn.normalization import LayerNorm

Activation = Callable[[Tensor], Tensor]
GATED = {"swiglu": "silu", "geglu": "gelu", "reglu": "relu", "glu": "sigmoid"}  # a block with a gate -> the gate's activation


def activation_of(name: str, activation: str | Activation, gated: str = "") -> Activation:
    """The function that a layer's argument stands for; RuntimeError, in the layer's name, for an unknown one."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        problem = f"activation should be relu/gelu{gated}, not {activation}; pass any other function as a callable"
        fail(RuntimeError, name, "activation", problem)
    return getattr(F, activation)


class FeedForward(Called, Module):
    """down(dropout(activation(up(x)))): x (..., embed_dim) -> (..., hidden_dim) -> (..., embed_dim), each position by itself.

    hidden_dim=None is 4 * embed_dim; activation "gelu", "relu" or a function; RuntimeError for another name. The activation is
    applied in the epilogue of the first product. Two thirds of a transformer's weights live here.
    activation "swiglu", "geglu", "reglu" or "glu": down(dropout(act(gate(x)) * up(x))), act silu, gelu, relu or sigmoid, with a
    third matrix; hidden_dim = 8 / 3 embed_dim then keeps the number of weights. Shazeer, https://arxiv.org/abs/2002.05202.
    """

    def __init__(
        self,
        embed_dim: int,
        hidden_dim: int | None = None,
        activation: str | Activation = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        hidden_dim = 4 * embed_dim if hidden_dim is None else hidden_dim
        gated = isinstance(activation, str) and activation in GATED
        self.gate = Linear(embed_dim, hidden_dim, bias, device, dtype) if gated else None
        self.up = Linear(embed_dim, hidden_dim, bias, device, dtype)
        self.activation = GATED[activation] if gated else activation_of("FeedForward", activation, f" or {'/'.join(GATED)}")
        self.dropout = Dropout(dropout)
        self.down = Linear(hidden_dim, embed_dim, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        if self.gate is None:
            return self.down(self.dropout(linear_activation(self.up, input, self.activation)))
        return self.down(self.dropout(F.gated(self.gate(input), self.up(input), self.activation)))


class TransformerEncoderLayer(Called, torch.nn.TransformerEncoderLayer):
    """Self-attention, then a feed-forward block, each with a residual: src (L, N, E), (L, E) or, batch_first, (N, L, E).

    Post-norm: x = norm(x + block(x)). Pre-norm (norm_first): x = x + block(norm(x)), whose residual stream nothing rescales.
    RuntimeError for an activation that is neither "relu", "gelu" nor a callable.
    Vaswani et al., https://arxiv.org/abs/1706.03762; pre-norm: Xiong et al., https://arxiv.org/abs/2002.04745.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        options = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **options)
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **options)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **options)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = activation_of("TransformerEncoderLayer", activation)
        # 0: torch's TransformerEncoder makes no nested tensors of what ours gets, as it does for its own layers.
        self.activation_relu_or_gelu = 0

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """src (L, N, E) -> the same shape; src_mask (L, L) or (N * nhead, L, L), src_key_padding_mask (N, L)."""
        if unknown((src,)):
            return super().forward(src, src_mask, src_key_padding_mask, is_causal)
        name = "TransformerEncoderLayer"
        padding = additive_mask(name, "src_key_padding_mask", src_key_padding_mask, src.dtype, "src_mask", src_mask)
        mask = additive_mask(name, "src_mask", src_mask, src.dtype)
        if self.norm_first:
            x, y = add_norm(src, self._sa_block(self.norm1(src), mask, padding, is_causal), self.norm2)
            return x + self._ff_block(y)
        _, x = add_norm(src, self._sa_block(src, mask, padding, is_causal), self.norm1)
        _, x = add_norm(x, self._ff_block(x), self.norm2)
        return x

    def _sa_block(self, x: Tensor, attn_mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor:
        y, _ = self.self_attn(x, x, x, padding, need_weights=False, attn_mask=attn_mask, is_causal=is_causal)
        return self.dropout1(y)

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(linear_activation(self.linear1, x, self.activation))))


class TransformerEncoder(Called, torch.nn.TransformerEncoder):
    """num_layers copies of an encoder layer, one after the other, then `norm`: src (L, N, E) -> the same shape.

    The copies start with equal parameters. The last two arguments are for torch's nested tensors and have no effect here.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        Module.__init__(self)
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = False
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """mask (L, L) or (N * nhead, L, L), src_key_padding_mask (N, L); is_causal=None: check whether mask is causal."""
        name = "TransformerEncoder"
        padding = additive_mask(name, "src_key_padding_mask", src_key_padding_mask, src.dtype, "mask", mask)
        mask = additive_mask(name, "mask", mask, src.dtype)
        if is_causal is None:
            is_causal = mask is not None and self._is_causal(mask, src)
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        return src if self.norm is None else self.norm(src)

    def _is_causal(self, mask: Tensor, src: Tensor) -> bool:
        """Whether mask hides the keys after each query and nothing else; False in a compiled graph, which cannot look."""
        length = src.shape[1 if src.dim() == 3 and self.layers[0].self_attn.batch_first else 0]
        if mask.shape != (length, length) or torch.compiler.is_compiling():
            return False
        return torch.equal(mask, torch.full_like(mask, -torch.inf).triu(1))
