"""Exercise 04: gather whole rows, and send gradients home.

Each `...` is a blank for you to fill in. Then: scratchnet check 04
"""

import torch


def gather_rows(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The rows of x (R, D) at index (n,): (n, D). It uses x.gather along dim 0; you only build the index."""
    return x.gather(0, ...)


def scatter_add(g: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    """The backward of y = x[index], x (size,): g (n,) is the gradient of y; return that of x, (size,)."""
    dx = torch.zeros(size)
    ...
    return dx


def gather_backward(g: torch.Tensor, index: torch.Tensor, columns: int) -> torch.Tensor:
    """The backward of y = x.gather(1, index), x (R, columns): from g and index, both (R, n), to (R, columns).

    y[i][j] = x[i][index[i][j]]. Two loops are welcome.
    """
    dx = torch.zeros(len(g), columns)
    ...
    return dx
