"""The transformer decoder layer, and encoder and decoder together."""

from __future__ import annotations

from typing import Any

import torch.nn
from torch import Tensor
from torch.nn import Module, TransformerDecoder

from scratchnet.functions.checks import fail
from scratchnet.functions.dispatch import unknown
from scratchnet.nn import functional as F
from scratchnet.nn.attention import MultiheadAttention
from scratchnet.nn.called import Called
from scratchnet.nn.dropout import Dropout
from scratchnet.nn.fused import add_norm, linear_activation
from scratchnet.nn.linear import Linear
from scratchnet.nn.normalization import LayerNorm
from scratchnet.nn.transformer import Activation, TransformerEncoder, TransformerEncoderLayer, activation_of


class TransformerDecoderLayer(Called, torch.nn.TransformerDecoderLayer):
    """An encoder layer with one more attention, to `memory`, the encoder's result (S, N, E): tgt (L, N, E) -> (L, N, E).

    Without N, or with N first if batch_first. Post-norm: x = norm(x + block(x)); pre-norm (norm_first): x + block(norm(x)).
    RuntimeError for an activation that is neither "relu", "gelu" nor a callable.
    Vaswani et al., https://arxiv.org/abs/1706.03762.
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
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **options)
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, **options)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, **options)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, **options)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = activation_of("TransformerDecoderLayer", activation)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """tgt (L, N, E) -> the same shape; masks (L, L) and (L, S) or N * nhead of them, padding masks (N, L) and (N, S)."""
        to_itself = tgt_mask, tgt_key_padding_mask, tgt_is_causal
        to_memory = memory_mask, memory_key_padding_mask, memory_is_causal
        if unknown((tgt, memory)):
            masks = (mask for pair in zip(to_itself, to_memory, strict=True) for mask in pair)
            return super().forward(tgt, memory, *masks)
        if self.norm_first:
            x, y = add_norm(tgt, self._sa_block(self.norm1(tgt), *to_itself), self.norm2)
            x, y = add_norm(x, self._mha_block(y, memory, *to_memory), self.norm3)
            return x + self._ff_block(y)
        _, x = add_norm(tgt, self._sa_block(tgt, *to_itself), self.norm1)
        _, x = add_norm(x, self._mha_block(x, memory, *to_memory), self.norm2)
        _, x = add_norm(x, self._ff_block(x), self.norm3)
        return x

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout3(self.linear2(self.dropout(linear_activation(self.linear1, x, self.activation))))


class Transformer(Called, torch.nn.Transformer):
    """Encoder and decoder of "Attention Is All You Need": src (S, N, E), tgt (L, N, E) -> (L, N, E), E = d_model.

    Without N, or with N first if batch_first. A custom_encoder or custom_decoder takes the place of ours.
    RuntimeError for sizes that do not fit. Vaswani et al., https://arxiv.org/abs/1706.03762.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        custom_encoder: Any | None = None,
        custom_decoder: Any | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        options = {"bias": bias, "device": device, "dtype": dtype}
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first)
        if custom_encoder is None:
            layer = TransformerEncoderLayer(*sizes, **options)
            norm = LayerNorm(d_model, layer_norm_eps, **options)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        self.encoder = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*sizes, **options)
            norm = LayerNorm(d_model, layer_norm_eps, **options)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Masks as in the two layers; a hint that is None: look whether the mask is causal."""
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.shape[batch] != tgt.shape[batch]:
            problem = f"the batch number of src and tgt must be equal, got {src.shape[batch]} and {tgt.shape[batch]}"
            fail(RuntimeError, "Transformer", "tgt", problem)
        for argument, value in (("src", src), ("tgt", tgt)):
            if value.shape[-1] != self.d_model:
                needs = f"the feature number of src and tgt must be equal to d_model, {self.d_model}"
                fail(RuntimeError, "Transformer", argument, f"{needs}, got {value.shape[-1]}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
