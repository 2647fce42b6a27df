"""Exercise 07: shapes, costs, tiles and gradients of matrix products.

Each `...` is a blank for you to fill in. Then: scratchnet check 07
"""

import numpy as np
import torch


def product_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of A @ B for shapes a and b of two or more axes, batch axes in front; None if the inner sizes do not fit.

    product_shape((7, 2, 3), (3, 4)) is (7, 2, 4), product_shape((2, 3), (2, 3)) is None.
    torch.broadcast_shapes does for the batch axes what lesson 06 says; slices of a and b are shapes, too.
    """
    if ...:
        return None
    return ...


def chain_flops(m: int, k: int, n: int, p: int) -> tuple[int, int]:
    """The flops of (A @ B) @ C and of A @ (B @ C), for A (m, k), B (k, n), C (n, p)."""
    return ..., ...


def matmul_in_tiles(a: np.ndarray, b: np.ndarray, size: int) -> np.ndarray:
    """A @ B for a (M, K) and b (K, N), in tiles of size x size; at the edges tiles may be smaller.

    `@` may be used on two tiles. A slice that reaches past the end, such as a[4:8] of 6 rows, takes what is there.
    """
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(0, a.shape[0], size):
        for j in range(0, b.shape[1], size):
            y[i : i + size, j : j + size] = ...
    return y


def product_backward(g: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The backward of Y = A @ B: from the gradient g (M, N) of Y, the gradients of A (M, K) and of B (K, N)."""
    return ..., ...
