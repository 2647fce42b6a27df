"""Exercise 01: predict shapes and dtypes; bytes; a view that shares memory and a copy that does not."""

import torch

from scratchnet.course import drawn, task


def as_they_stand(predict):
    return predict()


@task(
    facts=as_they_stand,
    hints=(
        "A shape has one size for each axis. Count the opening brackets, or the numbers in zeros(...).",
        "An index that is a single number, such as [0], takes its axis away. `:` keeps an axis as it is.",
        "arange(start, end, step) stops before end: write its numbers down and count them. "
        "`.T` swaps the two sizes. A number without brackets has no axis: ().",
    ),
    reveal=False,
)
def shapes():
    expressions = (
        "torch.zeros(4)",
        "torch.tensor(5.0)",
        "torch.tensor([[1, 2, 3]])",
        "torch.arange(2, 10, 2)",
        "torch.zeros(8, 3, 28, 28)[0]",
        "torch.zeros(2, 3)[:, 0]",
        "torch.zeros(2, 3).T",
    )
    return {expression: tuple(eval(expression).shape) for expression in expressions}


@shapes.mistake
def a_number_without_a_comma():
    """(4) is just the number 4 in Python: a tuple of one size needs a comma, (4,)."""
    return shapes() | {"torch.zeros(4)": 4}


@shapes.mistake
def one_number_is_a_vector():
    """torch.tensor(5.0) has no brackets, so it has no axis: its shape is (). torch.tensor([5.0]) has the shape (1,)."""
    return shapes() | {"torch.tensor(5.0)": (1,)}


@shapes.mistake
def outer_brackets_do_not_count():
    """[[1, 2, 3]] opens two brackets, so there are two axes: one row of three columns."""
    return shapes() | {"torch.tensor([[1, 2, 3]])": (3,)}


@shapes.mistake
def range_with_its_end():
    """arange stops before its end, as Python's range does: 2, 4, 6, 8 but not 10."""
    return shapes() | {"torch.arange(2, 10, 2)": (5,)}


@shapes.mistake
def index_keeps_its_axis():
    """The index 0 takes one image out of the batch, and the batch axis goes with it. [0:1] would keep it with size 1."""
    return shapes() | {"torch.zeros(8, 3, 28, 28)[0]": (1, 3, 28, 28)}


@shapes.mistake
def column_stays_upright():
    """A column picked by a single number is a plain vector (2,), one entry per row. [:, 0:1] would be (2, 1)."""
    return shapes() | {"torch.zeros(2, 3)[:, 0]": (2, 1)}


@shapes.mistake
def the_other_axis():
    """[:, 0] keeps all rows and takes one column: as many entries as there are rows, 2."""
    return shapes() | {"torch.zeros(2, 3)[:, 0]": (3,)}


@shapes.mistake
def transpose_changes_nothing():
    """A transpose turns columns into rows: the two sizes swap places."""
    return shapes() | {"torch.zeros(2, 3).T": (2, 3)}


@shapes.mistake
def without_the_batch():
    """The index 0 takes the batch axis away and nothing else: three sizes are left, (3, 28, 28)."""
    return shapes() | {"torch.zeros(8, 3, 28, 28)[0]": (28, 28)}


@task(
    facts=as_they_stand,
    hints=(
        "torch looks at what you write: is there a decimal point?",
        "Think of what the result must be able to hold: 3 / 2 is 1.5, and a comparison answers yes or no.",
        "Whole numbers are int64, a division makes float32, a comparison makes bool.",
    ),
    reveal=False,
)
def dtypes():
    expressions = ("torch.tensor([1, 2, 3])", "torch.tensor([4, 6]) / 2", "torch.zeros(3) > 0")
    return {expression: eval(expression).dtype for expression in expressions}


@dtypes.mistake
def always_float():
    """float32 is the default for numbers with a decimal point. [1, 2, 3] has none: int64."""
    return dtypes() | {"torch.tensor([1, 2, 3])": torch.float32}


@dtypes.mistake
def small_integers():
    """int32 is what other languages choose. In torch whole numbers are int64, and so are all indices."""
    return dtypes() | {"torch.tensor([1, 2, 3])": torch.int32}


@dtypes.mistake
def whole_results_stay_whole():
    """`/` always gives floats, even where nothing remains: the dtype cannot depend on the values. `//` keeps int64."""
    return dtypes() | {"torch.tensor([4, 6]) / 2": torch.int64}


@dtypes.mistake
def comparison_counts():
    """A comparison answers yes or no for every entry: bool."""
    return dtypes() | {"torch.zeros(3) > 0": torch.int64}


@dtypes.mistake
def types_of_python():
    """int, float and bool are Python's types. The dtype of a tensor has a name of torch's, such as torch.bool."""
    return {"torch.tensor([1, 2, 3])": int, "torch.tensor([4, 6]) / 2": float, "torch.zeros(3) > 0": bool}


@dtypes.mistake
def double_precision():
    """float64 is what Python and NumPy calculate with. torch's default for numbers with a point is float32, here too."""
    return dtypes() | {"torch.tensor([4, 6]) / 2": torch.float64}


def sizes_in_memory(megabytes):
    return {
        "32 colour images of 28 x 28 in float32": megabytes(32, 3, 28, 28, torch.float32),
        "8 grey images of 100 x 50 in bfloat16": megabytes(8, 1, 100, 50, torch.bfloat16),
    }


@task(
    facts=sizes_in_memory,
    hints=(
        "Bytes are entries times bytes per entry.",
        "The entries are the product of the four sizes.",
        "batch * channels * height * width * dtype.itemsize is in bytes; divide by a million.",
    ),
)
def megabytes(batch, channels, height, width, dtype):
    return batch * channels * height * width * dtype.itemsize / 1e6


@megabytes.mistake
def entries_only(batch, channels, height, width, dtype):
    """That is the number of entries in millions. Each of them takes dtype.itemsize bytes."""
    return batch * channels * height * width / 1e6


@megabytes.mistake
def bits(batch, channels, height, width, dtype):
    """That is in bits: eight times too much. dtype.itemsize is already in bytes."""
    return batch * channels * height * width * dtype.itemsize * 8 / 1e6


@megabytes.mistake
def always_four_bytes(batch, channels, height, width, dtype):
    """An entry takes 4 bytes in float32, but 2 in bfloat16 and 8 in int64: dtype.itemsize knows."""
    return batch * channels * height * width * 4 / 1e6


@megabytes.mistake
def two_to_the_twentieth(batch, channels, height, width, dtype):
    """That is in MiB, of 2 ** 20 = 1,048,576 bytes. The task counts in millions of bytes: / 1e6."""
    return batch * channels * height * width * dtype.itemsize / 2**20


@megabytes.mistake
def in_bytes(batch, channels, height, width, dtype):
    """That is in bytes. A megabyte is a million of them: / 1e6."""
    return batch * channels * height * width * dtype.itemsize


@megabytes.mistake
def ten_million(batch, channels, height, width, dtype):
    """Ten times too small: 10e6 is ten million. A million is 1e6."""
    return batch * channels * height * width * dtype.itemsize / 10e6


@megabytes.mistake
def whole_megabytes(batch, channels, height, width, dtype):
    """`//` drops everything behind the point, and less than a megabyte becomes 0. Divide with `/`."""
    return batch * channels * height * width * dtype.itemsize // 10**6


@megabytes.mistake
def added_sizes(batch, channels, height, width, dtype):
    """The sizes were added up. A batch of two rows of three has 2 * 3 entries: multiply them."""
    return (batch + channels + height + width) * dtype.itemsize / 1e6


def what_is_shared(first_column):
    x = drawn(torch.arange(6.0).reshape(2, 3))
    column = first_column(x)
    facts = {"its values": column.clone(), "its stride": column.stride()}
    x[1, 0] = 100
    facts["it sees what is written into x"] = bool(column.flatten()[-1] == 100)
    return facts | {"its values for a matrix (4, 2)": first_column(drawn(torch.arange(8.0).reshape(4, 2)))}


@task(
    facts=what_is_shared,
    hints=(
        "Indexing with numbers and `:` gives a view, and a view shares memory.",
        "All rows, column 0. Which index keeps an axis, and which one takes it away?",
        "x[:, 0]",
    ),
)
def first_column(x):
    return x[:, 0]


@first_column.mistake
def a_copy(x):
    """The values are right, but they are copies: clone() has memory of its own and does not see what happens to x."""
    return x[:, 0].clone()


@first_column.mistake
def first_row(x):
    """That is the first row. The first index counts rows; to keep all of them, put a `:` there."""
    return x[0]


@first_column.mistake
def with_its_axis(x):
    """0:1 is a range of columns, so its axis stays: the result is (R, 1). The number 0 gives (R,)."""
    return x[:, 0:1]


@first_column.mistake
def from_a_list(x):
    """An index that is a list, [0], picks entries one by one: torch copies them, and the axis stays."""
    return x[:, [0]]


@first_column.mistake
def counted_from_one(x):
    """That is the second column: counting begins at 0."""
    return x[:, 1]


@first_column.mistake
def last_column(x):
    """That is the last column: -1 counts from the end. The first one is 0."""
    return x[:, -1]


def what_is_changed(doubled):
    x = drawn(torch.arange(1.0, 7.0).reshape(2, 3))
    y = doubled(x)
    return {"x after the call": x, "what is returned": y, "x and the result share memory": y.data_ptr() == x.data_ptr()}


@task(
    facts=what_is_changed,
    hints=(
        "Whatever you write into a view of x is written into x. You need memory of your own first.",
        "y = x.clone(), then double the first row of y in place, then return y.",
        "y[0] *= 2",
    ),
)
def doubled(x):
    y = x.clone()
    y[0] *= 2
    return y


@doubled.mistake
def in_place(x):
    """x itself was changed. y = x is a second name, x[:], x.view(...) and x.detach() are views, and a method that ends in _,
    such as mul_, works in place: none of them copies. Begin with x.clone()."""
    y = x
    y[0] *= 2
    return y


@doubled.mistake
def clone_of_the_row(x):
    """Only the row was returned, not the matrix: clone all of x, then double its first row."""
    return x[0].clone() * 2


@doubled.mistake
def new_name_for_the_row(x):
    """What is returned equals x. `row = row * 2` and `y[0].mul(2)` make new tensors and leave the matrix as it was; `y[0] *= 2`
    writes into it."""
    y = x.clone()
    row = y[0]
    row = row * 2
    return y


@doubled.mistake
def everything(x):
    """Every row was doubled: index the first one, y[0]."""
    return x * 2


@doubled.mistake
def squared(x):
    """The first row was squared. Doubled is times two: `*= 2`."""
    y = x.clone()
    y[0] **= 2
    return y


@doubled.mistake
def first_column_doubled(x):
    """The first column was doubled. The first index counts rows: y[0]."""
    y = x.clone()
    y[:, 0] *= 2
    return y


@doubled.mistake
def copied_too_late(x):
    """x was changed before it was copied: what is returned is right, but x did not stay as it is. Clone first."""
    x[0] *= 2
    return x.clone()
