"""Exercise 02: cross between NumPy and torch on purpose.

Each `...` is a blank for you to fill in. Then: scratchnet check 02
"""

import numpy as np
import torch


def shared(a: np.ndarray) -> torch.Tensor:
    """A tensor that reads and writes the memory of the array a, in the dtype of a."""
    return ...


def own(a: np.ndarray) -> torch.Tensor:
    """A float32 tensor with the numbers of a and memory of its own, whatever the dtype of a is."""
    return ...


def to_array(t: torch.Tensor) -> np.ndarray:
    """The numbers of t as a NumPy array, even when t wants gradients; t stays as it is."""
    return ...


def dtypes() -> dict:
    """The dtype of each of these: torch.float32 or torch.float64? Here n stands for np.zeros(3), t for torch.zeros(3)."""
    return {
        "torch.tensor([0.5])": ...,
        "torch.tensor(n)": ...,
        "torch.from_numpy(n).float()": ...,
        "t + torch.from_numpy(n)": ...,
        "t * 0.5": ...,
        "torch.tensor(n.tolist())": ...,
    }
