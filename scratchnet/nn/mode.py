"""Eval mode for a while."""

from __future__ import annotations

import contextlib
from typing import Iterator

from torch.nn import Module


@contextlib.contextmanager
def eval_mode(model: Module) -> Iterator[None]:
    """The model in eval mode inside; afterwards each of its modules in its own mode again, a frozen part in eval mode."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        model.train(before[0][1])  # a model may do more than change modes here
        for module, training in before:
            module.training = training
