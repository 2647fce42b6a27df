"""Wrong answers to exercise 26, each with words of what it must be told."""

import math

import torch
import torch.nn.functional as F


def fit__in_order(model, optimizer, x, y, epochs, batch_size):
    """the weights afterwards"""
    history = []
    for _ in range(epochs):
        model.train()
        total = 0.0
        for first in range(0, len(x), batch_size):
            piece, target = x[first : first + batch_size], y[first : first + batch_size]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(piece), target)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(piece)
        history.append(total / len(x))
    return history


def fit__last_batch(model, optimizer, x, y, epochs, batch_size):
    """the losses of the 3 epochs: yours is ["""
    history = []
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
        history.append(loss.item())
    return history


def accuracy__percent(model, batches):
    """4 of 6 right, in batches of 5 and 1: yours is 66.67; it should be 0.6667"""
    model.eval()
    with torch.no_grad():
        hits = torch.cat([model(x).argmax(1) == y for x, y in batches])
    return 100 * hits.double().mean().item()


def rate__degrees(epoch, epochs, warm_up, lr):
    """epoch 12, half-way down: yours is"""
    if epoch < warm_up:
        return lr * (epoch + 1) / warm_up
    return lr * (1 + math.cos(180 * (epoch - warm_up) / (epochs - warm_up))) / 2
