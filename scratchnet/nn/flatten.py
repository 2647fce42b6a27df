"""Flatten: merge neighbouring axes into one."""

from torch import Tensor
from torch.nn import Module


class Flatten(Module):
    """(N, C, H, W) -> (N, C * H * W): the axes start_dim..end_dim become one; a view where the strides allow it."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
