"""Right answers to exercise 07, in other styles than ours."""

import numpy as np
import torch


def product_shape__size_and_tuple(a, b):
    """a torch.Size and a tuple, put together"""
    if a[-1] != b[-2]:
        return None
    return torch.broadcast_shapes(a[:-2], b[:-2]) + (a[-2], b[-1])


def product_shape__asks_torch(a, b):
    """torch's own product"""
    if a[-1] == b[-2]:
        return (torch.empty(a) @ torch.empty(b)).shape


def product_shape__tries(a, b):
    """a product that may fail"""
    try:
        return tuple(np.matmul(np.zeros(a), np.zeros(b)).shape)
    except ValueError:
        return None


def product_shape__unpacked(a, b):
    """unpacked shapes and broadcasting by hand"""
    *left, m, k = a
    *right, k2, n = b
    if k != k2:
        return None
    length = max(len(left), len(right))
    left, right = [1] * (length - len(left)) + left, [1] * (length - len(right)) + right
    return (*(max(sizes) for sizes in zip(left, right, strict=True)), m, n)


def chain_flops__factored(m, k, n, p):
    """factored out"""
    return 2 * m * n * (k + p), 2 * k * p * (n + m)


def chain_flops__floats(m, k, n, p):
    """floats"""
    return 2.0 * m * k * n + 2.0 * m * n * p, 2.0 * k * n * p + 2.0 * m * k * p


def chain_flops__helper(m, k, n, p):
    """a function for one product"""

    def flops(rows, inner, columns):
        return 2 * rows * inner * columns

    return flops(m, k, n) + flops(m, n, p), flops(k, n, p) + flops(m, k, p)


def matmul_in_tiles__sum(a, b, size):
    """a sum of tiles"""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(0, a.shape[0], size):
        for j in range(0, b.shape[1], size):
            products = [a[i : i + size, k : k + size] @ b[k : k + size, j : j + size] for k in range(0, a.shape[1], size)]
            y[i : i + size, j : j + size] = sum(products)
    return y


def matmul_in_tiles__accumulator(a, b, size):
    """a tile that collects, and np.matmul"""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(0, a.shape[0], size):
        for j in range(0, b.shape[1], size):
            tile = np.zeros_like(y[i : i + size, j : j + size])
            for k in range(0, a.shape[1], size):
                tile += np.matmul(a[i : i + size, k : k + size], b[k : k + size, j : j + size])
            y[i : i + size, j : j + size] = tile
    return y


def matmul_in_tiles__other_order(a, b, size):
    """the loop over k outside, and dot"""
    y = np.zeros((len(a), b.shape[1]))
    for k in range(0, len(b), size):
        for i in range(0, len(a), size):
            for j in range(0, b.shape[1], size):
                y[i : i + size, j : j + size] += a[i : i + size, k : k + size].dot(b[k : k + size, j : j + size])
    return y


def matmul_in_tiles__packed(a, b, size):
    """tiles copied before they are multiplied"""
    y = np.zeros((a.shape[0], b.shape[1]))
    for k in range(0, len(b), size):
        for j in range(0, b.shape[1], size):
            packed = np.ascontiguousarray(b[k : k + size, j : j + size])
            for i in range(0, len(a), size):
                y[i : i + size, j : j + size] += np.array(a[i : i + size][:, k : k + size]) @ packed
    return y


def product_backward__matmul(g, a, b):
    """matmul and mT"""
    return torch.matmul(g, b.mT), torch.matmul(a.mT, g)


def product_backward__einsum(g, a, b):
    """einsum"""
    return torch.einsum("mn,kn->mk", g, b), torch.einsum("mk,mn->kn", a, g)


def product_backward__transposed(g, a, b):
    """the transposes of the transposed products"""
    da = (b @ g.t()).t()
    db = (g.t() @ a).t()
    return [da, db]
