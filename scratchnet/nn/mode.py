"""Eval mode for a while."""

from __future__ import annotations

import contextlib
from typing import Iterator

from torch.nn import Module


@contextlib.contextmanager
def eval_mode(model: Module) -> Iterator[None]:
    """Inside, the model is in eval mode; afterwards, each of its modules is in its own mode again, a frozen part in eval mode.

    Concept 51: train and eval mode.
    """
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        model.train(before[0][1])  # a model may do more than change modes here
        for module, training in before:
            module.training = training
