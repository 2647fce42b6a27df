"""Wrong answers to exercise 05, each with words of what it must be told."""

import torch


def channels_first__numbers_left_over(images):
    """raises RuntimeError"""
    return images.permute(0, 3, 1)


def batch_of__other_axis(images):
    """yours is (2, 4, 3); it should be (4, 1, 2, 3)"""
    return torch.stack(images, 1)


def on_every_word__einsum(x, w):
    """`@` on two matrices only"""
    return torch.einsum("bsd,de->bse", x, w)


def on_every_word__sizes_written_down(x, w):
    """raises RuntimeError"""
    return (x.reshape(6, 4) @ w).reshape(2, 3, 5)


def split_heads__pieces(x, heads):
    """split_heads returns a tuple; it should return a tensor"""
    return x.chunk(heads, -1)
