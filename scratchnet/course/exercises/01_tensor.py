"""Exercise 01: predict, then look.

Each `...` is a blank for you to fill in. Then: scratchnet check 01
"""

import torch


def shapes() -> dict:
    """The shape of each tensor as a tuple: (2, 3), (4,), or () for a single number. Predict, do not run."""
    return {
        "torch.zeros(4)": ...,
        "torch.tensor(5.0)": ...,
        "torch.tensor([[1, 2, 3]])": ...,
        "torch.arange(2, 10, 2)": ...,
        "torch.zeros(8, 3, 28, 28)[0]": ...,
        "torch.zeros(2, 3)[:, 0]": ...,
        "torch.zeros(2, 3).T": ...,
    }


def dtypes() -> dict:
    """The dtype of each tensor: torch.float32, torch.int64, torch.bool, ..."""
    return {
        "torch.tensor([1, 2, 3])": ...,
        "torch.tensor([4, 6]) / 2": ...,
        "torch.zeros(3) > 0": ...,
    }


def megabytes(batch: int, channels: int, height: int, width: int, dtype: torch.dtype) -> float:
    """How many MB (millions of bytes) a batch of images (N, C, H, W) takes; dtype.itemsize is the number of bytes per entry."""
    return ...


def first_column(x: torch.Tensor) -> torch.Tensor:
    """The first column of a matrix (R, C) as a vector (R,) that shares the memory of x."""
    return ...


def doubled(x: torch.Tensor) -> torch.Tensor:
    """A matrix (R, C) like x whose first row is doubled; x itself must stay as it is."""
    ...
