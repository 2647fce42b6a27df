"""Exercise 04: an expanded index, and scatter-add with repeated indices along one axis and along rows."""

import torch

from scratchnet.course import drawn, task


def gathered_rows(gather_rows):
    x = drawn(torch.arange(12.0).reshape(4, 3))
    return {
        "the rows 2, 0, 2, 3, 2 of a (4, 3) tensor": gather_rows(x, drawn(torch.tensor([2, 0, 2, 3, 2]))),
        "the rows 1, 0 of a (3, 4) tensor": gather_rows(x.reshape(3, 4), drawn(torch.tensor([1, 0]))),
    }


@task(
    facts=gathered_rows,
    uses=("gather",),
    hints=(
        "The result has the shape of the index, so the index must be (n, D): the same row number in every column.",
        "First an axis for the columns, with unsqueeze; then repeat it along that axis, with expand.",
        "x.gather(0, index.unsqueeze(1).expand(-1, x.shape[1])): -1 leaves a size as it is.",
    ),
)
def gather_rows(x, index):
    return x.gather(0, index.unsqueeze(1).expand(-1, x.shape[1]))


@gather_rows.mistake
def first_column_only(x, index):
    """An index of one column gives a result of one column. Expand it to as many columns as x has."""
    return x.gather(0, index.unsqueeze(1))


@gather_rows.mistake
def plain_index(x, index):
    """x[index], index_select and embedding give the same rows, and that is how one writes it. This task is about gather: which
    index does x.gather(0, ...) need for it?"""
    return x[index]


@gather_rows.mistake
def one_axis(x, index):
    """The index must have as many axes as x, two. unsqueeze(1) gives it the second one; then expand it."""
    return x.gather(0, index)


@gather_rows.mistake
def crosswise(x, index):
    """Every column asks for a different row now: the index lies on its side. unsqueeze(1) stands it upright."""
    return x.gather(0, index[: x.shape[1]].unsqueeze(0).expand(len(index), -1))


@gather_rows.mistake
def along_the_columns(x, index):
    """dim 1 reads within each row: result[i][j] = x[i][index[i][j]]. Whole rows are picked along dim 0."""
    return x.gather(1, index[: len(x), None].clamp(max=x.shape[1] - 1).expand(-1, x.shape[1]))


def gradients_of_a_vector(scatter_add):
    g, index = drawn(torch.tensor([10.0, 20.0, 30.0, 40.0])), drawn(torch.tensor([2, 0, 2, 1]))
    return {
        "dx for g = 10, 20, 30, 40 and index = 2, 0, 2, 1 into 5 places": scatter_add(g, index, 5),
        "dx for the index 0, 0, 0, 0": scatter_add(g, torch.zeros(4, dtype=torch.int64), 5),
    }


@task(
    facts=gradients_of_a_vector,
    hints=(
        "Each g[i] goes to dx[index[i]], and what is already there must stay: add.",
        "A loop over i does it. So does a method of tensors whose name begins with index_.",
        "dx.index_add_(0, index, g), or: for i, k in enumerate(index): dx[k] += g[i]",
    ),
)
def scatter_add(g, index, size):
    return torch.zeros(size).index_add_(0, index, g)


@scatter_add.mistake
def last_one_wins(g, index, size):
    """Place 2 occurs twice and got only its last gradient. `dx[index] = g` overwrites, and `dx[index] += g` reads all places
    before it writes: add one gradient after the other."""
    dx = torch.zeros(size)
    dx[index] += g
    return dx


@scatter_add.mistake
def mean_of_the_copies(g, index, size):
    """Gradients of copies are added, not averaged: if x[2] grows, both copies grow, and the loss feels both."""
    count = torch.zeros(size).index_add_(0, index, torch.ones(len(g)))
    return torch.zeros(size).index_add_(0, index, g) / count.clamp(min=1)


@scatter_add.mistake
def gathered_again(g, index, size):
    """g[index] reads through the index once more. The way back writes through it: g[i] goes to dx[index[i]]."""
    dx = torch.zeros(size)
    dx[: len(g)] = g[index]
    return dx


@scatter_add.mistake
def counted(g, index, size):
    """That counts how often each place occurs. What arrives there is the gradient: add g[i], not 1."""
    return torch.zeros(size).index_add_(0, index, torch.ones(len(g)))


@scatter_add.mistake
def in_their_order(g, index, size):
    """The gradients stayed where they were: the index is not used. g[i] goes to dx[index[i]]."""
    dx = torch.zeros(size)
    dx[: len(g)] = g
    return dx


@scatter_add.mistake
def never_written(g, index, size):
    """dx is 0 everywhere. `dx[index].add_(g)` and dx.index_add(...) without _ write into a copy: dx.index_add_(0, index, g), or
    `dx[k] += ...` in a loop."""
    return torch.zeros(size)


def gradients_of_rows(gather_backward):
    g = drawn(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
    index = drawn(torch.tensor([[1, 0, 1], [3, 3, 3]]))
    return {"dx for g = [[1, 2, 3], [10, 20, 30]] and index = [[1, 0, 1], [3, 3, 3]]": gather_backward(g, index, 4)}


@task(
    facts=gradients_of_rows,
    hints=(
        "Every row is a scatter_add of its own.",
        "y[i][j] came from x[i][index[i][j]]; so g[i][j] goes to dx[i][index[i][j]].",
        "for i in range(len(g)): for j in range(g.shape[1]): dx[i, index[i, j]] += g[i, j]",
    ),
)
def gather_backward(g, index, columns):
    dx = torch.zeros(len(g), columns)
    for i in range(len(g)):
        for j in range(g.shape[1]):
            dx[i, index[i, j]] += g[i, j]
    return dx


@gather_backward.mistake
def assigned(g, index, columns):
    """`=` and scatter_ forget what came before: for repeated indices only the last gradient is left. Add with `+=`, or with
    scatter_add_."""
    dx = torch.zeros(len(g), columns)
    for i in range(len(g)):
        for j in range(g.shape[1]):
            dx[i, index[i, j]] = g[i, j]
    return dx


@gather_backward.mistake
def all_into_one_row(g, index, columns):
    """The gradients of all rows were added together in the first one. Row i stays row i: dx[i, index[i, j]]."""
    dx = torch.zeros(len(g), columns)
    for i in range(len(g)):
        for j in range(g.shape[1]):
            dx[0, index[i, j]] += g[i, j]
    return dx


@gather_backward.mistake
def columns_swapped(g, index, columns):
    """The target is the place that the index names, not the place j: dx[i, index[i, j]] += g[i, j]."""
    dx = torch.zeros(len(g), columns)
    for i in range(len(g)):
        for j in range(g.shape[1]):
            dx[i, j] += g[i, index[i, j] % g.shape[1]]
    return dx


@gather_backward.mistake
def gathered_gradients(g, index, columns):
    """`g.gather` reads through the index. The way back writes through it, with zeros where nothing arrives."""
    return g.gather(1, index % g.shape[1])


@gather_backward.mistake
def along_the_rows(g, index, columns):
    """dim 0 sends g[i][j] to the row index[i][j]. The forward read along axis 1, within a row: so does the way back."""
    return torch.zeros(len(g), columns).scatter_add_(0, index, g)


@gather_backward.mistake
def not_in_place(g, index, columns):
    """dx is 0 everywhere: scatter_add without _ returns a new tensor and leaves dx as it is. Take scatter_add_, or loops with
    `+=`."""
    return torch.zeros(len(g), columns)
