"""What goes wrong in a GELU."""

from __future__ import annotations

from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.measure.verify import Call


def _without_slope(call: Call) -> tuple[Tensor]:
    x = call.args[0].detach()
    return (call.upstream[0] * torch.special.ndtr(x),)


FORWARD: dict[str, Callable] = {
    "it is the tanh approximation; asked for is the exact one, through erf": lambda x: F.gelu(x, approximate="tanh"),
    "it is x sigmoid(1.702 x), a rough approximation; asked for is the exact one": lambda x: x * (1.702 * x).sigmoid(),
    "it is ReLU": lambda x: x.relu(),
    "it is SiLU, x sigmoid(x)": F.silu,
    "Phi(x) alone: the factor x is missing": torch.special.ndtr,
}
BACKWARD: dict[str, Callable[[Call], tuple]] = {
    "x phi(x) is missing: the derivative of x Phi(x) has two terms, Phi(x) + x phi(x)": _without_slope,
}
VALUES: dict[str, str] = {}
