"""Exercise 06: the axis of a clash; a column, keepdim, (B, 1) against (B,), and one number for each channel."""

import torch

from scratchnet.course import drawn, task


def clashes(clash):
    pairs = (
        ((4, 3), (4,)), ((4, 3), (3,)), ((4, 3), (4, 1)), ((2, 4, 3), (5, 1, 3)), ((5, 4, 3), (2, 4, 2)), ((), (7,)),
        ((4, 1), (4, 3)), ((2, 3), (4, 3)),
    )  # fmt: skip
    return {f"clash({a}, {b})": clash(a, b) for a, b in pairs}


@task(
    facts=clashes,
    hints=(
        "Walk through both shapes from the right, one pair of sizes after another.",
        "A pair clashes if the sizes differ and neither is 1. Where the shorter shape ends, nothing can clash any more.",
        "for axis in range(1, min(len(a), len(b)) + 1): compare a[-axis] with b[-axis]; return -axis at a clash",
    ),
)
def clash(a, b):
    for axis in range(1, min(len(a), len(b)) + 1):
        if a[-axis] != b[-axis] and 1 not in (a[-axis], b[-axis]):
            return -axis
    return None


@clash.mistake
def from_the_left(a, b):
    """(4, 3) and (4,) do clash: shapes are aligned at the right, so 3 meets 4. Count from the end: a[-1] meets b[-1]."""
    for axis, (m, n) in enumerate(zip(a, b, strict=False)):
        if m != n and 1 not in (m, n):
            return axis - max(len(a), len(b))
    return None


@clash.mistake
def one_is_a_size_like_others(a, b):
    """(4, 3) and (4, 1) fit: a size of 1 is stretched to whatever it meets."""
    for axis in range(1, min(len(a), len(b)) + 1):
        if a[-axis] != b[-axis]:
            return -axis
    return None


@clash.mistake
def counted_from_the_left(a, b):
    """The right axis, but counted from the left. The task counts from the right: the last axis is -1."""
    axis = clash(a, b)
    return axis if axis is None else axis + max(len(a), len(b))


@clash.mistake
def last_clash(a, b):
    """Two axes clash in (5, 4, 3) and (2, 4, 2). Coming from the right, the first of them is -1: return at once."""
    found = [-i for i in range(1, min(len(a), len(b)) + 1) if a[-i] != b[-i] and 1 not in (a[-i], b[-i])]
    return found[-1] if found else None


@clash.mistake
def positive(a, b):
    """The right axis, but without its sign: counted from the right the axes are -1, -2, ...: return -axis."""
    axis = clash(a, b)
    return None if axis is None else -axis


@clash.mistake
def one_in_the_second_only(a, b):
    """(4, 1) and (4, 3) fit as well: the 1 may be in either shape. Ask both sizes whether they are 1."""
    for axis in range(1, min(len(a), len(b)) + 1):
        if a[-axis] != b[-axis] and b[-axis] != 1:
            return -axis
    return None


@clash.mistake
def yes_or_no(a, b):
    """That says whether they clash. The task asks where: the axis, -1, -2, ..., or None."""
    return clash(a, b) is not None


@clash.mistake
def last_axis_only(a, b):
    """Only the last axis was looked at: a `return` within the loop ends it in the first round. Return there only at a clash,
    and None after the loop."""
    return -1 if a and b and a[-1] != b[-1] and 1 not in (a[-1], b[-1]) else None


def scaled(scale_samples):
    x = drawn(torch.arange(9.0).reshape(3, 3))
    scale = drawn(torch.tensor([1.0, 10.0, 100.0]))
    return {
        "a square x = [[0, 1, 2], [3, 4, 5], [6, 7, 8]] scaled by 1, 10, 100": scale_samples(x, scale),
        "the shape for x (3, 2), scale (3,)": tuple(scale_samples(x[:, :2], scale).shape),
    }


@task(
    facts=scaled,
    hints=(
        "Aligned at the right, (B,) stands under the features. It should stand under the samples.",
        "A column (B, 1) is stretched along the features. None in an index adds an axis of size 1.",
        "x * scale[:, None]",
    ),
)
def scale_samples(x, scale):
    return x * scale[:, None]


@scale_samples.mistake
def as_it_was(x, scale):
    """Aligned at the right, the numbers of scale stand under the columns of x. Where x is square nothing complains; otherwise
    they clash. Make scale a column: scale[:, None]."""
    return x * scale


@scale_samples.mistake
def turned_and_not_turned_back(x, scale):
    """x.T * scale scales the samples, but it leaves x on its side. With scale[:, None] nothing has to be turned."""
    return x.T * scale


@scale_samples.mistake
def added_up(x, scale):
    """scale @ x multiplies and adds the samples up into one. The task asks for each sample by itself: x * scale[:, None]."""
    return scale @ x


def shares(row_shares):
    x = drawn(torch.tensor([[1.0, 1.0, 2.0], [2.0, 2.0, 4.0], [3.0, 3.0, 6.0]]))
    facts = {"the sums of the rows": row_shares(x).sum(dim=1), "the shares of a (2, 3) table": row_shares(x[1:])}
    return facts | {"the shares of [4, -2] and [1, 3]": row_shares(drawn(torch.tensor([[4.0, -2.0], [1.0, 3.0]])))}


@task(
    facts=shares,
    hints=(
        "After sum(dim=1) the axis is gone, and (R,) stands under the columns.",
        "sum has an option that leaves the summed axis there with size 1.",
        "x / x.sum(dim=1, keepdim=True)",
    ),
)
def row_shares(x):
    return x / x.sum(dim=1, keepdim=True)


@row_shares.mistake
def as_before(x):
    """The sums stand under the columns, so each column was divided, and the rows do not add up to 1: keepdim=True."""
    return x / x.sum(dim=1)


@row_shares.mistake
def shares_of_columns(x):
    """dim=0 adds down the columns. The sum of a row runs along axis 1: the dim that you name is the one that goes."""
    return x / x.sum(dim=0, keepdim=True)


@row_shares.mistake
def shares_of_everything(x):
    """x.sum() without dim adds up the whole table. Each row has a sum of its own: dim=1."""
    return x / x.sum()


@row_shares.mistake
def softmax_instead(x):
    """softmax makes rows that add up to 1 as well, but it takes exponentials first. The task asks for the plain share."""
    return x.softmax(dim=1)


@row_shares.mistake
def absolute_sum(x):
    """normalize(p=1) and abs() divide by the sum of the absolute values. That is the sum only where nothing is negative."""
    return x / x.abs().sum(dim=1, keepdim=True)


@row_shares.mistake
def divided_by_the_largest(x):
    """Each row was divided by its largest entry. A share is an entry divided by the sum of its row."""
    return x / x.amax(dim=1, keepdim=True)


@row_shares.mistake
def divided_by_the_mean(x):
    """Each row was divided by its mean, so it adds up to the number of columns. Divide by the sum."""
    return x / x.mean(dim=1, keepdim=True)


def errors(squared_error):
    target = drawn(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    return {
        "the error of perfect predictions": squared_error(target[:, None], target),
        "the error of predictions that are all 2 too large": squared_error(target[:, None] + 2, target),
        "of one 2 too large and one 2 too small": squared_error(
            target[:2, None] + drawn(torch.tensor([[2.0], [-2.0]])), target[:2]
        ),
        "of one 1 and one 3 too large": squared_error(target[:2, None] + drawn(torch.tensor([[1.0], [3.0]])), target[:2]),
    }


@task(
    facts=errors,
    hints=(
        "Write the shapes one under the other: (B, 1) and (B,). What becomes of them?",
        "Bring both to the same shape first. Take one axis off, or put one on.",
        "((prediction.squeeze(1) - target) ** 2).mean()",
    ),
)
def squared_error(prediction, target):
    return ((prediction.squeeze(1) - target) ** 2).mean()


@squared_error.mistake
def every_one_against_every_other(prediction, target):
    """(B, 1) against (B,) makes (B, B), every prediction against every target. Take the axis off: prediction.squeeze(1)."""
    return ((prediction - target) ** 2).mean()


@squared_error.mistake
def summed(prediction, target):
    """That is the sum of the squares. The mean divides it by the number of samples."""
    return ((prediction.squeeze(1) - target) ** 2).sum()


@squared_error.mistake
def not_squared(prediction, target):
    """That is the mean of the distances. Square the differences before you take the mean."""
    return (prediction.squeeze(1) - target).abs().mean()


@squared_error.mistake
def means_compared(prediction, target):
    """The mean was taken first, so errors up and down cancel. Square each difference, then take the mean."""
    return prediction.mean() - target.mean()


@squared_error.mistake
def root_of_it(prediction, target):
    """That is its root. The mean squared difference is what is under the root."""
    return ((prediction.squeeze(1) - target) ** 2).mean().sqrt()


@squared_error.mistake
def half_of_it(prediction, target):
    """That is half of it, as some books write the loss. The mean squared difference has no 1/2."""
    return ((prediction.squeeze(1) - target) ** 2).mean() / 2


@squared_error.mistake
def not_yet_one_number(prediction, target):
    """Those are the squares, one for each sample. The task asks for their mean, one number."""
    return (prediction.squeeze(1) - target) ** 2


def pictures(standardised):
    images = drawn(torch.arange(2 * 3 * 2 * 3.0).reshape(2, 3, 2, 3))
    before = images.clone()
    mean, std = drawn(torch.tensor([1.0, 20.0, 300.0])), drawn(torch.tensor([1.0, 2.0, 4.0]))
    result = standardised(images, mean, std)
    return {
        "the images after the call are as before": torch.equal(images, before),
        "channel 1 of image 0": result[0, 1],
        "all of it": result,
    }


@task(
    facts=pictures,
    hints=(
        "Aligned at the right, (C,) stands under W. Under which axis should it stand?",
        "(C, 1, 1) stands under (C, H, W). And -= writes into the caller's images.",
        "(images - mean[:, None, None]) / std[:, None, None]",
    ),
)
def standardised(images, mean, std):
    return (images - mean[:, None, None]) / std[:, None, None]


@standardised.mistake
def as_found(images, mean, std):
    """-= wrote into the caller's images. And (C,) stands under W, which goes unnoticed where W equals C: use (C, 1, 1)."""
    images -= mean
    return images / std


@standardised.mistake
def columns_instead_of_channels(images, mean, std):
    """(C,) stands under W, so every column of pixels was treated as a channel. W happens to equal C here, so nothing clashed:
    use (C, 1, 1)."""
    return (images - mean) / std


@standardised.mistake
def rows_of_columns(images, mean, std):
    """One axis is still missing: (C, 1) stands under (H, W). It takes two, (C, 1, 1), to stand under (C, H, W)."""
    return (images - mean[:, None]) / std[:, None]


@standardised.mistake
def one_parameter_forgotten(images, mean, std):
    """The mean is right, but std still stands under W. It needs the same two axes as the mean."""
    return (images - mean[:, None, None]) / std


@standardised.mistake
def in_place(images, mean, std):
    """The numbers are right, but -= changed the caller's images. `images - ...` makes a new tensor."""
    images -= mean[:, None, None]
    return images / std[:, None, None]


@standardised.mistake
def divided_first(images, mean, std):
    """The order of the steps: first minus the mean, then divided by std. Without brackets the division comes first."""
    return images - mean[:, None, None] / std[:, None, None]


@standardised.mistake
def along_the_batch(images, mean, std):
    """(C, 1, 1, 1) stands under (N, C, H, W) with C under N. One axis too many: (C, 1, 1)."""
    return (images - mean[: len(images), None, None, None]) / std[: len(images), None, None, None]
