"""Exercise 07: the shape rule with batches, flops of a chain, the loop order that walks along rows, the two products back."""

import numpy as np
import torch

from scratchnet.teaching import best, task


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
    """(2, 3) and (2, 3) do not fit: 3 numbers of a row against 2 of a column. The inner sizes must be equal."""
    return (*torch.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def bills(chain_flops):
    return {"flops of both brackets for m, k, n, p = 2, 3, 5, 7": chain_flops(2, 3, 5, 7)}


@task(
    facts=bills,
    hints=(
        "One product of (M, K) and (K, N) costs 2 M N K. Here are two of them for each bracket.",
        "A @ B is (m, n): the second product is (m, n) @ (n, p). Which shape has B @ C?",
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
    """The results are the same, the bills are not: with the bracket around B @ C the first product is (k, n) @ (n, p)."""
    return 2 * m * n * k + 2 * m * p * n, 2 * m * n * k + 2 * m * p * n


def three_loops(a, b):
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                y[i, j] += a[i, k] * b[k, j]
    return y


def product_and_speed(matmul_by_rows):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(5, 4)), random.normal(size=(4, 600))
    facts = {
        "[[1, 2], [3, 4]] @ [[5, 6, 7], [8, 9, 10]]": matmul_by_rows(
            np.array([[1, 2], [3, 4]]), np.array([[5, 6, 7], [8, 9, 10]])
        )
    }
    facts["the product of a (5, 4) and a (4, 600) matrix"] = matmul_by_rows(a, b)
    fast = 3 * best(lambda: matmul_by_rows(a, b)) < best(lambda: three_loops(a, b), times=3)
    return facts | {"it is at least three times as fast as three loops": fast}


@task(
    facts=product_and_speed,
    hints=(
        "A row of the result is a mixture of the rows of b. The numbers of the mixture stand in a row of a.",
        "Loop over i and k. Which row of b does a[i, k] weigh, and to which row of y is it added?",
        "for i in range(a.shape[0]): for k in range(a.shape[1]): y[i] += a[i, k] * b[k]",
    ),
)
def matmul_by_rows(a, b):
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            y[i] += a[i, k] * b[k]
    return y


@matmul_by_rows.mistake
def one_entry_at_a_time(a, b):
    """The product is right, but every entry takes a step of Python. Leave the loop over j to NumPy: y[i] += a[i, k] * b[k]."""
    return three_loops(a, b)


@matmul_by_rows.mistake
def assigned(a, b):
    """`=` keeps only the last row of the mixture. The rows are added up: `+=`."""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            y[i] = a[i, k] * b[k]
    return y


@matmul_by_rows.mistake
def row_of_the_same_number(a, b):
    """Row i of the result does not come from row i of b: each a[i, k] weighs the row b[k]."""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            y[i] += a[i, k] * b[min(i, len(b) - 1)]
    return y


@matmul_by_rows.mistake
def transposed_weights(a, b):
    """The weights of row i stand in *row* i of a: a[i, k], not a[k, i]."""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            y[i] += a[k, min(i, a.shape[1] - 1)] * b[k]
    return y


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
    """The inner sizes do not fit: g is (M, N) and b is (K, N), so b must be transposed to meet g with its N. The same for a."""
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
    """g has no part in it. These are the gradients of the plain sum of Y, for which g is all ones."""
    ones = torch.ones_like(g)
    return ones @ b.T, a.T @ ones
