"""Wrong answers to exercise 16, each with words of what it must be told."""

import torch

from scratchnet.data.generated import HOUSE_BIAS, HOUSE_WEIGHTS


def r2__correlation(guess, y):
    """the square of the correlation"""
    a, b = guess[:, 0] - guess.mean(), y[:, 0] - y.mean()
    return (a @ b) ** 2 / ((a @ a) * (b @ b))


def recover__known_numbers(x, y):
    """so are the weights 3, -2, 0.5 and the bias 7 of other data: yours is False"""
    return torch.tensor(HOUSE_WEIGHTS), torch.tensor(HOUSE_BIAS)


def predict__noisy(x, y, new):
    """a patient's guess alone, over that among others, to one digit: yours is"""
    return y.mean() + 20 * torch.randn(len(new), 1)
