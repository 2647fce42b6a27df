"""Exercise 12: predict what is in .grad, fix a descent, cut a batch into pieces, and write the way back of a Function.

Each `...` is a blank for you to fill in. Then: scratchnet check 12
"""

import torch


def grads() -> dict:
    """w = torch.tensor(3.0, requires_grad=True). What is w.grad after each line, run one after another? None or a number."""
    return {
        "w is made": ...,
        "(w * w).backward()": ...,
        "once more: (w * w).backward()": ...,
        "w.grad = None; (5 * w).backward()": ...,
        "w.grad = None; (w.detach() * w).backward()": ...,
        "w.grad.zero_()": ...,
    }


def descend(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor, steps: int, lr: float) -> list[float]:
    """`steps` steps of size lr downhill from w (D,), a leaf, for data x (B, D), y (B,): the loss before each step.

    w itself changes, stays a leaf, and its gradients of different steps are not added up.
    """
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        ...
    return losses


def gradient_in_pieces(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor, size: int) -> torch.Tensor:
    """The gradient (D,) of ((x @ w - y) ** 2).mean() with respect to w, from pieces of `size` samples; the last may be smaller.

    w (D,) is a leaf whose grad is None; x (B, D), y (B,).
    """
    for start in range(0, len(x), size):
        piece_x, piece_y = x[start : start + size], y[start : start + size]
        loss = ((piece_x @ w - piece_y) ** 2).mean()
        (loss * ...).backward()
    return w.grad


def cube_backward(ctx, grad: torch.Tensor) -> torch.Tensor:
    """The backward of a torch.autograd.Function for x ** 3: the gradient of x from grad, that of the result; both (...) like x.

    Its forward has called ctx.save_for_backward(x); ctx.saved_tensors is the tuple of saved tensors. (x ** 3)' = 3 * x * x.
    """
    (x,) = ...
    return ...
