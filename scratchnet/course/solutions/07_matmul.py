"""Exercise 07: the shape rule with batches, flops of a chain, a product of tiles, the two products back."""

import numpy as np
import torch

from scratchnet.course import drawn, task


def shapes_of_products(product_shape):
    return {
        "the shape of (2, 3) @ (3, 4)": product_shape((2, 3), (3, 4)),
        "the shape of (2, 3) @ (2, 3)": product_shape((2, 3), (2, 3)),
        "the shape of (2, 3) @ (4, 3)": product_shape((2, 3), (4, 3)),
        "the shape of (2, 3) @ (4, 5)": product_shape((2, 3), (4, 5)),
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


@product_shape.mistake
def test_turned_round(a, b):
    """The test is the wrong way round: it says None where the sizes fit. They do not fit if a[-1] != b[-2]."""
    return None if a[-1] == b[-2] else (*torch.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


@product_shape.mistake
def inner_size_kept(a, b):
    """The inner size is summed over and gone. What stays of the two matrices is a[-2] and b[-1]."""
    return (*torch.broadcast_shapes(a[:-2], b[:-2]), *a[-2:], b[-1]) if a[-1] == b[-2] else None


@product_shape.mistake
def columns_first(a, b):
    """Rows come first: a[-2] rows, then b[-1] columns."""
    return (*torch.broadcast_shapes(a[:-2], b[:-2]), b[-1], a[-2]) if a[-1] == b[-2] else None


@product_shape.mistake
def both_batches(a, b):
    """The batch axes were put one behind the other. They meet as in lesson 06: torch.broadcast_shapes(a[:-2], b[:-2])."""
    return (*a[:-2], *b[:-2], a[-2], b[-1]) if a[-1] == b[-2] else None


def bills(chain_flops):
    facts = {}
    for m, k, n, p in ((2, 3, 5, 7), (4, 2, 6, 1)):
        first, second = chain_flops(m, k, n, p)
        facts |= {f"flops of (A @ B) @ C for m, k, n, p = {m}, {k}, {n}, {p}": first}
        facts |= {f"flops of A @ (B @ C) for m, k, n, p = {m}, {k}, {n}, {p}": second}
    return facts


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


@chain_flops.mistake
def other_order(m, k, n, p):
    """The bills are right, but in the wrong order: that of (A @ B) @ C comes first."""
    return 2 * k * p * n + 2 * m * p * k, 2 * m * n * k + 2 * m * p * n


@chain_flops.mistake
def one_addition_less(m, k, n, p):
    """k products need k - 1 additions, that is true. But everybody counts 2 M N K, as the first sum is added to a zero."""
    return m * n * (2 * k - 1) + m * p * (2 * n - 1), k * p * (2 * n - 1) + m * p * (2 * k - 1)


@chain_flops.mistake
def bills_multiplied(m, k, n, p):
    """The two products are done one after the other: their bills are added, not multiplied."""
    return 2 * m * n * k * 2 * m * p * n, 2 * k * p * n * 2 * m * p * k


def three_loops(a, b):
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                y[i, j] += a[i, k] * b[k, j]
    return y


class Noted(np.ndarray):
    """An array that notes the shapes of the factors of every matrix product, and of the pieces that are cut from it."""

    factors: list[tuple[int, ...]] = []
    pieces: list[tuple[int, ...]] = []

    def __getitem__(self, index):
        piece = super().__getitem__(index)
        self.pieces.append(np.shape(piece))
        return piece

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        plain = [x.view(np.ndarray) if isinstance(x, Noted) else x for x in inputs]
        if ufunc is np.matmul:
            self.factors.extend(x.shape for x in plain)
        return getattr(ufunc, method)(*plain, **options)

    def __array_function__(self, function, types, args, kwargs):
        plain = [x.view(np.ndarray) if isinstance(x, Noted) else x for x in args]
        if function in (np.dot, np.einsum, np.tensordot, np.inner):
            self.factors.extend(x.shape for x in plain if isinstance(x, np.ndarray))
        return function(*plain, **kwargs)

    def dot(self, other):
        return np.dot(self, other)


def size_of_tiles(size, whole):
    """What was multiplied: "tiles", "stripes", "whole arrays", or "numbers" if nothing else can be seen."""
    if not Noted.factors:  # tiles that were copied into arrays of another kind were at least cut out
        return "tiles" if any(len(piece) == 2 and max(piece) <= size for piece in Noted.pieces) else "numbers"
    if max(max(shape) for shape in Noted.factors) <= size:
        return "tiles"
    return "whole arrays" if set(whole) <= set(Noted.factors) else "stripes"


def products_of_tiles(matmul_in_tiles):
    random = np.random.default_rng(torch.initial_seed())
    seen = {}
    for m, k, n, size in ((4, 8, 6, 2), (5, 7, 3, 4), (6, 3, 7, 2)):
        a, b = random.normal(size=(m, k)).view(Noted), random.normal(size=(k, n)).view(Noted)
        Noted.factors.clear()
        Noted.pieces.clear()
        seen[f"a ({m}, {k}) times b ({k}, {n}) in tiles of {size}"] = np.asarray(matmul_in_tiles(a, b, size))
        seen[f"what is multiplied in tiles of {size}"] = size_of_tiles(size, (a.shape, b.shape))
    return seen


@task(
    facts=products_of_tiles,
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
    y = np.zeros((a.shape[0], b.shape[1]))
    for i, j, k in np.ndindex(*(-(-n // size) for n in (*y.shape, a.shape[1]))):
        i, j, k = i * size, j * size, k * size
        y[i : i + size, j : j + size] = a[i : i + size, k : k + size] @ b[k : k + size, j : j + size]
    return y


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
    return matmul_in_tiles(a[:, :full], b[:full], size)


@matmul_in_tiles.mistake
def one_entry_at_a_time(a, b, size):
    """The product is right, but there is no `@` of tiles of a and b in it: every number takes a step of Python, or another
    library did it. Leave the work within two tiles to `@`."""
    return three_loops(a, b)


@matmul_in_tiles.mistake
def without_tiles(a, b, size):
    """The product is right, but `@` got the whole matrices. The task is to build it from products of tiles, size x size."""
    return a @ b


@matmul_in_tiles.mistake
def stripes(a, b, size):
    """The product is right, but in stripes: a whole row of tiles times a whole column of tiles. A third loop, over k, cuts them
    into tiles."""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i in range(0, a.shape[0], size):
        for j in range(0, b.shape[1], size):
            y[i : i + size, j : j + size] = a[i : i + size] @ b[:, j : j + size]
    return y


@matmul_in_tiles.mistake
def multiplied_entries(a, b, size):
    """`*` multiplies entry by entry. A product of two tiles is a matrix product: `@`."""
    y = np.zeros((a.shape[0], b.shape[1]))
    for i, j, k in np.ndindex(*(-(-n // size) for n in (*y.shape, a.shape[1]))):
        i, j, k = i * size, j * size, k * size
        y[i : i + size, j : j + size] += a[i : i + size, k : k + size] * b[k : k + size, j : j + size]
    return y


def gradients_of_a_product(product_backward):
    a, b = drawn(torch.arange(6.0).reshape(2, 3)), drawn(torch.arange(12.0).reshape(3, 4))
    g = drawn(torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.5, 0.0, 3.0, 1.0]]))
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


@product_backward.mistake
def saved_twice(g, a, b):
    """The gradient of A is right. That of B has the shape of B, (K, N): a must be transposed, for its M to meet that of g."""
    return g @ b.T, g.T @ a
