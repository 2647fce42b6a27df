"""Exercise 25: momentum, Adam and AdamW step by step, and parameter groups.

The rules take tensors of one shape and return new ones; nothing is changed in place.
Each `...` is a blank for you to fill in. Then: scratchnet check 25
"""

import torch

from scratchnet import nn


def momentum_step(w: torch.Tensor, g: torch.Tensor, v: torch.Tensor, lr: float, momentum: float) -> tuple:
    """One step of SGD with momentum: the new w and the new v; v is 0 before the first step."""
    v = ...
    return w - ..., v


def adam_step(w: torch.Tensor, g: torch.Tensor, m: torch.Tensor, s: torch.Tensor, t: int, lr: float) -> tuple:
    """Step number t = 1, 2, ... of Adam with betas 0.9 and 0.999 and eps 1e-8: the new w, m and s.

    m and s are the running means of g and of g * g, 0 before the first step.
    """
    m = 0.9 * m + ...
    s = ...
    return ..., m, s


def adamw_step(w: torch.Tensor, g: torch.Tensor, m: torch.Tensor, s: torch.Tensor, t: int, lr: float, decay: float) -> tuple:
    """Like adam_step, with decoupled weight decay: the new w, m and s."""
    ...


def groups(model: nn.Module, decay: float) -> list[dict]:
    """Two parameter groups for an optimizer: the matrices (2 axes or more) with weight_decay=decay, all others with 0."""
    return [{"params": ..., "weight_decay": ...}, {"params": ..., "weight_decay": ...}]
