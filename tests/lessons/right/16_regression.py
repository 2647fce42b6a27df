"""Right answers to exercise 16, each in a style of its own."""

import numpy as np
import torch


def standardise__both_statistics_at_once(train, test):
    """torch.std_mean, and the same lambda for both."""
    std, mean = torch.std_mean(train, dim=0)
    scaled = lambda part: (part - mean) / std
    return scaled(train), scaled(test)


def standardise__sums_by_hand(train, test):
    """Every sum written out, with keepdim."""
    n = train.shape[0]
    mean = train.sum(dim=0, keepdim=True) / n
    centred = train - mean
    std = torch.sqrt((centred**2).sum(dim=0, keepdim=True) / (n - 1))
    return centred / std, (test - mean) / std


def standardise__column_by_column(train, test):
    """A loop over the features."""
    parts = [], []
    for column in range(train.shape[1]):
        feature = train[:, column]
        for part, source in zip(parts, (train, test), strict=True):
            part.append((source[:, column] - feature.mean()) / feature.std())
    return torch.stack(parts[0], dim=1), torch.stack(parts[1], dim=1)


def map_back__dot(weights, bias, mean, std):
    """A dot product for the bias."""
    raw = weights / std
    return raw, bias - torch.dot(raw, mean)


def map_back__through_zero(weights, bias, mean, std):
    """The bias is what the model guesses for x = 0."""
    return weights / std, ((torch.zeros_like(mean) - mean) / std) @ weights + bias


def map_back__loop(weights, bias, mean, std):
    """One feature after the other."""
    raw = weights.clone()
    for i in range(len(weights)):
        raw[i] = weights[i] / std[i]
        bias = bias - raw[i] * mean[i]
    return raw, bias


def r2__sums(guess, y):
    """Sums in place of means: N cancels."""
    return 1 - ((y - guess) ** 2).sum() / ((y - y.mean()) ** 2).sum()


def r2__var(guess, y):
    """torch's variance with correction=0, and mse_loss."""
    return 1 - torch.nn.functional.mse_loss(guess, y) / y.var(correction=0)


def r2__numpy(guess, y):
    """In NumPy, back as a tensor."""
    guess, y = guess.numpy(), y.numpy()
    return torch.tensor(1 - np.mean((guess - y) ** 2) / np.var(y))


def recover__normal_equations(x, y):
    """X.T X w = X.T y in float64."""
    ones = torch.cat([torch.ones(len(x), 1), x], dim=1).double()
    solution = torch.linalg.solve(ones.T @ ones, ones.T @ y.double()).float().squeeze(1)
    return solution[1:], solution[0]


def recover__centred(x, y):
    """Least squares on centred data; the bias from the means."""
    weights = torch.linalg.pinv((x - x.mean(0)).double()) @ (y - y.mean()).double()
    weights = weights[:, 0].float()
    return weights, y.mean() - x.mean(0) @ weights


def recover__descent(x, y):
    """Gradient descent with autograd on standardised features."""
    mean, std = x.mean(0), x.std(0)
    scaled = (x - mean) / std
    w, b = torch.zeros(x.shape[1], 1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w, b], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        (scaled @ w + b - y).square().mean().backward()
        optimizer.step()
    weights = w.detach()[:, 0] / std
    return weights, b.detach()[0] - weights @ mean


def predict__standardised(x, y, new):
    """Least squares on standardised features; the new ones with the statistics of x."""
    mean, std = x.mean(0), x.std(0)
    ones = torch.ones(len(x), 1)
    w = torch.linalg.lstsq(torch.cat([(x - mean) / std, ones], dim=1), y).solution
    return torch.cat([(new - mean) / std, torch.ones(len(new), 1)], dim=1) @ w


def predict__recovered(x, y, new):
    """With recover, and squeezed shapes put back."""
    weights, bias = recover__normal_equations(x, y)
    return (new * weights).sum(dim=1, keepdim=True) + bias


def predict__linear_layer(x, y, new):
    """A torch layer that LBFGS trains."""
    mean, std = x.mean(0), x.std(0)
    layer = torch.nn.Linear(x.shape[1], 1)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(layer((x - mean) / std), y)
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return layer((new - mean) / std)
