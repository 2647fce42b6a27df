"""Wrong answers to exercise 09, each with words of what it must be told."""

import torch


def accuracy__a_tensor(logits, y):
    """the values are right, but yours is a tensor, 0.75; it should be a number"""
    return (logits.argmax(1) == y.squeeze(1)).float().mean()


def accuracy__mean_of_yes_and_no(logits, y):
    """make floats of them first"""
    return (logits.argmax(1) == y.squeeze(1)).mean().item()


def accuracy__without_parentheses(logits, y):
    """are its parentheses missing?"""
    return (logits.argmax(1) == y.squeeze(1)).float().mean


def top_k_accuracy__topk(logits, y, k):
    """topk does not promise which of several equal scores it takes"""
    return (logits.topk(k).indices == y.unsqueeze(1)).any(1).float().mean().item()


def confusion__floats(predicted, y, classes):
    """yours is float32; it should be int64"""
    counts = torch.zeros(classes, classes)
    for i, j in zip(y, predicted, strict=True):
        counts[i, j] += 1
    return counts


def recall__table(counts):
    """yours has the shape (3, 3); it should have (3,)"""
    return counts.diagonal() / counts.sum(1, keepdim=True)
