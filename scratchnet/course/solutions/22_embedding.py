"""Exercise 22: one-hot rows, padded batches, means without padding, and a gradient that leaves the padding row alone."""

import torch

from scratchnet.course import drawn, task


def looked_up(embed_by_product):
    table = drawn(torch.arange(12.0).reshape(4, 3))
    rows = embed_by_product(drawn(torch.tensor([[3, 1, 1], [0, 2, 3]])), table)
    return {"the shape for ids (2, 3) and a table (4, 3)": tuple(rows.shape), "the rows": rows}


@task(
    facts=looked_up,
    hints=(
        "In each row of one_hot, along the last axis, write a 1 in the place that the id names.",
        "scatter_(dim, index, value) writes through an index, which needs as many axes as one_hot: unsqueeze.",
        "one_hot.scatter_(2, ids.unsqueeze(2), 1.0)",
    ),
    without=("embedding",),
    uses=("matmul",),
)
def embed_by_product(ids, table):
    one_hot = torch.zeros(*ids.shape, len(table))
    one_hot.scatter_(2, ids.unsqueeze(2), 1.0)
    return one_hot @ table


@embed_by_product.mistake
def only_zeros(ids, table):
    """All rows are zero: no 1 was written. scatter (without _) makes a new tensor; scatter_ writes into one_hot."""
    return torch.zeros(*ids.shape, len(table)) @ table


@embed_by_product.mistake
def ids_instead_of_ones(ids, table):
    """The id itself was written where a 1 belongs, so every row came out id times too large."""
    return torch.zeros(*ids.shape, len(table)).scatter_(2, ids.unsqueeze(2), ids.unsqueeze(2).float()) @ table


@embed_by_product.mistake
def index_without_its_axis(ids, table):
    """The index needs as many axes as one_hot, three: ids.unsqueeze(2) is (B, S, 1)."""
    return torch.zeros(*ids.shape, len(table)).scatter_(2, ids, 1.0) @ table


@embed_by_product.mistake
def one_place_in_all_sentences(ids, table):
    """one_hot[:, :, ids] = 1 writes at every id of the batch in every row. Each row gets one 1, at its own id."""
    one_hot = torch.zeros(*ids.shape, len(table))
    one_hot[:, :, ids] = 1.0
    return one_hot @ table


@embed_by_product.mistake
def looked_up_directly(ids, table):
    """The rows are right, but nothing was multiplied: table[ids] is the lookup. Here the point is that a product with one-hot
    rows does the same: one_hot @ table."""
    return table[ids]


def rectangles(pad):
    return {
        "pad([[5, 6, 7], [8], [9, 10]])": pad([[5, 6, 7], [8], [9, 10]]),
        "pad([[1], [2, 3]], padding=9)": pad([[1], [2, 3]], padding=9),
    }


@task(
    facts=rectangles,
    hints=(
        "First a rectangle full of padding, then write every sentence over the beginning of its row.",
        "torch.full((B, S), padding) is the rectangle; S = max(map(len, sentences)).",
        "In the loop: row[: len(sentence)] = torch.tensor(sentence). Each row is a view: writing into it writes into ids.",
    ),
)
def pad(sentences, padding=0):
    ids = torch.full((len(sentences), max(map(len, sentences))), padding)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = torch.tensor(sentence)
    return ids


@pad.mistake
def padded_in_front(sentences, padding=0):
    """The padding came first. Write each sentence at the beginning of its row: row[: len(sentence)]."""
    ids = torch.full((len(sentences), max(map(len, sentences))), padding)
    for row, sentence in zip(ids, sentences, strict=True):
        row[-len(sentence) :] = torch.tensor(sentence)
    return ids


@pad.mistake
def always_zeros(sentences, padding=0):
    """The argument `padding` was not used: torch.full fills with it, torch.zeros with 0."""
    return pad(sentences)


@pad.mistake
def cut_to_the_shortest(sentences, padding=0):
    """Words were lost: S must be the length of the longest sentence."""
    shortest = min(map(len, sentences))
    return torch.tensor([sentence[:shortest] for sentence in sentences])


@pad.mistake
def floats(sentences, padding=0):
    """The ids are floats. torch.zeros and torch.ones make float32: say dtype=torch.int64, or use torch.full with an integer."""
    return pad(sentences, padding).float()


@pad.mistake
def rows_were_not_written(sentences, padding=0):
    """Nothing was written. `row = ...` gives the name to another tensor; `row[: len(sentence)] = ...` writes into ids."""
    return torch.full((len(sentences), max(map(len, sentences))), padding)


def means(mean_vector):
    table = drawn(torch.tensor([[100.0, 1.0], [1.0, 2.0], [3.0, 4.0], [8.0, 0.0]]))
    ids = drawn(torch.tensor([[1, 2, 0, 0], [3, 0, 0, 0], [1, 2, 3, 2]]))
    before = table.clone()
    return {
        "means where the row of the padding is not zero": mean_vector(ids, table.clone(), 0),
        "the same ids with 2 for padding": mean_vector(ids, table.clone(), 2),
        "the table keeps its numbers": _unchanged(mean_vector, ids, table, before),
    }


def _unchanged(mean_vector, ids, table, before):
    mean_vector(ids, table, 0)
    return torch.equal(table, before)


@task(
    facts=means,
    hints=(
        "Padding must be neither added nor counted. A mask takes care of both.",
        "mask = (ids != padding).unsqueeze(2) is (B, S, 1), so that it broadcasts over the D numbers of a row.",
        "(table[ids] * mask).sum(dim=1) / mask.sum(dim=1)",
    ),
)
def mean_vector(ids, table, padding):
    mask = (ids != padding).unsqueeze(2)
    return (table[ids] * mask).sum(dim=1) / mask.sum(dim=1)


@mean_vector.mistake
def plain_mean(ids, table, padding):
    """The padding was added and counted like words. Multiply by a mask and divide by its sum."""
    return table[ids].mean(dim=1)


@mean_vector.mistake
def counted_but_not_added(ids, table, padding):
    """The sum is right, but it was divided by all places. Divide by the number of words: the sum of the mask."""
    return (table[ids] * (ids != padding).unsqueeze(2)).mean(dim=1)


@mean_vector.mistake
def added_but_not_counted(ids, table, padding):
    """The padding rows are still in the sum. They need not be zero: multiply by the mask before adding."""
    return table[ids].sum(dim=1) / (ids != padding).sum(dim=1, keepdim=True)


@mean_vector.mistake
def one_count_for_all(ids, table, padding):
    """Every sentence has its own number of words: sum the mask along dim=1, not over the batch."""
    mask = (ids != padding).unsqueeze(2)
    return (table[ids] * mask).sum(dim=1) / mask.sum()


@mean_vector.mistake
def zero_is_padding(ids, table, padding):
    """The argument `padding` was not used: the id of padding need not be 0. The mask is ids != padding."""
    return mean_vector(ids, table, 0)


@mean_vector.mistake
def row_set_to_zero(ids, table, padding):
    """The means are right, but the table has changed: it belongs to the caller, and its padding row was overwritten. A mask
    leaves it alone."""
    table[padding] = 0
    return table[ids].sum(dim=1) / (ids != padding).sum(dim=1, keepdim=True)


@mean_vector.mistake
def summed(ids, table, padding):
    """That is the sum of the word rows. Divide it by the number of words in each sentence."""
    return (table[ids] * (ids != padding).unsqueeze(2)).sum(dim=1)


def gradients(table_gradient):
    ids = drawn(torch.tensor([[1, 2, 1], [3, 0, 0]]))
    g = drawn(torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], [[4.0, 40.0], [5.0, 50.0], [6.0, 60.0]]]))
    return {
        "the gradient of a table (5, 2), padding 0": table_gradient(ids, g, 5, 0),
        "of a table (7, 2), padding 3": table_gradient(ids, g, 7, 3),
    }


@task(
    facts=gradients,
    hints=(
        "Each g[b, s] goes to row ids[b, s], and what meets there is added. Then think of the padding row.",
        "Flatten both: ids.flatten() is (B * S,), g.flatten(0, 1) is (B * S, D). index_add_ adds rows.",
        "dtable = torch.zeros(size, g.shape[2]).index_add_(0, ids.flatten(), g.flatten(0, 1)); dtable[padding] = 0",
    ),
)
def table_gradient(ids, g, size, padding):
    dtable = torch.zeros(size, g.shape[2]).index_add_(0, ids.flatten(), g.flatten(0, 1))
    dtable[padding] = 0
    return dtable


@table_gradient.mistake
def padding_learns(ids, g, size, padding):
    """The padding row got a gradient, so training would make something out of nothing. Set it to zero."""
    return torch.zeros(size, g.shape[2]).index_add_(0, ids.flatten(), g.flatten(0, 1))


@table_gradient.mistake
def last_one_wins(ids, g, size, padding):
    """Word 1 occurs twice, and only its last gradient is left: `=` and `+=` through an index do not add up repeats."""
    dtable = torch.zeros(size, g.shape[2])
    dtable[ids.flatten()] = g.flatten(0, 1)
    dtable[padding] = 0
    return dtable


@table_gradient.mistake
def averaged(ids, g, size, padding):
    """The gradients of a word that occurs twice are added, not averaged."""
    count = torch.zeros(size).index_add_(0, ids.flatten(), torch.ones(ids.numel()))
    return table_gradient(ids, g, size, padding) / count.clamp(min=1).unsqueeze(1)


@table_gradient.mistake
def row_left_out(ids, g, size, padding):
    """The table keeps its shape (size, D): the padding row stays in its gradient, as zeros."""
    dtable = table_gradient(ids, g, size, padding)
    return torch.cat([dtable[:padding], dtable[padding + 1 :]])


@table_gradient.mistake
def zero_learns_nothing(ids, g, size, padding):
    """The argument `padding` was not used: the row that gets no gradient is dtable[padding], and that need not be row 0."""
    return table_gradient(ids, g, size, 0)


@table_gradient.mistake
def one_row_for_each_word(ids, g, size, padding):
    """Those are the gradients of the places, (B, S, D). The table has a row for each *word*: add up the places where it
    stood."""
    return g * (ids != padding).unsqueeze(2)
