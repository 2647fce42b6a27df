"""Wrong answers to exercise 06, each with words of what it must be told."""

import torch.nn.functional as F


def clash__else_in_the_loop(a, b):
    """Only the last axis was looked at"""
    for axis in range(1, min(len(a), len(b)) + 1):
        if a[-axis] != b[-axis] and 1 not in (a[-axis], b[-axis]):
            return -axis
        else:
            return None


def clash__one_axis_short(a, b):
    """clash((4, 3), (4,)): yours is None; it should be a number, -1"""
    for axis in range(-1, -min(len(a), len(b)), -1):
        if a[axis] != b[axis] and 1 not in (a[axis], b[axis]):
            return axis


def row_shares__normalised(x):
    """divide by the sum of the absolute values"""
    return F.normalize(x, p=1, dim=1)


def squared_error__a_float(prediction, target):
    """the values are right, but yours is a number, 0; it should be a tensor"""
    return ((prediction.squeeze(1) - target) ** 2).mean().item()


def squared_error__root(prediction, target):
    """what is under the root"""
    return F.mse_loss(prediction.squeeze(1), target) ** 0.5
