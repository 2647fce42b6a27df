"""Eval mode inside a `with` block."""

from __future__ import annotations

import contextlib
from typing import Iterator

from torch.nn import Module


@contextlib.contextmanager
def eval_mode(model: Module) -> Iterator[None]:
    """The model is in eval mode inside; afterwards each module has its own mode again: a frozen part stays in eval mode."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        model.train(before[0][1])  # a model may do more in train() than change modes
        for module, training in before:
            module.training = training
