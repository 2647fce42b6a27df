"""Exercise 05: bring tensors into shape without turning them into confetti.

Each `...` is a blank for you to fill in. Then: scratchnet check 05
"""

import torch


def channels_first(images: torch.Tensor) -> torch.Tensor:
    """Pictures (N, H, W, C) as (N, C, H, W), every pixel in its place."""
    return ...


def batch_of(images: list[torch.Tensor]) -> torch.Tensor:
    """A list of N grey pictures, each (H, W), as one batch with a channel axis: (N, 1, H, W)."""
    return ...


def on_every_word(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """x (B, S, D) times w (D, E), as one product of two matrices: (B, S, E). `@` may be used on matrices only."""
    words = ...  # (B * S, D)
    return (words @ w).reshape(...)


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """The D features of each word, split into `heads` equal pieces, pieces before words: (B, S, D) to (B, heads, S, D / heads).

    Piece 0 of a word holds its first D / heads features, piece 1 the next ones, and so on. Attention does this.
    """
    return ...
