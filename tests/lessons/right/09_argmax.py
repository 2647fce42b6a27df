"""Right answers to exercise 09, in other styles than ours."""

import torch
import torch.nn.functional as F


def accuracy__columns(logits, y):
    """both as columns"""
    return (logits.argmax(dim=-1, keepdim=True) == y).float().mean().item()


def accuracy__counted(logits, y):
    """a count, divided"""
    hits = (logits.max(dim=1).indices == y.flatten()).sum().item()
    return hits / len(y)


def accuracy__loop(logits, y):
    """a loop"""
    right = 0
    for row, label in zip(logits, y, strict=True):
        if row.argmax() == label[0]:
            right += 1
    return right / logits.shape[0]


def top_k_accuracy__loop(logits, y, k):
    """a loop over the rows"""
    hits = [int((row >= row[label]).sum()) <= k for row, label in zip(logits, y, strict=True)]
    return sum(hits) / len(hits)


def top_k_accuracy__pairs(logits, y, k):
    """a pair of indices"""
    own = logits[torch.arange(len(y)), y].unsqueeze(1)
    rank = (logits >= own).int().sum(dim=1)
    return float((rank <= k).double().mean())


def top_k_accuracy__sorted(logits, y, k):
    """ahead of the first that is left out"""
    if k >= logits.shape[1]:
        return 1.0
    left_out = logits.sort(dim=1, descending=True).values[:, k]
    return (logits[range(len(y)), y] > left_out).float().mean().item()


def confusion__loop(predicted, y, classes):
    """a loop"""
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    for i in range(len(y)):
        counts[y[i], predicted[i]] += 1
    return counts


def confusion__bincount(predicted, y, classes):
    """numbered cells"""
    return torch.bincount(y * classes + predicted, minlength=classes**2).reshape(classes, classes)


def confusion__one_hot(predicted, y, classes):
    """a product of one-hot tables"""
    return F.one_hot(y, classes).T @ F.one_hot(predicted, classes)


def confusion__compared(predicted, y, classes):
    """each cell by a mask"""
    rows = [[((y == i) & (predicted == j)).sum() for j in range(classes)] for i in range(classes)]
    return torch.tensor(rows)


def recall__diag(counts):
    """diag and sum(1)"""
    return torch.diag(counts) / torch.sum(counts, 1)


def recall__loop(counts):
    """a loop"""
    shares = torch.zeros(len(counts))
    for i in range(len(counts)):
        shares[i] = counts[i, i] / counts[i].sum()
    return shares


def recall__normalised(counts):
    """the diagonal of the shares"""
    return (counts / counts.sum(dim=1, keepdim=True)).diagonal()
