"""Exercise 07: the shape rule with batches, flops of a chain, a product of tiles, the two products back."""

import numpy as np
import torch

from scratchnet.course import best, task


def shapes_of_products(product_shape):
    return {
        "the shape of (2, 3) @ (3, 4)": product_shape((2, 3), (3, 4)),
        "the shape of (2, 3) @ (2, 3)": product_shape((2, 3), (2, 3)),
        "the shape of (2, 3) @ (4, 3)": product_shape((2, 3), (4, 3)),
        "the shape of (7, 2, 3) @ (3, 4)": product_shape((7, 2, 3), (3, 4)),
        "the shape of (2, 3) @ (7, 3, 4)": product_shape((2, 3), (7, 3, 4)),
        "the shape of (5, 1, 2, 3) @ (6, 3, 4)": product_shape((5, 1, 2, 3), (6, 3, 4)),
    }


@task(
    facts=shapes_of_products,
    hints=(
        "The last two axes are the matrices: the last of a meets the last but one of b. Everything in front is the batch.",
        "a[:-2] and b[:-2] are the batch shapes, a[-2] and b[-1] the sizes that stay. Tuples are put together with +.",
        "(*torch.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1]), and None if a[-1] != b[-2]",
    ),
)
def product_shape(a, b):
    if a[-1] != b[-2]:
        return None
    return (*torch.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


@product_shape.mistake
def counted_from_the_front(a, b):
    """a[0] and b[1] are right for two plain matrices only. With a batch in front the matrix axes are a[-2] and b[-1]: count
    from the end."""
    return (a[0], b[1]) if a[1] == b[0] else None


@product_shape.mistake
def batch_of_the_first(a, b):
    """The batch was taken from a alone. b may have batch axes too, and sizes of 1 are stretched: torch.broadcast_shapes."""
    return (*a[:-1], b[-1]) if a[-1] == b[-2] else None


@product_shape.mistake
def last_with_last(a, b):
    """The last axis of a meets the last but one of b, not the last: rows of A are paired with columns of B."""
    return (*torch.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1]) if a[-1] == b[-1] else None


@product_shape.mistake
def everything_fits(a, b):
    """(2, 3) and (2, 3) do not fit: 3 numbers in a row against 2 in a column. The inner sizes must be equal."""
    return (*torch.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def bills(chain_flops):
    return {"flops of both bracketings for m, k, n, p = 2, 3, 5, 7": chain_flops(2, 3, 5, 7)}


@task(
    facts=bills,
    hints=(
        "One product of (M, K) and (K, N) costs 2 M N K. Each bracketing takes two of them.",
        "A @ B is (m, n): the second product is (m, n) @ (n, p). Which shape does B @ C have?",
        "2 * m * n * k + 2 * m * p * n for the first; for the second B @ C is (k, p)",
    ),
)
def chain_flops(m, k, n, p):
    return 2 * m * n * k + 2 * m * p * n, 2 * k * p * n + 2 * m * p * k


@chain_flops.mistake
def multiplications_only(m, k, n, p):
    """That counts the multiplications. Each comes with an addition: two flops."""
    return m * n * k + m * p * n, k * p * n + m * p * k


@chain_flops.mistake
def first_product_only(m, k, n, p):
    """That is the inner product alone. Its result is then multiplied by the third matrix, and that is work too."""
    return 2 * m * n * k, 2 * k * p * n


@chain_flops.mistake
def brackets_do_not_matter(m, k, n, p):
    """The results are the same, the bills are not: with the brackets around B @ C the first product is (k, n) @ (n, p)."""
    return 2 * m * n * k + 2 * m * p * n, 2 * m * n * k + 2 * m * p * n


def three_loops(a, b):
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                y[i, j] += a[i, k] * b[k, j]
    return y


def products_and_speed(matmul_in_tiles):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(4, 8)), random.normal(size=(8, 6))
    seen = {"a (4, 8) times b (8, 6) in tiles of 2": matmul_in_tiles(a, b, 2)}
    a, b = random.normal(size=(5, 7)), random.normal(size=(7, 3))
    seen["a (5, 7) times b (7, 3) in tiles of 4"] = matmul_in_tiles(a, b, 4)
    a, b = random.normal(size=(32, 32)), random.normal(size=(32, 32))
    fast = 3 * best(lambda: matmul_in_tiles(a, b, 16)) < best(lambda: three_loops(a, b), times=3)
    return seen | {"it is at least three times as fast as three loops over numbers": fast}


@task(
    facts=products_and_speed,
    hints=(
        "One tile of the result is a sum of products of tiles: a whole row of tiles of a meets a column of tiles of b.",
        "A third loop, over k in range(0, a.shape[1], size), adds up the products. Which tile of a, and which of b?",
        "for k in ...: y[i : i + size, j : j + size] += a[i : i + size, k : k + size] @ b[k : k + size, j : j + size]",
    ),
)
def matmul_in_tiles(a, b, size):
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(0, a.shape[0], size):
        for j in range(0, b.shape[1], size):
            for k in range(0, a.shape[1], size):
                y[i : i + size, j : j + size] += a[i : i + size, k : k + size] @ b[k : k + size, j : j + size]
    return y


@matmul_in_tiles.mistake
def last_tile_wins(a, b, size):
    """Each product of tiles replaced the one before. They are added up: `+=`."""
    last = range(0, a.shape[1], size)[-1]
    return a[:, last:] @ b[last:]


@matmul_in_tiles.mistake
def one_pair_of_tiles(a, b, size):
    """A tile of the result needs the whole row of tiles of a and the whole column of tiles of b: a third loop, over k."""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(0, a.shape[0], size):
        for j in range(0, b.shape[1], size):
            y[i : i + size, j : j + size] = a[i : i + size, :size] @ b[:size, j : j + size]
    return y


@matmul_in_tiles.mistake
def edge_forgotten(a, b, size):
    """What does not fill a whole tile was left out. range(0, K, size) reaches the last, smaller one; K // size does not."""
    full = a.shape[1] // size * size
    return a[:, :full] @ b[:full]


@matmul_in_tiles.mistake
def one_entry_at_a_time(a, b, size):
    """The product is right, but every number takes a step of Python. Leave the work within two tiles to `@`."""
    return three_loops(a, b)


def gradients_of_a_product(product_backward):
    a, b = torch.arange(6.0).reshape(2, 3), torch.arange(12.0).reshape(3, 4)
    g = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.5, 0.0, 3.0, 1.0]])
    da, db = product_backward(g, a, b)
    return {"the gradient of A (2, 3)": da, "the gradient of B (3, 4)": db}


@task(
    facts=gradients_of_a_product,
    hints=(
        "The gradient of A has the shape of A. Which of the three matrices can be multiplied to get that shape?",
        "(M, K) from g (M, N) and b (K, N): one of them has to be transposed. The same for (K, N).",
        "g @ b.T, a.T @ g",
    ),
)
def product_backward(g, a, b):
    return g @ b.T, a.T @ g


@product_backward.mistake
def not_transposed(g, a, b):
    """The inner sizes do not fit: g is (M, N) and b is (K, N), so b must be transposed for its N to meet that of g. Likewise
    for a."""
    return g @ b, a @ g


@product_backward.mistake
def each_others(g, a, b):
    """Those are the gradients in the wrong order: the first has the shape of B. Return that of A first."""
    return a.T @ g, g @ b.T


@product_backward.mistake
def lying_down(g, a, b):
    """Both are transposed: b @ g.T has the shape (K, M). A gradient has the shape of what it belongs to: g @ b.T, a.T @ g."""
    return b @ g.T, g.T @ a


@product_backward.mistake
def upstream_forgotten(g, a, b):
    """g is not used. These are the gradients of the plain sum of Y, for which g is all ones."""
    ones = torch.ones_like(g)
    return ones @ b.T, a.T @ ones
