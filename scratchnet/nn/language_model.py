"""A small decoder-only transformer language model: from tokens so far to scores for the next one."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import Module, ModuleList, init

from scratchnet.functions.checks import check_tensor, fail
from scratchnet.nn import functional as F
from scratchnet.nn.attention import MultiheadAttention
from scratchnet.nn.called import Called
from scratchnet.nn.dropout import Dropout
from scratchnet.nn.fused import add_dropped, add_norm
from scratchnet.nn.linear import Linear
from scratchnet.nn.mode import eval_mode
from scratchnet.nn.normalization import LayerNorm
from scratchnet.nn.sparse import Embedding
from scratchnet.nn.transformer import FeedForward


class DecoderBlock(Called, Module):
    """x = x + attention(norm(x)); x = x + feed_forward(norm(x)): x (B, T, C), where position t sees the positions up to t."""

    def __init__(self, embed_dim: int, num_heads: int, dropout: float, device=None, dtype=None) -> None:
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.norm1 = LayerNorm(embed_dim, **options)
        self.attention = MultiheadAttention(embed_dim, num_heads, dropout, batch_first=True, **options)
        self.norm2 = LayerNorm(embed_dim, **options)
        self.feed_forward = FeedForward(embed_dim, dropout=dropout, **options)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.norm1(x)
        y, _ = self.attention(y, y, y, need_weights=False, attn_mask=mask, is_causal=True)
        x, y = add_norm(x, self.dropout(y), self.norm2)
        return add_dropped(x, self.feed_forward(y), self.dropout)


class TransformerLM(Called, Module):
    """A pre-norm, causal transformer with learned positions, like GPT-2: tokens (B, T) -> logits (B, T, vocab_size).

    logits[:, t] scores what follows token t. tie_weights: the output layer reuses the token embedding's matrix. Weights are
    drawn from N(0, 0.02), the two per block that write to the residual stream scaled by 1/sqrt(2 num_layers); biases start at
    0. ValueError for sizes below 1, AssertionError unless num_heads divides embed_dim. Not in torch, whose Transformer is the
    encoder-decoder. Radford et al.: Language Models are Unsupervised Multitask Learners, 2019.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        context_length: int,
        dropout: float = 0.0,
        tie_weights: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        sizes = {"vocab_size": vocab_size, "num_layers": num_layers, "context_length": context_length}
        for name, size in sizes.items():
            if size < 1:
                fail(ValueError, "TransformerLM", name, f"must be at least 1, got {size}")
        options = {"device": device, "dtype": dtype}
        self.context_length = context_length
        self.token_embedding = Embedding(vocab_size, embed_dim, **options)
        self.position_embedding = Embedding(context_length, embed_dim, **options)
        self.dropout = Dropout(dropout)
        self.blocks = ModuleList([DecoderBlock(embed_dim, num_heads, dropout, **options) for _ in range(num_layers)])
        self.norm = LayerNorm(embed_dim, **options)
        self.head = Linear(embed_dim, vocab_size, bias=False, **options)
        if tie_weights:
            self.head.weight = self.token_embedding.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every matrix from N(0, 0.02), those that write to the residual stream smaller; biases 0, norms the identity."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                writes = name.endswith(("out_proj.weight", "down.weight"))
                init.normal_(parameter, std=0.02 / math.sqrt(2 * len(self.blocks)) if writes else 0.02)
            elif name.endswith("bias"):
                init.zeros_(parameter)
            else:
                init.ones_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T <= context_length, int64 or int32 below vocab_size -> logits (B, T, vocab_size)."""
        return self.head(self._features(tokens))

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy, in nats per token, of targets (B, T), -100 ignored; the logits are never held all at once."""
        x = self._features(tokens)
        check_tensor("TransformerLM.loss", "targets", targets)
        if targets.shape != tokens.shape:
            shapes = f"got {tuple(targets.shape)} and {tuple(tokens.shape)}"
            fail(ValueError, "TransformerLM.loss", "targets", f"must have the shape of tokens, a next token for each, {shapes}")
        return F.linear_cross_entropy(x.flatten(0, 1), self.head.weight, targets.flatten())

    def _features(self, tokens: Tensor) -> Tensor:
        check_tensor("TransformerLM", "tokens", tokens)
        if tokens.dim() != 2 or tokens.shape[1] > self.context_length:
            shape = f"needs shape (B, T) with T up to context_length = {self.context_length}, got {tuple(tokens.shape)}"
            hint = "call unsqueeze(0) on one sequence" if tokens.dim() == 1 else "cut it, or give the model a longer context"
            fail(ValueError, "TransformerLM", "tokens", f"{shape}; {hint}")
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        mask = steps[:, None] < steps  # (T, T), True: a later token, hidden
        x = self.dropout(self.token_embedding(tokens) + self.position_embedding(steps))  # (B, T, C)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    @torch.no_grad()
    def generate(
        self,
        tokens: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """tokens (B, T), T >= 1, with max_new_tokens more drawn from softmax(logits / temperature): (B, T + max_new_tokens).

        temperature 0 takes the likeliest token, top_k leaves the k likeliest to choose from; tokens further back than
        context_length are not seen. Runs in eval mode, without dropout, and then restores the mode of each module.
        ValueError for options out of range.
        """
        check_tensor("TransformerLM.generate", "tokens", tokens)
        if tokens.dim() != 2 or not tokens.shape[1]:
            shape = f"needs shape (B, T) with at least one token to continue from, got {tuple(tokens.shape)}"
            fail(ValueError, "TransformerLM.generate", "tokens", shape)
        if max_new_tokens < 0:
            fail(ValueError, "TransformerLM.generate", "max_new_tokens", f"must be 0 or more, got {max_new_tokens}")
        if not temperature >= 0:
            needs = f"must be 0 (the likeliest token) or more, got {temperature}"
            fail(ValueError, "TransformerLM.generate", "temperature", needs)
        if top_k is not None and top_k < 1:
            fail(ValueError, "TransformerLM.generate", "top_k", f"must be at least 1, or None for all tokens, got {top_k}")
        with eval_mode(self):
            for _ in range(max_new_tokens):
                logits = self(tokens[:, -self.context_length :])[:, -1]  # (B, V)
                tokens = torch.cat([tokens, _draw(logits, temperature, top_k, generator)], 1)
        return tokens


def _draw(logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None) -> Tensor:
    """One token per row of logits (B, V): (B, 1)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    logits = logits.float()
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    return torch.multinomial(F.softmax(logits / temperature, -1), 1, generator=generator)
