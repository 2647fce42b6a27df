"""Right answers to exercise 17, each in a style of its own."""

import functools
import math

import numpy as np
import torch


def descend__clone_and_in_place(gradient, w, lr, steps):
    """A copy that is changed in place."""
    w = w.clone()
    for _ in range(steps):
        w -= lr * gradient(w)
    return w


def descend__recursive(gradient, w, lr, steps):
    """One step, then the rest."""
    return descend__recursive(gradient, w - lr * gradient(w), lr, steps - 1) if steps else w


def descend__reduce(gradient, w, lr, steps):
    """functools.reduce over a range."""
    return functools.reduce(lambda place, _: place - lr * gradient(place), range(steps), w)


def what_happens__literal():
    """As one writes it down."""
    return {"lr 0.05": "arrives", "lr 0.15": "jumps across", "lr 0.2": "for ever", "lr 0.5": "diverges"}


def what_happens__by_the_factor():
    """From 1 - 10 lr."""
    words = {}
    for lr in (0.05, 0.15, 0.2, 0.5):
        factor = round(1 - 10 * lr, 9)
        inside = "arrives" if factor >= 0 else "jumps across"
        words[f"lr {lr:g}"] = inside if abs(factor) < 1 else "for ever" if abs(factor) == 1 else "diverges"
    return words


def what_happens__by_running_it():
    """From the places themselves, in another order."""
    words = {}
    for lr in (0.5, 0.2, 0.15, 0.05):
        w = [1.0]
        for _ in range(40):
            w.append(w[-1] - lr * 10 * w[-1])
        if abs(w[-1]) > 2:
            words[f"lr {lr}"] = "diverges"
        elif abs(w[-1]) > 0.5:
            words[f"lr {lr}"] = "for ever"
        else:
            words[f"lr {lr}"] = "arrives" if w[1] > 0 else "jumps across"
    return words


def limit__singular_values(x):
    """N over the square of the largest singular value."""
    return len(x) / torch.linalg.svdvals(x).max() ** 2


def limit__norm(x):
    """The 2-norm of the matrix of curvatures."""
    return 2 / torch.linalg.matrix_norm(2 * (x.T @ x) / x.shape[0], ord=2)


def limit__power_iteration(x):
    """The largest eigenvalue by repeated products."""
    curvatures, v = 2 / len(x) * x.T @ x, torch.ones(x.shape[1], dtype=x.dtype) + torch.arange(x.shape[1])
    for _ in range(2000):
        v = curvatures @ v
        v = v / v.norm()
    return 2 / (v @ curvatures @ v)


def diverged__loop(losses):
    """One loss after the other."""
    for loss in losses:
        if math.isnan(loss) or math.isinf(loss):
            return True
    return losses[-1] / losses[0] > 10


def diverged__torch(losses):
    """With torch.isfinite."""
    losses = torch.tensor(losses)
    return not torch.isfinite(losses).all() or bool(losses[-1] > 10 * losses[0])


def diverged__numpy(losses):
    """With NumPy, which has bools of its own."""
    return np.logical_or(not np.isfinite(losses).all(), losses[-1] > 10 * losses[0])


def choose__loop(histories):
    """The best so far."""
    best = None
    for lr, losses in histories.items():
        fine = True
        for loss in losses:
            if not loss <= losses[0]:
                fine = False
        if fine and (best is None or losses[-1] < histories[best][-1]):
            best = lr
    return best


def choose__sorted(histories):
    """Pairs (last loss, rate), the smallest first."""
    ends = [(losses[-1], lr) for lr, losses in histories.items() if all(not math.isnan(x) and x <= losses[0] for x in losses)]
    return sorted(ends)[0][1]


def choose__tensors(histories):
    """Each history as a tensor."""
    allowed = {lr: losses[-1] for lr, losses in histories.items() if bool((torch.tensor(losses) <= losses[0]).all())}
    return min(allowed, key=allowed.get)
