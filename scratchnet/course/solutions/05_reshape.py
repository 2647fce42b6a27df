"""Exercise 05: permute or reshape, stack, melt and put back, split into heads."""

import torch

from scratchnet.course import drawn, task
from scratchnet.course.calls import Products


def a_picture(channels_first):
    images = drawn(torch.arange(2 * 2 * 3 * 4).reshape(2, 2, 3, 4))  # (N, H, W, C)
    result = channels_first(images)
    return {"the shape from (2, 2, 3, 4)": tuple(result.shape), "channel 0 of picture 0": result[0, 0], "all of it": result}


@task(
    facts=a_picture,
    hints=(
        "The channel axis changes its place. Which of the two families keeps the coordinates?",
        "permute lists the old axes in their new order. The old axes are 0: N, 1: H, 2: W, 3: C.",
        "images.permute(0, 3, 1, 2)",
    ),
)
def channels_first(images):
    return images.permute(0, 3, 1, 2)


@channels_first.mistake
def confetti(images):
    """The shape is right and the pixels are confetti: reshape refills the brackets in memory order. To move an axis, use
    permute."""
    n, h, w, c = images.shape
    return images.reshape(n, c, h, w)


@channels_first.mistake
def two_axes_swapped(images):
    """Swapping axes 1 and 3 moves the channels and also turns the picture on its side: (N, C, W, H). Keep H before W."""
    return images.transpose(1, 3)


@channels_first.mistake
def the_way_back(images):
    """permute(0, 2, 3, 1) is the way back, from NCHW to NHWC. Write down where each *new* axis comes from: N, C, H, W."""
    return images.permute(0, 2, 3, 1)


@channels_first.mistake
def matrix_transpose(images):
    """.mT and transpose(-1, -2) swap the last two axes, W and C: (N, H, C, W). The channels belong in front of H: permute."""
    return images.mT


@channels_first.mistake
def channel_before_the_batch(images):
    """The channels went to the front of everything, (C, N, H, W). The batch stays first: permute(0, ...)."""
    return images.permute(3, 0, 1, 2)


def a_batch(batch_of):
    images = [drawn(torch.arange(6.0).reshape(2, 3)) + 10 * i for i in range(4)]
    result = batch_of(images)
    return {
        "the shape from 4 pictures of (2, 3)": tuple(result.shape),
        "the batch": result,
        "of one picture": batch_of(images[:1]),
    }


@task(
    facts=a_batch,
    hints=(
        "Two new axes: one for the batch, one for the channel.",
        "stack makes the batch axis, unsqueeze the other. In which place is the channel axis?",
        "torch.stack(images).unsqueeze(1)",
    ),
)
def batch_of(images):
    return torch.stack(images).unsqueeze(1)


@batch_of.mistake
def glued(images):
    """cat glues along an existing axis: the pictures became one tall picture. stack makes a new axis."""
    return torch.cat(images)


@batch_of.mistake
def no_channel(images):
    """The channel axis is missing: a grey picture has one channel, (N, 1, H, W). unsqueeze(1) adds it."""
    return torch.stack(images)


@batch_of.mistake
def channel_in_front(images):
    """The new axis is at the front, (1, N, H, W): that is one picture with N channels. The batch comes first."""
    return torch.stack(images).unsqueeze(0)


@batch_of.mistake
def channel_at_the_end(images):
    """The channel is at the end, (N, H, W, 1), as cameras have it. torch wants it after the batch."""
    return torch.stack(images).unsqueeze(-1)


@batch_of.mistake
def channel_of_each(images):
    """Each picture has its channel now, but cat along the rows put them into one: (1, N * H, W). Stack them, or give each two
    new axes before cat."""
    return torch.cat([image[None] for image in images], dim=1)


@batch_of.mistake
def still_a_list(images):
    """That is still a list of pictures. torch.stack makes one tensor of them."""
    return [image[None] for image in images]


def words_times_a_matrix(on_every_word):
    x = drawn(torch.arange(24.0).reshape(2, 3, 4))
    w = drawn(torch.arange(20.0).reshape(4, 5))
    with Products() as products:
        result = on_every_word(x, w)
    seen = {"the shape for x (2, 3, 4), w (4, 5)": tuple(result.shape), "the result": result}
    seen["the result for one sentence of two words"] = on_every_word(x[:1, :2, :3], w[:3])
    return seen | {"the axes of the factors of each product": [tuple(map(len, shapes)) for shapes in products.factors]}


@task(
    facts=words_times_a_matrix,
    hints=(
        "No axis changes its place: melt the first two, multiply, and split them again.",
        "x.reshape(-1, D) has one row for each word, and so has the product. Which shape does the docstring ask for?",
        "words = x.reshape(-1, x.shape[2]); return (words @ w).reshape(x.shape[0], x.shape[1], -1)",
    ),
)
def on_every_word(x, w):
    words = x.reshape(-1, x.shape[2])
    return (words @ w).reshape(x.shape[0], x.shape[1], -1)


@on_every_word.mistake
def left_melted(x, w):
    """The product is right, but the brackets are not back: a last reshape turns (B * S, E) into (B, S, E)."""
    return x.reshape(-1, x.shape[2]) @ w


@on_every_word.mistake
def sentences_and_words_swapped(x, w):
    """The words are handed out wrongly: melting (B, S) puts all words of sentence 0 first, so splitting must say B, then S."""
    return (x.reshape(-1, x.shape[2]) @ w).reshape(x.shape[1], x.shape[0], -1)


@on_every_word.mistake
def sequence_first(x, w):
    """The words were melted in the order (S, B) and split as (B, S). Leave the axes where they are: no transpose is needed."""
    return (x.transpose(0, 1).reshape(-1, x.shape[2]) @ w).reshape(x.shape[0], x.shape[1], -1)


@on_every_word.mistake
def three_axes(x, w):
    """The result is right: torch's `@` takes x with three axes and melts two of them itself. The task is to do that: `@` on two
    matrices only."""
    return x @ w


@on_every_word.mistake
def sentence_by_sentence(x, w):
    """The result is right, but it took a product for each sentence. Melt (B, S) into one axis of words: one product of two
    matrices."""
    return torch.stack([sentence @ w for sentence in x])


def two_heads(split_heads):
    x = drawn(torch.arange(1 * 3 * 4).reshape(1, 3, 4))
    result = split_heads(x, 2)
    two = drawn(torch.arange(2 * 2 * 6).reshape(2, 2, 6))
    return {
        "the shape from (1, 3, 4) and 2 heads": tuple(result.shape),
        "what is in x = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]] after the split": result[0].tolist(),
        "3 heads of x (2, 2, 6), x = 0, 1, 2, ...": split_heads(two, 3),
    }


@task(
    facts=two_heads,
    hints=(
        "Two steps: split the last axis in place, then move the new axis.",
        "First (B, S, heads, D / heads) by reshape; then swap axes 1 and 2.",
        "x.reshape(B, S, heads, -1).transpose(1, 2)",
    ),
)
def split_heads(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


@split_heads.mistake
def in_one_step(x, heads):
    """The shape is right, but a head now holds whole words instead of a piece of every word. Split the last axis first, then
    transpose."""
    return x.reshape(x.shape[0], heads, x.shape[1], -1)


@split_heads.mistake
def only_split(x, heads):
    """The features are split, but the heads are still behind the words: (B, S, heads, D / heads). Swap axes 1 and 2."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1)


@split_heads.mistake
def every_other_feature(x, heads):
    """Head 0 got every second feature instead of the first half: split the last axis as (heads, D / heads), in that order."""
    return x.reshape(x.shape[0], x.shape[1], -1, heads).permute(0, 3, 1, 2)


@split_heads.mistake
def heads_behind(x, heads):
    """The last two axes were swapped: (B, S, D / heads, heads). Swap the words with the heads, axes 1 and 2."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(2, 3)
