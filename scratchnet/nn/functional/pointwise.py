"""Elementwise losses with hand-written derivatives.

Autograd would find the derivatives too, one operation at a time; written by hand they take fewer passes over memory.
"""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor
from torch.autograd import Function

from scratchnet.functions.dispatch import wanted
from scratchnet.nn.functional.reduction import REDUCE
from scratchnet.torch_private import batched, tracing, transforming


def pointwise(value: Callable[..., Tensor], slopes: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., Tensor]:
    """Build loss(x, t, reduction, *options) from two functions on tensors of one shape.

    value(x, t, *options): the loss of every element, in a new tensor.
    slopes(x, t, need_x, need_t, *options): its derivatives with respect to x and t, where needed, in new tensors.
    Inside them, an operation in place takes no tensor operand that its target does not depend on already: vmap may have batched
    x alone or t alone. It overwrites nothing that a product needs again: torch.compile of torch.func.grad differentiates value.
    """

    def total(x: Tensor, t: Tensor, reduction: str, *options: object) -> Tensor:
        return REDUCE[reduction](value(x, t, *options))

    class Eager(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, t: Tensor, reduction: str, *options: object) -> Tensor:
            ctx.save_for_backward(x, t)
            ctx.reduction, ctx.options = reduction, options
            return total(x, t, reduction, *options)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            x, t = ctx.saved_tensors
            need_x, need_t, *rest = wanted(ctx)
            if ctx.reduction == "mean":
                grad = grad / x.numel()
            dx, dt = slopes(x, t, need_x, need_t, *ctx.options)
            return _times(dx, grad) if need_x else None, _times(dt, grad) if need_t else None, *[None] * len(rest)

    class Transformable(Function):
        """The same for torch.func and forward-mode AD; setup_context makes every call more expensive."""

        generate_vmap_rule = True
        forward = staticmethod(total)
        backward = Eager.backward

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            x, t, ctx.reduction, *ctx.options = inputs
            ctx.save_for_backward(x, t)
            ctx.save_for_forward(x, t)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
            needs = [tangent is not None for tangent in tangents[:2]]
            terms = zip(slopes(*ctx.saved_tensors, *needs, *ctx.options), tangents, needs, strict=False)
            return REDUCE[ctx.reduction](sum(slope * tangent for slope, tangent, need in terms if need))

    def loss(x: Tensor, t: Tensor, reduction: str, *options: object) -> Tensor:
        if x.shape != t.shape:
            x, t = torch.broadcast_tensors(x, t)
        if transforming() and not torch.compiler.is_compiling():
            return Transformable.apply(x, t, reduction, *options)
        if tracing():  # a graph of torch.jit.trace holds operations, not Python
            return total(x, t, reduction, *options)
        if torch.compiler.is_compiling() or torch.is_grad_enabled() and (x.requires_grad or t.requires_grad):
            return Eager.apply(x, t, reduction, *options)
        return total(x, t, reduction, *options)

    return loss


def _times(slope: Tensor, grad: Tensor) -> Tensor:
    """Their product, in the memory of slope where that may be overwritten."""
    if torch.compiler.is_compiling() or batched(grad):
        return slope * grad
    return slope.mul_(grad)
