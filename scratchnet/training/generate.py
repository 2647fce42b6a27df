"""Text from a language model."""

from __future__ import annotations

import torch
from torch.nn import Module

from scratchnet.data.text import BOUNDARY, Vocabulary
from scratchnet.functions.cross_entropy import softmax
from scratchnet.nn.mode import eval_mode


@torch.no_grad()
def generate(
    model: Module,
    vocabulary: Vocabulary,
    context: int,
    length: int,
    *,
    prompt: str = "",
    generator: torch.Generator | None = None,
) -> str:
    """Continue `prompt` by up to `length` characters, each drawn from softmax(logits), until the model ends the text.

    model: ids (1, context) -> logits (1, len(vocabulary)); run in eval mode, after which every module has its own mode again.
    """
    ids = [BOUNDARY] * context + vocabulary.encode(prompt).tolist()
    start = len(ids)
    with eval_mode(model):
        while len(ids) < start + length:
            probabilities = softmax(model(torch.tensor([ids[-context:]])), dim=-1)
            ids.append(torch.multinomial(probabilities, 1, generator=generator).item())
            if ids[-1] == BOUNDARY:
                break
    return vocabulary.decode(ids[start:])
