"""Right answers to exercise 19, each in a style of its own."""

import math

import numpy as np
import torch
import torch.nn.functional as F

_QUESTIONS = (
    "the loss when the right class has the probability 1/2",
    "the loss of four equal logits",
    "the loss when the right class has the probability 1/8",
    "the loss was 0.3; what is it after 100 is added to every logit",
    "the slope of the right class's logit when its probability is 0.9",
    "the slope of a wrong class's logit when its probability is 0.2",
)


def predictions__computed():
    """Logarithms and differences."""
    return dict(zip(_QUESTIONS, (-math.log(1 / 2), -math.log(1 / 4), -math.log(1 / 8), 0.3, 0.9 - 1, 0.2 - 0), strict=True))


def predictions__numpy():
    """NumPy's numbers."""
    return dict(zip(_QUESTIONS, (*np.log([2, 4, 8]), np.float64(0.3), np.float64(-0.1), 1 / 5), strict=True))


def predictions__tensors():
    """Asked of torch, in another order."""
    x = torch.zeros(1, 4, dtype=torch.float64)
    numbers = (math.log(2), F.cross_entropy(x, torch.tensor([3])), 3 * math.log(2), 3 / 10, -1 / 10, torch.tensor(0.2).item())
    return dict(reversed(list(zip(_QUESTIONS, numbers, strict=True))))


def forward__gather(x, y):
    """torch.max with its values, and gather for the right class."""
    top = torch.max(x, dim=1, keepdim=True).values
    lse = torch.log(torch.sum(torch.exp(x - top), dim=1, keepdim=True)) + top
    return (lse - torch.gather(x, 1, y.unsqueeze(1))).squeeze(1), lse.squeeze(1)


def forward__one_hot(x, y):
    """A mask instead of an index."""
    m = x.amax(-1)
    lse = m + (x.T - m).T.exp().sum(-1).log()
    return lse - (x * F.one_hot(y, x.shape[1])).sum(-1), lse


def forward__shifted(x, y):
    """The loss from the shifted logits, in which no digits are lost."""
    top = x.max(dim=1).values
    shifted = x - top[:, None]
    log_sum = shifted.exp().sum(dim=1).log()
    return log_sum - shifted[range(len(x)), y], log_sum + top


def forward__row_by_row(x, y):
    """A loop over the rows."""
    losses, sums = [], []
    for row, right in zip(x, y, strict=True):
        m = row.max()
        sums.append(m + torch.log(torch.exp(row - m).sum()))
        losses.append(sums[-1] - row[right])
    return torch.stack(losses), torch.stack(sums)


def backward__one_hot(g, x, y, lse):
    """The truth as a matrix."""
    return ((x - lse.unsqueeze(1)).exp() - F.one_hot(y, x.shape[1])) * g.unsqueeze(1)


def backward__scatter(g, x, y, lse):
    """g times p, then scatter-add of minus g."""
    dx = torch.exp(x - lse.view(-1, 1)) * g.view(-1, 1)
    return dx.scatter_add(1, y.view(-1, 1), -g.view(-1, 1))


def backward__loop(g, x, y, lse):
    """Entry by entry."""
    dx = torch.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = g[i] * (torch.exp(x[i, j] - lse[i]) - (1 if j == y[i] else 0))
    return dx


def language_loss__reshape(logits, y):
    """reshape with -1."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def language_loss__sizes(logits, y):
    """view with the sizes."""
    B, S, C = logits.shape
    return F.cross_entropy(logits.view(B * S, C), y.view(B * S))


def language_loss__sentence_by_sentence(logits, y):
    """All sentences are of one length, so the mean of their means is right."""
    return torch.stack([F.cross_entropy(sentence, words) for sentence, words in zip(logits, y, strict=True)]).mean()


def train_step__index(W, b, x, y, lr):
    """1 is subtracted through an index."""
    g = F.softmax(x @ W.T + b, dim=1)
    g[torch.arange(len(x)), y] -= 1
    g /= len(x)
    W.sub_(lr * (g.T @ x))
    b.sub_(lr * g.sum(dim=0))


def train_step__with_ones(W, b, x, y, lr):
    """The sum over the samples as a product with ones; copy_ at the end."""
    p = (x @ W.t() + b).exp()
    g = p / p.sum(1, keepdim=True) - torch.eye(len(W))[y]
    new_W, new_b = W - lr / len(x) * torch.mm(g.t(), x), b - lr / len(x) * torch.ones(len(x)) @ g
    W.copy_(new_W)
    b.copy_(new_b)


def train_step__sample_by_sample(W, b, x, y, lr):
    """The gradients of the samples are collected, then W[:] and b[:] are written."""
    dW, db = torch.zeros_like(W), torch.zeros_like(b)
    for sample, right in zip(x, y, strict=True):
        g = torch.softmax(W @ sample + b, 0)
        g[right] -= 1
        dW += torch.outer(g, sample)
        db += g
    W[:] = W - lr * dW / len(x)
    b[:] = b - lr * db / len(x)
