"""Exercise 33: updates that vanish, sums in 16 bits, a loss that is scaled, and what an improvement can win.

Each `...` is a blank for you to fill in. Then: scratchnet check 33
"""

import torch


def vanishes(weight: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
    """Which updates change nothing, (N,) bool: weights (N,) of 16 bits, updates (N,) float32 that are not 0.

    The sum is rounded to the dtype of the weights.
    """
    return ...


def mean(x: torch.Tensor) -> torch.Tensor:
    """The mean of x (N,), bfloat16 or float16: added up in float32, rounded once, in the dtype of x. No .mean(), please."""
    return ...


def scaled_step(grads: list[torch.Tensor], scale: float) -> tuple[list[torch.Tensor] | None, float]:
    """Gradients of scale x loss in float16 -> those of the loss in float32, and the scale for the next step.

    If any number of any gradient is infinite or NaN: None, and half the scale.
    """
    return ...


def speedup(share: float, factor: float) -> float:
    """How many times as fast a program gets if the part that takes `share` of its time gets `factor` times as fast."""
    return ...
