"""The loss that a model of Transformers computes by itself, recognised by its values."""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor
from torch.nn import Module

from scratchnet.accelerate.head import later
from scratchnet.nn import functional as F


def next_token_loss(
    logits: Tensor,
    labels: Tensor | None,
    vocab_size: int,
    num_items_in_batch: Tensor | int | None = None,
    ignore_index: int = -100,
    shift_labels: Tensor | None = None,
    **unused: Any,
) -> Tensor:
    """Cross-entropy of logits (B, T, V) with the label one place further: labels (B, T), or shift_labels, already moved.

    The mean over the labels that are not ignore_index, or the sum over num_items_in_batch. In float32, whatever the logits are.
    Logits that nobody has read are not made for it.
    """
    if shift_labels is None:
        shift_labels = F.pad(labels, (0, 1), value=ignore_index)[..., 1:]
    targets = shift_labels.reshape(-1).to(logits.device)
    options = {"ignore_index": ignore_index, "reduction": "mean" if num_items_in_batch is None else "sum"}
    loss = F.cross_entropy(logits.float().reshape(-1, vocab_size), targets, **options)
    return loss if num_items_in_batch is None else loss / num_items_in_batch


def give_back(model: Module) -> None:
    """Let every model of Transformers inside whose loss is ours have the one of its kind again."""
    for module in model.modules():
        if vars(module).get("_loss_function") is next_token_loss:
            del module._loss_function


def is_next_token_loss(loss: Callable) -> bool:
    """Whether a loss function of Transformers' form has the values and gradients of ours, with logits and without."""
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(shape, generator=generator).requires_grad_() for shape in ((2, 5, 6), (11, 6)))
    labels = torch.tensor([[3, -100, 7, 0, 10], [1, 2, -100, -100, 4]])
    try:
        for options in (
            {"labels": labels},
            {"labels": labels, "num_items_in_batch": 7},
            {"labels": None, "shift_labels": labels},
            {"labels": labels.clamp(min=0), "ignore_index": 7},
        ):
            logits = hidden @ weight.T
            found = []
            for function, given in ((loss, logits), (next_token_loss, logits), (next_token_loss, later(hidden, weight, None))):
                value = function(logits=given, vocab_size=11, **options)
                found.append([value, *torch.autograd.grad(value, (hidden, weight), retain_graph=True)])
            theirs, *ours = found
            if not all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for one in ours for a, b in zip(theirs, one, strict=True)):
                return False
        return True
    except Exception:  # another signature: another loss
        return False
