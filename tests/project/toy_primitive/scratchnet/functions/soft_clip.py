"""Soft clipping: x / (1 + |x| / limit)."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import is_float
from scratchnet.functions.dispatch import Function, Operator, gradients, or_torch
from scratchnet.functions.explain import soft_clip as explain
from scratchnet.ops.soft_clip import SoftClipOptions


class SoftClip(Function):
    """y = x / (1 + |x| / l);  dy/dx = 1 / (1 + |x| / l)^2, from x alone."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(x)
        return kernel.forward(x, options)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


_soft_clip = Operator("soft_clip", SoftClip)


@or_torch(_soft_clip.op.torch)
def soft_clip(input: Tensor, limit: float = 1.0) -> Tensor:
    """input / (1 + |input| / limit) of a floating-point tensor of any shape; the result has its shape and dtype.

    limit: what the result never reaches. ValueError if it is not positive, NotImplementedError for another dtype.
    """
    if not (is_float(input) and limit > 0):
        explain.soft_clip(input, limit)
    return _soft_clip(input, SoftClipOptions(limit))
