"""Wrong answers to exercise 07, each with words of what it must be told."""

import numpy as np
import torch


def product_shape__test_turned_round(a, b):
    """The test is the wrong way round"""
    if a[-1] == b[-2]:
        return None
    return torch.broadcast_shapes(a[:-2], b[:-2]) + (a[-2], b[-1])


def product_shape__a_list(a, b):
    """the values are right, but yours is a list, [2, 4]; it should be a tuple"""
    return [*torch.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1]] if a[-1] == b[-2] else None


def chain_flops__one_number(m, k, n, p):
    """chain_flops returns a number; it should return a tuple"""
    return 2 * m * k * n + 2 * m * n * p


def matmul_in_tiles__dot(a, b, size):
    """`@` got the whole matrices"""
    return a.dot(b)


def matmul_in_tiles__elsewhere(a, b, size):
    """there is no `@` of tiles of a and b in it"""
    return np.asarray(a) @ np.asarray(b)


def product_backward__first_only(g, a, b):
    """the gradient of A (2, 3): yours has the shape (3,)"""
    return g @ b.T
