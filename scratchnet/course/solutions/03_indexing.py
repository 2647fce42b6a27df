"""Exercise 03: slices, masks, and one entry per row in three ways."""

import torch

from scratchnet.course import drawn, task


def a_slice_and_its_memory(last_columns):
    x = drawn(torch.arange(20.0).reshape(5, 4))
    part = last_columns(x)
    facts = {"its shape for x of (5, 4)": tuple(part.shape), "its values": part.tolist()}
    x[4, 3] = 100
    facts["it is a view: it sees what is written into x"] = bool((part == 100).any())
    return facts | {"its values for x of (4, 5)": last_columns(drawn(torch.arange(20.0).reshape(4, 5))).tolist()}


@task(
    facts=a_slice_and_its_memory,
    hints=(
        "Two slices, one for the rows and one for the columns.",
        "A slice is start:end:step. Without start it begins at 0, without end it goes to the end; -2 is the last but one.",
        "x[::2, -2:]",
    ),
)
def last_columns(x):
    return x[::2, -2:]


@last_columns.mistake
def without_the_last(x):
    """The end of a slice is not part of it: -2:-1 is only one column. Leave the end out to go up to the last one."""
    return x[::2, -2:-1]


@last_columns.mistake
def first_two_rows(x):
    """:2 is an end: it takes the first two rows. Every second row is ::2, a step."""
    return x[:2, -2:]


@last_columns.mistake
def columns_and_rows_swapped(x):
    """The first place of an index is for the rows, the second for the columns."""
    return x[-2:, ::2]


@last_columns.mistake
def counted_from_the_left(x):
    """2: begins at column 2, and these are the last two only where there are four columns. -2: counts from the end."""
    return x[::2, 2:]


@last_columns.mistake
def from_row_one(x):
    """1::2 begins with row 1. Every second row beginning with row 0 is ::2."""
    return x[1::2, -2:]


@last_columns.mistake
def all_rows(x):
    """All rows are there. Every second one takes a step in the first place of the index, ::2."""
    return x[:, -2:]


@last_columns.mistake
def one_column(x):
    """-2 without the colon is a single column, the last but one. -2: is from there to the end."""
    return x[::2, -2]


@last_columns.mistake
def copied(x):
    """The values are right, but it is a copy: clone(), contiguous() and a list or a tensor as index copy; slices give views."""
    return x[::2, -2:].clone()


def missing_values(without_missing):
    x = drawn(torch.tensor([[1.0, torch.nan], [torch.inf, -2.0]]))
    result = without_missing(x)
    return {"x after the call": x, "what is returned": result}


@task(
    facts=missing_values,
    hints=(
        "Which question do you ask every entry, and which function chooses between two tensors and keeps the shape?",
        "NaN is not equal to anything, not even to itself. x.isnan() asks the right question.",
        "torch.where(x.isnan(), 0.0, x)",
    ),
)
def without_missing(x):
    return torch.where(x.isnan(), 0.0, x)


@without_missing.mistake
def in_place(x):
    """x itself has changed: an assignment through a mask writes into it, and so does a method that ends in _. torch.where makes
    a new tensor."""
    x[x.isnan()] = 0
    return x


@without_missing.mistake
def compared_with_nan(x):
    """The NaN is still there. It equals nothing, not even itself, and 0 times NaN is NaN: ask x.isnan(), then choose."""
    return torch.where(x == torch.nan, 0.0, x)


@without_missing.mistake
def only_the_rest(x):
    """A mask as an index gives the entries that are left, all in one row: the shape is lost. torch.where keeps it."""
    return x[~x.isnan()]


@without_missing.mistake
def infinities_too(x):
    """Infinity is not missing: nan_to_num replaces it too, with the largest number there is. Ask x.isnan()."""
    return x.nan_to_num()


@without_missing.mistake
def everything_else_gone(x):
    """where takes its second argument where the mask says yes: the two are swapped, and the good numbers became 0."""
    return torch.where(x.isnan(), x, 0.0)


@without_missing.mistake
def only_finite_numbers(x):
    """Infinity is a number to keep, and isfinite() says no to it. Ask x.isnan()."""
    return torch.where(x.isfinite(), x, 0.0)


def picked(pick):
    logits = drawn(torch.tensor([[2.0, 0.5, -torch.inf], [0.1, 0.2, 3.0], [-1.0, 1.5, 0.0], [0.3, 0.9, -0.4]]))
    y = drawn(torch.tensor([0, 2, 1, 2]))
    return {
        "its shape for logits (4, 3), y (4,)": tuple(pick(logits, y).shape),
        "its values": pick(logits, y),
        "of a single row": pick(logits[:1], y[:1]),
        "its dtype for float64 logits": pick(logits.double(), y).dtype,
    }


@task(
    facts=picked,
    without=("gather", "masked_select"),
    hints=(
        "Two lists of indices are read together: first row with first column, second with second.",
        "The columns are y. The rows are 0, 1, 2, ..., as many as there are labels.",
        "logits[torch.arange(len(y)), y]",
    ),
)
def pick_by_pairs(logits, y):
    return logits[torch.arange(len(y)), y]


@pick_by_pairs.mistake
def whole_columns(logits, y):
    """logits[:, y] means all rows, and from each the columns y: a (B, B) table. Pair every row with its own column."""
    return logits[:, y]


@pick_by_pairs.mistake
def rows_instead(logits, y):
    """logits[y] takes whole rows, the rows with the numbers y. The classes are columns."""
    return logits[y]


@pick_by_pairs.mistake
def largest_of_each_row(logits, y):
    """That is the largest entry of each row, the network's guess. The task asks for the entry of the right class, y."""
    return logits.max(dim=1).values


@pick_by_pairs.mistake
def by_gather(logits, y):
    """The numbers are right, but they came through gather, the next task. Here: two indices in one pair of brackets."""
    return logits.gather(1, y.unsqueeze(1)).squeeze(1)


@pick_by_pairs.mistake
def by_a_mask(logits, y):
    """The numbers are right, but they came through a mask, a later task. Here: two indices in one pair of brackets."""
    return logits[y.unsqueeze(1) == torch.arange(logits.shape[1])]


@pick_by_pairs.mistake
def a_range_of_rows(logits, y):
    """A slice is not paired: `:len(y)` means all rows, and from each the columns y. Write the row numbers down,
    torch.arange(len(y))."""
    return logits[: len(y), y][None]


@pick_by_pairs.mistake
def indices_swapped(logits, y):
    """The first index is for the rows, the second for the columns: first 0, 1, 2, ..., then y."""
    return logits[y, torch.arange(len(y))]


@task(
    facts=picked,
    uses=("gather",),
    hints=(
        "gather along the axis of the classes. Its index must have as many axes as logits.",
        "The index is a column (B, 1), so the result is one too: put an axis on, take it off.",
        "logits.gather(1, y.unsqueeze(1)).squeeze(1)",
    ),
)
def pick_by_gather(logits, y):
    return logits.gather(1, y.unsqueeze(1)).squeeze(1)


@pick_by_gather.mistake
def axis_left_on(logits, y):
    """The result has the shape of the index, (B, 1). squeeze(1) takes off the axis that unsqueeze(1) put on."""
    return logits.gather(1, y.unsqueeze(1))


@pick_by_gather.mistake
def squeezes_everything(logits, y):
    """squeeze() without a number removes every axis of size 1, and a batch of one loses its batch axis. Say squeeze(1)."""
    return logits.gather(1, y.unsqueeze(1)).squeeze()


@pick_by_gather.mistake
def along_the_rows(logits, y):
    """dim=0 walks down the rows: result[i][j] = logits[index[i][j]][j]. The classes are along axis 1."""
    return logits.gather(0, y.unsqueeze(1)).squeeze(1)


@pick_by_gather.mistake
def index_of_one_axis(logits, y):
    """gather wants an index with as many axes as the input: y has one, logits two. Give y its second one with unsqueeze(1)."""
    return logits.gather(1, y)


@pick_by_gather.mistake
def row_instead_of_column(logits, y):
    """unsqueeze(0) makes one row of four labels, and gather reads them all from row 0. unsqueeze(1) makes a column."""
    return logits.gather(1, y.unsqueeze(0)).squeeze(0)


@pick_by_gather.mistake
def without_gather(logits, y):
    """The numbers are right, but without gather: this is a pair of indices or a mask again. logits.gather(1, ...)."""
    return logits[torch.arange(len(y)), y]


@task(
    facts=picked,
    without=("gather",),
    uses=("masked_select", "where", "masked_fill", "nonzero"),
    hints=(
        "In every row the mask says yes once, in the column of the class.",
        "Compare a column of labels (B, 1) with the class numbers (C,); the result is (B, C). Then use it as an index.",
        "logits[y.unsqueeze(1) == torch.arange(logits.shape[1])]",
    ),
)
def pick_by_mask(logits, y):
    return logits[y.unsqueeze(1) == torch.arange(logits.shape[1])]


@pick_by_mask.mistake
def product_with_the_mask(logits, y):
    """Infinity times 0 is NaN, so one ruled-out class spoils the sum. Use the mask as an index instead of a factor."""
    return (logits * (y.unsqueeze(1) == torch.arange(logits.shape[1]))).sum(dim=1)


@pick_by_mask.mistake
def labels_in_a_row(logits, y):
    """y (B,) and the class numbers (C,) are both rows: they cannot meet. Stand the labels upright, y.unsqueeze(1)."""
    return logits[y == torch.arange(logits.shape[1])]


@pick_by_mask.mistake
def zeros_left_in(logits, y):
    """where keeps the whole table, with zeros in the other places. Indexing with the mask keeps only the picked entries."""
    return torch.where(y.unsqueeze(1) == torch.arange(logits.shape[1]), logits, 0.0)


@pick_by_mask.mistake
def without_a_mask(logits, y):
    """The numbers are right, but there is no mask: compare the column y.unsqueeze(1) with all class numbers, and take the
    entries where they are equal."""
    return logits[torch.arange(len(y)), y]


@pick_by_mask.mistake
def gathered(logits, y):
    """The numbers are right, but they came through gather. Compare y.unsqueeze(1) with all class numbers: that is the mask."""
    return logits.gather(1, y.unsqueeze(1)).squeeze(1)
