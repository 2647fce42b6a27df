"""Flatten and Unflatten: merge neighbouring axes into one, split one into several."""

from __future__ import annotations

import torch.nn
from torch import Tensor

from scratchnet.functions.checks import fail
from scratchnet.nn.called import Called


class Flatten(Called, torch.nn.Flatten):
    """(N, C, H, W) -> (N, C * H * W): the axes start_dim..end_dim become one; a view where the strides allow it.

    RuntimeError if start_dim comes after end_dim, IndexError for an axis that the input does not have.
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Called, torch.nn.Unflatten):
    """(N, C * H * W) -> (N, C, H, W): the axis dim becomes several of these sizes, one of which may be -1; a view.

    TypeError unless the sizes are integers; RuntimeError if their product is not the size of dim.
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        if not isinstance(unflattened_size, (tuple, list)):
            problem = f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}"
            fail(TypeError, "Unflatten", "unflattened_size", problem)
        for position, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                found = f"but found element of type {type(size).__name__} at pos {position}"
                fail(TypeError, "Unflatten", "unflattened_size", f"unflattened_size must be tuple of ints, {found}")
        super().__init__(dim, unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)
