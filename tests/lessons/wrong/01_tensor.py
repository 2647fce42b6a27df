"""Wrong answers to exercise 01, each with words of what it must be told."""

import torch


def shapes__a_list():
    """the values are right, but yours is a list, [4]; it should be a tuple"""
    return {"torch.zeros(4)": [4]}


def shapes__a_string():
    """write (4,) without quotes"""
    return {"torch.zeros(4)": "(4,)"}


def shapes__one_left_out():
    """torch.tensor(5.0): this is missing in what shapes returns"""
    return {"torch.zeros(4)": (4,)}


def shapes__no_dict():
    """shapes returns a number; it should return a dict"""
    return 5


def dtypes__two_wrong_and_one_known():
    """In torch whole numbers are int64"""
    return {"torch.tensor([1, 2, 3])": torch.int32, "torch.tensor([4, 6]) / 2": torch.half, "torch.zeros(3) > 0": torch.bool}


def megabytes__printed(batch, channels, height, width, dtype):
    """has no `return`"""
    print(batch * channels * height * width * dtype.itemsize / 1e6)


def megabytes__rounded(batch, channels, height, width, dtype):
    """yours is 0.3; it should be 0.3011"""
    return round(batch * channels * height * width * dtype.itemsize / 1e6, 1)


def first_column__of_rows(x):
    """first_column returns a list; it should return a tensor"""
    return [row[0] for row in x]


def first_column__two_brackets(x):
    """That is the first row"""
    return x[:][0]


def doubled__a_view(x):
    """x[:], x.view(...) and x.detach() are views"""
    y = x[:]
    y[0] *= 2
    return y


def doubled__method_not_called(x):
    """its parentheses are missing"""
    y = x.clone
    y[0] *= 2
    return y
