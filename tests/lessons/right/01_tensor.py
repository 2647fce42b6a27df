"""Right answers to exercise 01, in other styles than ours."""

import torch


def shapes__written_down():
    """numbers in tuples"""
    return {
        "torch.zeros(4)": (4,),
        "torch.tensor(5.0)": (),
        "torch.tensor([[1, 2, 3]])": (1, 3),
        "torch.arange(2, 10, 2)": (4,),
        "torch.zeros(8, 3, 28, 28)[0]": (3, 28, 28),
        "torch.zeros(2, 3)[:, 0]": (2,),
        "torch.zeros(2, 3).T": (3, 2),
    }


def shapes__sizes_of_torch():
    """torch.Size, which is a tuple"""
    return {expression: torch.Size(shape) for expression, shape in shapes__written_down().items()}


def shapes__run():
    """looked up in torch"""
    return {expression: eval(expression).shape for expression in shapes__written_down()}


def dtypes__written_down():
    """names of torch"""
    return {
        "torch.tensor([1, 2, 3])": torch.int64,
        "torch.tensor([4, 6]) / 2": torch.float32,
        "torch.zeros(3) > 0": torch.bool,
    }


def dtypes__other_names():
    """the shorter names of the same dtypes"""
    return {
        "torch.tensor([1, 2, 3])": torch.long,
        "torch.tensor([4, 6]) / 2": torch.float,
        "torch.zeros(3) > 0": torch.bool,
    }


def dtypes__run():
    """looked up in torch"""
    return {expression: eval(expression).dtype for expression in dtypes__written_down()}


def megabytes__by_hand(batch, channels, height, width, dtype):
    """a product divided by a whole number"""
    entries = batch * channels * height * width
    return entries * dtype.itemsize / 1_000_000


def megabytes__asks_a_tensor(batch, channels, height, width, dtype):
    """the bytes of a tensor of that size"""
    return torch.empty(batch, channels, height, width, dtype=dtype).nbytes * 1e-6


def megabytes__bits(batch, channels, height, width, dtype):
    """through bits"""
    return torch.finfo(dtype).bits * batch * channels * height * width / 8e6


def first_column__select(x):
    """select"""
    return x.select(1, 0)


def first_column__row_of_the_transpose(x):
    """the first row of the transpose"""
    return x.T[0]


def first_column__unbind(x):
    """the first of all columns"""
    return x.unbind(1)[0]


def first_column__squeezed(x):
    """a range of one column without its axis"""
    return x[:, :1].squeeze(1)


def doubled__added_to_itself(x):
    """a view of the copy, added to itself"""
    y = torch.tensor(x.tolist())
    row = y[0]
    row += row
    return y


def doubled__factors(x):
    """a factor for each row"""
    factors = torch.ones(len(x), 1)
    factors[0] = 2
    return x * factors


def doubled__put_together(x):
    """rows put together"""
    return torch.cat([2 * x[:1], x[1:]])


def doubled__copy(x):
    """copy.deepcopy and an assignment"""
    import copy

    y = copy.deepcopy(x)
    y[0] = y[0] * 2
    return y
