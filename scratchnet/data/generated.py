"""Data with a known answer, drawn from a seed: what the network finds can be compared with the formula."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.data.split import Split, split

# price in 1000 = 50 + 0.15 area + 20 rooms + 15 bathrooms - 1 age - 3 distance
HOUSE_WEIGHTS = (0.15, 20.0, 15.0, -1.0, -3.0)
HOUSE_BIAS = 50.0


def line(count: int = 100, noise: float = 0.1, seed: int = 0) -> Split:
    """y = 2 x + 1 + noise: x (count, 1) float32 in [-1, 1), y (count, 1) float32; `noise` is a standard deviation."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(count, 1, generator=generator) - 1
    return Split(x, 2 * x + 1 + noise * torch.randn(count, 1, generator=generator))


def houses(count: int = 500, noise: float = 10.0, seed: int = 0) -> tuple[Split, Split]:
    """Houses and their prices, to be standardised, fitted and mapped back; a fifth is held out.

    x (N, 5) float32: area in m2 (50..250), rooms (1..6), bathrooms (1..3), age in years (0..50), distance to the centre in km
    (0..30). y (N, 1) float32: price in 1000 = x @ HOUSE_WEIGHTS + HOUSE_BIAS + noise; `noise` is a standard deviation.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    x = torch.stack(
        [uniform(50, 250), uniform(1, 7).floor(), uniform(1, 4).floor(), uniform(0, 51).floor(), uniform(0, 30)], dim=1
    )
    price = x @ torch.tensor(HOUSE_WEIGHTS) + HOUSE_BIAS + noise * torch.randn(count, generator=generator)
    return split(x, price.unsqueeze(1), count // 5, seed)


def moons(count: int = 400, noise: float = 0.1, seed: int = 0) -> tuple[Split, Split]:
    """Two interleaving half circles, which no straight line separates; a fifth is held out.

    x (N, 2) float32, y (N) int64: 0 for the upper half circle around (0, 0), 1 for the lower one around (1, 0.5).
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 2
    angle = math.pi * torch.rand(count, generator=generator)
    side = 1 - 2 * y  # the upper half circle, or the lower one moved by (1, 0.5)
    x = torch.stack([side * angle.cos() + y, side * angle.sin() + 0.5 * y], dim=1)
    return split(x + noise * torch.randn(count, 2, generator=generator), y, count // 5, seed)


def spiral(count: int = 600, classes: int = 3, noise: float = 0.1, seed: int = 0) -> tuple[Split, Split]:
    """`classes` arms that wind around the origin by 3/4 of a turn; a fifth is held out.

    x (N, 2) float32, radius up to 1; y (N) int64, the arm. `noise` is the standard deviation of the angle in radians.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % classes
    radius = torch.rand(count, generator=generator)
    angle = 2 * math.pi * (y / classes + 0.75 * radius) + noise * torch.randn(count, generator=generator)
    return split(torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), y, count // 5, seed)
