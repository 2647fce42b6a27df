"""Wrong answers to exercise 12, each with words of what it must be told."""

import torch


def grads__none_in_quotes():
    """write None without quotes"""
    return {"w is made": "None"}


def descend__compared_in_place_of_emptied(w, x, y, steps, lr):
    """each backward added to the gradients of earlier steps"""
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad
        w.grad == None  # noqa: B015, E711
    return losses


def descend__losses_as_tensors(w, x, y, steps, lr):
    """yours is a tensor, 1.75 at [0]; it should be a number"""
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss)
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad
        w.grad = None
    return losses


def gradient_in_pieces__emptied(w, x, y, size):
    """yours is None; it should be a tensor"""
    for start in range(0, len(x), size):
        piece_x, piece_y = x[start : start + size], y[start : start + size]
        (((piece_x @ w - piece_y) ** 2).mean() * len(piece_x) / len(x)).backward()
        w.grad = None
    return w.grad


def cube_backward__both(ctx, grad):
    """cube_backward returns a tuple; it should return a tensor"""
    (x,) = ctx.saved_tensors
    return grad, 3 * x * x


def cube_backward__tuple(ctx, grad):
    """A tuple stands where one of its entries is meant"""
    return grad * 3 * ctx.saved_tensors**2
