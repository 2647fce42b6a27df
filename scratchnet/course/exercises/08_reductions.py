"""Exercise 08: name the right axis, divide by the right number.

Each `...` is a blank for you to fill in. Then: scratchnet check 08
"""

import torch


def channel_means(images: torch.Tensor) -> torch.Tensor:
    """The mean of every channel over all pixels of all images: (N, C, H, W) to (C,)."""
    return images.mean(...)


def sample_variance(x: torch.Tensor) -> torch.Tensor:
    """The sample variance of x (n,) as torch.var gives it, but from sums only, without var and std: one number."""
    return ...


def normalised_rows(x: torch.Tensor, eps: float) -> torch.Tensor:
    """Each row of x (B, D) minus its mean, divided by sqrt(v + eps), v being its population variance: (B, D).

    This is LayerNorm without its weights: write it with mean and var, not with the finished one.
    """
    return ...


def standardised(train: torch.Tensor, test: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both tables (N, D) and (M, D), standardised column by column for a network that learns from `train`. Use `.std`."""
    return ..., ...


def prices(prediction: torch.Tensor, train_prices: torch.Tensor) -> torch.Tensor:
    """Standardised predictions (M,) mapped back to prices (M,); the network was trained on standardised train_prices (N,)."""
    return ...
