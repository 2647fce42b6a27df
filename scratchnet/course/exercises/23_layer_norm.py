"""Exercise 23: LayerNorm and its three gradients, a variance that keeps its digits, and what is averaged over what.

Each `...` is a blank for you to fill in. Then: scratchnet check 23
"""

import torch


def how_many_means() -> dict:
    """How many means each layer computes for its input, while training. Predict."""
    return {
        "LayerNorm(8) for (4, 5, 8)": ...,
        "LayerNorm((5, 8)) for (4, 5, 8)": ...,
        "LayerNorm((3, 6, 6)) for images (4, 3, 6, 6)": ...,
        "BatchNorm1d(8) for (32, 8)": ...,
        "BatchNorm2d(3) for images (4, 3, 6, 6)": ...,
    }


def variance(x: torch.Tensor) -> torch.Tensor:
    """The variance of each row of x (N, D), divided by D: (N,). It must hold for means as large as 10,000, in float32."""
    return ...


def layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    """LayerNorm over the last axis: x (..., D), weight and bias (D,). Write it yourself, without F.layer_norm."""
    return ...


def layer_norm_gradients(g: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, eps: float) -> tuple:
    """dx (N, D), dweight (D,) and dbias (D,) of LayerNorm, from g (N, D), the gradient of its result."""
    centred = x - x.mean(dim=1, keepdim=True)
    r = 1 / (centred.square().mean(dim=1, keepdim=True) + eps).sqrt()  # (N, 1)
    h, a = centred * r, g * weight
    dx = r * (a - ... - h * ...)
    dweight = ...
    dbias = ...
    return dx, dweight, dbias
