"""Our attention as one of those that a model of Transformers can choose: attn_implementation="scratchnet"."""

from __future__ import annotations

import sys
from typing import Any, Callable

from torch import Tensor
from torch.nn import Module

from scratchnet.nn import functional as F

NAME = "scratchnet"


def attention(
    module: Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """query (B, H, L, E), key and value (B, G, S, E) with G heads that divide H -> (B, L, H, E), in Transformers' form.

    Without a mask a query sees the keys up to its own place if the layer is causal; a single query sees all of them, the cache.
    Grouped heads are not repeated. `softcap` and `s_aux`, a sink for each head, are taken where a model has them.
    """
    if options.get("position_bias") is not None:
        return _torchs()(module, query, key, value, attention_mask, dropout, scaling, is_causal, **options)
    queries, causal = query.shape[2], getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = bool(queries > 1 and attention_mask is None and causal)
    if causal:  # a static cache may have room for more
        key, value = key[:, :, :queries], value[:, :, :queries]
    grouped = key.shape[1] != query.shape[1]
    further = {"softcap": options.get("softcap"), "sinks": options.get("s_aux")}
    y = F.scaled_dot_product_attention(
        query, key, value, attention_mask, dropout, causal, scale=scaling, enable_gqa=grouped, **further
    )
    return y.transpose(1, 2).contiguous(), None


def choose(model: Module) -> Callable[[], None] | None:
    """Let a model of Transformers that uses torch's attention use ours; return what undoes it, or None for another model."""
    if getattr(getattr(model, "config", None), "_attn_implementation", None) != "sdpa" or not _torchs():
        return None
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, AttentionMaskInterface()["sdpa"])
    model.set_attn_implementation(NAME)
    if model.config._attn_implementation != NAME:  # a model whose attention is written out
        return None
    return lambda: model.set_attn_implementation("sdpa")


def give_back(model: Module) -> None:
    """Let every model inside that uses our attention use torch's again."""
    for module in model.modules():
        if getattr(getattr(module, "config", None), "_attn_implementation", None) == NAME:
            module.set_attn_implementation("sdpa")


def _torchs() -> Callable | None:
    """Transformers' own call of torch's attention, if Transformers is there."""
    return getattr(sys.modules.get("transformers.integrations.sdpa_attention"), "sdpa_attention_forward", None)
