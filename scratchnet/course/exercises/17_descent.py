"""Exercise 17: take steps, know the limit, choose a learning rate, notice a lost run.

Each `...` is a blank for you to fill in. Then: scratchnet check 17
"""

from typing import Callable

import torch


def descend(gradient: Callable, w: torch.Tensor, lr: float, steps: int) -> torch.Tensor:
    """Where gradient descent is after `steps` steps from w (D,); gradient(w) is (D,). The given w stays as it is."""
    ...


def what_happens() -> dict:
    """Descent on the loss 5 w^2, whose gradient is 10 w, from w = 1. Work out the first two steps.

    "arrives" (on the same side), "jumps across" (and arrives), "for ever" (back and forth) or "diverges".
    """
    return {
        "lr 0.05": ...,
        "lr 0.15": ...,
        "lr 0.2": ...,
        "lr 0.5": ...,
    }


def limit(x: torch.Tensor) -> torch.Tensor:
    """The learning rate () below which descent on the MSE of x @ w against some y arrives; x (N, D) float64, no bias."""
    return ...


def diverged(losses: list) -> bool:
    """Whether a run is lost: a loss is NaN or infinite, or the last one is more than 10 times the first."""
    return ...


def choose(histories: dict) -> float:
    """The learning rate with the lowest last loss among those whose losses never rise above their first one.

    histories: learning rate -> losses, which may include NaN and infinity.
    """
    ...
