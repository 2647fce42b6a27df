"""Cross-entropy, rung 3: the kernels of rung 2 on tiles of rows.

A row of ten classes gives the threads of a program nothing to do: short rows share a program, and rows that lie side by side in
memory, such as the pixels of an image with its classes first, are read together. Rung 2 counts the passes over memory.
"""

from functools import partial

from torch import Tensor

from scratchnet.kernels.cross_entropy.online import backward, forward
from scratchnet.kernels.online_softmax import layout

tiles = partial(layout, dim=1)


def cross_entropy_forward(*args) -> tuple[Tensor, Tensor, Tensor]:
    return forward(tiles, *args)


def cross_entropy_backward(*args) -> Tensor:
    return backward(tiles, *args)
