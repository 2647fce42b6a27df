"""Right answers to exercise 18, each in a style of its own."""

import numpy as np
import torch
import torch.nn.functional as F


def weighted_mse__shares(guess, y, weight):
    """The weights as shares that sum to 1."""
    return ((guess - y) ** 2 * (weight / weight.sum())).sum()


def weighted_mse__dot(guess, y, weight):
    """A dot product with the losses of reduction none."""
    return torch.dot(weight, F.mse_loss(guess, y, reduction="none")) / torch.sum(weight)


def weighted_mse__loop(guess, y, weight):
    """One error after the other."""
    total = count = 0
    for a, b, w in zip(guess, y, weight, strict=True):
        total = total + w * (a - b) ** 2
        count = count + w
    return total / count


def epoch_loss__loop(means, sizes):
    """A running total."""
    total, samples = 0, 0
    for i in range(len(means)):
        total += means[i] * sizes[i]
        samples += sizes[i]
    return total / samples


def epoch_loss__numpy(means, sizes):
    """np.average knows weights."""
    return np.average(means, weights=sizes)


def epoch_loss__tensors(means, sizes):
    """A dot product of tensors, as a number."""
    means, sizes = torch.tensor(means), torch.tensor(sizes, dtype=torch.float32)
    return (means @ sizes / sizes.sum()).item()


def padded_loss__where(each, y, pad):
    """Zeros where there is no word, then sum over count."""
    real = y != pad
    return torch.where(real, each, torch.zeros_like(each)).sum() / real.sum()


def padded_loss__masked_select(each, y, pad):
    """masked_select over everything flattened."""
    return torch.mean(torch.masked_select(each.flatten(), ~torch.eq(y, pad).flatten()))


def padded_loss__loop(each, y, pad):
    """A list of the losses that count."""
    real = [each[b, s] for b in range(len(y)) for s in range(y.shape[1]) if y[b, s] != pad]
    return torch.stack(real).mean()


def bce__softplus(z, t):
    """softplus minus what the truth takes back."""
    return F.softplus(z) - z * t


def bce__logaddexp(z, t):
    """log(1 + exp(z)) by logaddexp."""
    return torch.logaddexp(torch.zeros_like(z), z) - t * z


def bce__two_cases(z, t):
    """logsigmoid of z or of -z."""
    return -torch.where(t == 1, F.logsigmoid(z), F.logsigmoid(-z))


def with_penalty__loop(loss, model, strength):
    """Added one by one, by name."""
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            loss = loss + strength * (parameter**2).sum()
    return loss


def with_penalty__norm(loss, model, strength):
    """The square of the norm."""
    return loss + strength * sum(torch.linalg.norm(p) ** 2 for p in model.parameters() if p.dim() >= 2)


def with_penalty__one_vector(loss, model, strength):
    """All weights in one long vector, times itself."""
    weights = torch.cat([p.flatten() for p in model.parameters() if len(p.shape) != 1])
    return loss + strength * weights @ weights
