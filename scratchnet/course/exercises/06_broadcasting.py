"""Exercise 06: explain a clash of shapes, and fix four broken pieces of code.

Each `...` is a blank for you to fill in. Then: scratchnet check 06
"""

import torch


def clash(a: tuple[int, ...], b: tuple[int, ...]) -> int | None:
    """The axis, counted from the right as -1, -2, ..., where the shapes a and b clash first; None if they fit.

    clash((4, 3), (4,)) is -1, clash((2, 4, 3), (5, 1, 3)) is -3, clash((4, 3), (4, 1)) is None.
    """
    ...


def scale_samples(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Every sample of x (B, D) times its own number from scale (B,): (B, D)."""
    # broken: return x * scale
    return ...


def row_shares(x: torch.Tensor) -> torch.Tensor:
    """Every row of x (R, C) divided by its own sum: (R, C)."""
    # broken: return x / x.sum(dim=1)
    return ...


def squared_error(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean squared difference of a prediction (B, 1) and its target (B,): one number."""
    # broken: return ((prediction - target) ** 2).mean()
    return ...


def standardised(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """images (N, C, H, W), each channel minus its mean (C,), then divided by its std (C,): a new tensor."""
    # broken: images -= mean; return images / std
    return ...
