"""Right answers to exercise 06, in other styles than ours."""

import torch
import torch.nn.functional as F


def clash__from_behind(a, b):
    """both shapes reversed"""
    for axis, (m, n) in enumerate(zip(reversed(a), reversed(b), strict=False), start=1):
        if m != n and m != 1 and n != 1:
            return -axis


def clash__generator(a, b):
    """the first of a generator"""
    axes = range(-1, -min(len(a), len(b)) - 1, -1)
    return next((axis for axis in axes if len({a[axis], b[axis]} - {1}) > 1), None)


def clash__asks_torch(a, b):
    """tries ever longer shapes"""
    for axis in range(1, min(len(a), len(b)) + 1):
        try:
            torch.broadcast_shapes(a[-axis:], b[-axis:])
        except RuntimeError:
            return -axis
    return None


def clash__while(a, b):
    """pads with ones, and a while loop"""
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + tuple(a), (1,) * (n - len(b)) + tuple(b)
    axis = n - 1
    while axis >= 0:
        if a[axis] != b[axis] and a[axis] != 1 and b[axis] != 1:
            return axis - n
        axis -= 1


def scale_samples__unsqueeze(x, scale):
    """unsqueeze"""
    return x * scale.unsqueeze(1)


def scale_samples__transposed(x, scale):
    """transposed and back"""
    return (x.T * scale).T


def scale_samples__diagonal(x, scale):
    """a diagonal matrix"""
    return scale.diag() @ x


def scale_samples__loop(x, scale):
    """sample by sample"""
    return torch.stack([number * row for number, row in zip(scale, x, strict=True)])


def row_shares__none(x):
    """an axis put on with None"""
    return x / x.sum(1)[:, None]


def row_shares__transposed(x):
    """transposed and back"""
    return (x.T / x.sum(axis=1)).T


def row_shares__row_by_row(x):
    """each row by itself"""
    return torch.stack([row / row.sum() for row in x])


def squared_error__column(prediction, target):
    """the target as a column"""
    return (prediction - target[:, None]).pow(2).mean()


def squared_error__flatten(prediction, target):
    """flatten, and a sum divided"""
    difference = prediction.flatten() - target
    return (difference * difference).sum() / len(target)


def squared_error__loss(prediction, target):
    """torch's loss of equal shapes"""
    return F.mse_loss(prediction.view(-1), target)


def standardised__view(images, mean, std):
    """view"""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def standardised__channels_last(images, mean, std):
    """the channel axis at the end and back"""
    return ((images.movedim(1, -1) - mean) / std).movedim(-1, 1)


def standardised__channel_by_channel(images, mean, std):
    """a copy, channel by channel"""
    result = images.clone()
    for c in range(len(mean)):
        result[:, c] = (images[:, c] - mean[c]) / std[c]
    return result
