"""Other numbers in the facts of an exercise: `drawn(x)` is x, unless somebody asks for a draw (`scratchnet check --seed N`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

FACTORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8)  # short, so that the reader can still calculate
Numbers = TypeVar("Numbers", float, Tensor, np.ndarray)

_generator: torch.Generator | None = None


@contextmanager
def other_numbers(seed: int) -> Iterator[None]:
    """Within it, `drawn` draws with this seed; 0 leaves all numbers as they are.

    The generator is its own: an answer that draws random numbers, or seeds torch, does not change what comes after it.
    """
    global _generator
    before, _generator = _generator, torch.Generator().manual_seed(seed) if seed else None
    try:
        yield
    finally:
        _generator = before


def drawn(x: Numbers) -> Numbers:
    """Other numbers of the same kind and dtype: each row in another order and, if they are floating, times one factor.

    Equal entries, zeros, signs, infinite ones and the order of magnitude are kept, and whole numbers stay in their range: they
    may be classes or places.
    """
    if _generator is None:
        return x
    factor = FACTORS[int(torch.randint(len(FACTORS), (1,), generator=_generator))]
    if isinstance(x, float):
        return x * factor
    old = torch.from_numpy(x) if isinstance(x, np.ndarray) else x.detach()
    if old.dim():
        old = old.gather(-1, torch.rand(old.shape, generator=_generator).argsort(dim=-1))
    new = old * factor if old.is_floating_point() else old.clone()
    return new.numpy() if isinstance(x, np.ndarray) else new.requires_grad_(x.requires_grad)
