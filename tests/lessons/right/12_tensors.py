"""Right answers to exercise 12, in other styles than ours."""

import torch


def grads__whole_numbers():
    """whole numbers"""
    return {
        "w is made": None,
        "(w * w).backward()": 6,
        "once more: (w * w).backward()": 12,
        "w.grad = None; (5 * w).backward()": 5,
        "w.grad = None; (w.detach() * w).backward()": 3,
        "w.grad.zero_()": 0,
    }


def grads__floats():
    """floats"""
    return {line: value if value is None else float(value) for line, value in grads__whole_numbers().items()}


def grads__tensors():
    """tensors, as .grad has them"""
    return {line: value if value is None else torch.tensor(float(value)) for line, value in grads__whole_numbers().items()}


def descend__zeroed(w, x, y, steps, lr):
    """sub_ and zero_"""
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            w.sub_(lr * w.grad)
        w.grad.zero_()
    return losses


def descend__autograd_grad(w, x, y, steps, lr):
    """torch.autograd.grad, which leaves .grad alone"""
    losses = []
    for _ in range(steps):
        loss = (x @ w - y).square().mean()
        losses += [float(loss)]
        (gradient,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w[:] = w - lr * gradient
    return losses


def descend__optimizer(w, x, y, steps, lr):
    """an optimizer"""
    optimizer = torch.optim.SGD([w], lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses


def descend__data(w, x, y, steps, lr):
    """.data"""
    losses = []
    for _ in range(steps):
        w.grad = None
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        w.data -= lr * w.grad
    return losses


def gradient_in_pieces__share_first(w, x, y, size):
    """the share as a number of its own"""
    for start in range(0, len(x), size):
        piece_x, piece_y = x[start : start + size], y[start : start + size]
        share = piece_x.shape[0] / x.shape[0]
        loss = ((piece_x @ w - piece_y) ** 2).mean()
        (loss * share).backward()
    return w.grad


def gradient_in_pieces__sums(w, x, y, size):
    """sums, divided by all"""
    for piece_x, piece_y in zip(x.split(size), y.split(size), strict=True):
        (((piece_x @ w - piece_y) ** 2).sum() / len(y)).backward()
    return w.grad


def gradient_in_pieces__added_by_hand(w, x, y, size):
    """gradients of pieces, added by hand"""
    total = torch.zeros_like(w)
    for i in range(0, len(x), size):
        loss = ((x[i : i + size] @ w - y[i : i + size]) ** 2).sum() / len(x)
        total += torch.autograd.grad(loss, w)[0]
    return total


def cube_backward__power(ctx, grad):
    """x ** 2"""
    x = ctx.saved_tensors[0]
    return 3 * x**2 * grad


def cube_backward__functions(ctx, grad):
    """functions of torch"""
    (x,) = ctx.saved_tensors
    return torch.mul(grad, 3 * torch.square(x))


def cube_backward__autograd(ctx, grad):
    """autograd of the cube itself"""
    x = ctx.saved_tensors[0].detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(x**3, x, grad)[0]
