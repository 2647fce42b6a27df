"""Exercise 30: an activation of your own, from paper to operator; and the layer that spoils it all.

Swish is y = x s, where s = sigmoid(x) = 1 / (1 + exp(-x)): a line on the right, nearly 0 on the left, a small dip between.
Ramachandran, Zoph, Le: Searching for activation functions, https://arxiv.org/abs/1710.05941

Each `...` is a blank for you to fill in. Then: scratchnet check 30
"""

from typing import Callable

import torch
from torch import Tensor

from scratchnet import nn


def swish_backward(g: Tensor, x: Tensor) -> Tensor:
    """The gradient of x for y = x sigmoid(x), from g, the gradient of y; all of one shape. The slope of s is s (1 - s)."""
    ...


class Swish(nn.Module):
    """y = x sigmoid(beta x), where beta is one number (shape ()) that the layer learns; it starts at 1."""

    def __init__(self): ...

    def forward(self, x: Tensor) -> Tensor:
        return ...


def operator(name: str, backward: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """swish as an operator that torch knows by `name` ("my::swish"): forward, fake and backward(g, x)."""

    @torch.library.custom_op(name, mutates_args=())
    def swish(x: Tensor) -> Tensor:
        return ...

    @swish.register_fake
    def _(x):
        return ...  # right in shape, dtype and device, and nothing is computed

    def keep(ctx, inputs, output): ...

    def way_back(ctx, g):
        return ...

    swish.register_autograd(way_back, setup_context=keep)
    return swish


def first_sick_layer(model: nn.Module, x: Tensor) -> str | None:
    """The name (as in named_modules) of the first layer without sublayers whose output for input x holds NaN or infinity.

    None if there is none. No hook is left on the model.
    """
    sick, hooks = [], []
    for name, layer in model.named_modules():
        if not [*layer.children()]:

            def look(layer, inputs, output, name=name): ...

            hooks.append(layer.register_forward_hook(look))
    model(x)
    ...
    return sick[0] if sick else None
