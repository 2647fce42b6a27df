"""Right answers to exercise 26, each in a style of its own."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def prepare__shuffled_first(x, y, held_out):
    """Both shuffled by one order, then cut."""
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    cut = len(x) - held_out
    std, mean = torch.std_mean(x[:cut], dim=0)
    x = (x - mean) / std
    return x[:cut], y[:cut], x[cut:], y[cut:]


def prepare__split(x, y, held_out):
    """The order, split in two; index_select."""
    train, test = torch.randperm(x.shape[0]).split([x.shape[0] - held_out, held_out])
    mean = x.index_select(0, train).mean(0, keepdim=True)
    std = (x[train] - mean).square().sum(0).div(len(train) - 1).sqrt()
    return x[train].sub(mean).div(std), y[train], x[test].sub(mean).div(std), y[test]


def prepare__lists(x, y, held_out):
    """The order as a list."""
    order = torch.randperm(len(x)).tolist()
    train, test = order[: len(x) - held_out], order[len(x) - held_out :]
    mean, std = torch.mean(x[train], 0), torch.std(x[train], 0)
    scaled = lambda rows: torch.stack([(x[i] - mean) / std for i in rows])
    return [scaled(train), y[train], scaled(test), y[test]]


def fit__slices(model, optimizer, x, y, epochs, batch_size):
    """Slices of the order; zero_grad at the end."""
    history = []
    model.train()
    optimizer.zero_grad()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        losses = []
        for start in range(0, len(x), batch_size):
            chosen = order[start : start + batch_size]
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses += [loss.item()] * len(chosen)
        history.append(sum(losses) / len(losses))
    return history


def fit__sums(model, optimizer, x, y, epochs, batch_size):
    """The sum of the losses, detached and added up as tensors."""
    history = []
    for _ in range(epochs):
        model.train()
        total = torch.zeros(())
        for chosen in torch.randperm(len(x)).split(batch_size):
            for parameter in model.parameters():
                parameter.grad = None
            each = F.cross_entropy(model(x[chosen]), y[chosen], reduction="none")
            each.mean().backward()
            optimizer.step()
            total += each.detach().sum()
        history.append(float(total) / len(x))
    return history


def fit__closure(model, optimizer, x, y, epochs, batch_size):
    """A closure that the optimizer calls; log_softmax and nll_loss."""

    def epoch():
        total = 0.0
        for chosen in torch.randperm(len(x)).split(batch_size):

            def closure(chosen=chosen):
                optimizer.zero_grad()
                loss = F.nll_loss(F.log_softmax(model.train()(x[chosen]), dim=1), y[chosen])
                loss.backward()
                return loss

            total += optimizer.step(closure).item() * chosen.numel()
        return total / len(x)

    return [epoch() for _ in range(epochs)]


def accuracy__loop(model, batches):
    """Two counters."""
    model.eval()
    right = samples = 0
    with torch.no_grad():
        for x, y in batches:
            guesses = model(x).argmax(1)
            right += int((guesses == y).sum())
            samples += y.numel()
    return right / samples


def accuracy__joined(model, batches):
    """All answers joined, then one mean."""
    with torch.no_grad():
        model.train(False)
        hits = torch.cat([model(x).max(dim=-1).indices.eq(y) for x, y in batches])
    return hits.float().mean().item()


def accuracy__weighted(model, batches):
    """The accuracies of the batches, weighted by their sizes; topk."""
    model.eval()
    shares = [np.mean((model(x).topk(1).indices[:, 0] == y).numpy()) for x, y in batches]
    return np.average(shares, weights=[len(y) for _, y in batches])


def rate__if(epoch, epochs, warm_up, lr):
    """As in the stub."""
    if epoch < warm_up:
        return (1 + epoch) / warm_up * lr
    share = (epoch - warm_up) / (epochs - warm_up)
    return 0.5 * lr * (1.0 + math.cos(share * math.pi))


def rate__square(epoch, epochs, warm_up, lr):
    """(1 + cos 2a) / 2 is cos(a) squared."""
    after = epoch - warm_up
    return lr * np.cos(np.pi / 2 * after / (epochs - warm_up)) ** 2 if after >= 0 else lr * (after + 1) / warm_up + lr


def rate__list(epoch, epochs, warm_up, lr):
    """All rates in a list."""
    rates = [lr * n / warm_up for n in range(1, warm_up + 1)]
    down = epochs - warm_up
    rates += [lr * (1 + math.cos(math.pi * n / down)) / 2 for n in range(down)]
    return rates[epoch]
