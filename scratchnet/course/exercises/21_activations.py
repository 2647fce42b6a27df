"""Exercise 21: GELU and its slope, in both formulas, and a count of dead units.

Each `...` is a blank for you to fill in. Then: scratchnet check 21
"""

import math

import torch


def gelu(x: torch.Tensor) -> torch.Tensor:
    """The exact GELU, x * Phi(x), of every entry; use torch.erf."""
    return ...


def gelu_slope(x: torch.Tensor) -> torch.Tensor:
    """The slope of the exact GELU at every entry of x, by the product rule, without autograd."""
    return ...


def tanh_gelu_slope(x: torch.Tensor) -> torch.Tensor:
    """The slope of x * (1 + tanh(u)) / 2 with u = sqrt(2 / pi) * (x + 0.044715 * x**3); one part is given."""
    k = math.sqrt(2 / math.pi)
    t = torch.tanh(k * (x + 0.044715 * x**3))
    return (1 + t) / 2 + ...


def dead_share(z: torch.Tensor) -> float:
    """The share of dead units, from 0 to 1: z (N, units) is what goes into the ReLU, for N inputs."""
    return ...
