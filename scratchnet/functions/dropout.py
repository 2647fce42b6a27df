"""Dropout: random zeros while training. From a seed, the mask is drawn again in backward and nothing is saved."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import check_float, check_tensor, is_float
from scratchnet.functions.dispatch import Function, Operator, or_torch, wanted
from scratchnet.functions.explain import dropout as explain
from scratchnet.functions.layout import channels_last_like
from scratchnet.ops.dropout import DropoutOptions


class Dropout(Function):
    """y = z x + residual;  dx = z grad, the residual's gradient is grad: z follows from the seed."""

    @staticmethod
    def forward(ctx, kernel, x, residual, seed, options):
        ctx.kernel, ctx.options = kernel, options
        ctx.save_for_backward(seed)
        return kernel.forward(x, residual, seed, options)

    @staticmethod
    def backward(ctx, grad):
        _, need_x, need_residual, *_ = wanted(ctx)
        dx = ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options) if need_x else None
        return None, dx, grad if need_residual else None, None, None


_dropout = Operator("dropout", Dropout)


def draw_seed(x: Tensor) -> Tensor:
    """A number from torch's generator, on the device of x: what a mask follows from."""
    return torch.randint(2**62, (), device=x.device)


@or_torch(_dropout.op.torch)
def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    residual: Tensor | None = None,
    seed: Tensor | None = None,
) -> Tensor:
    """Zero each element with probability p and divide the rest by 1 - p, then add residual; no zeros when not training.

    A floating-point tensor of any shape; residual has its shape and dtype. Alone, input is multiplied by torch's own mask for
    the same torch.manual_seed, which autograd saves. With a seed, one int64 number such as torch.randint(2**62, ()), the mask
    follows from seed and place, is the same on every backend and is drawn again in backward: nothing is saved. A residual draws
    a seed if none is given. ValueError unless 0 <= p <= 1, RuntimeError for another residual or seed.
    Hinton et al., https://arxiv.org/abs/1207.0580; torch.nn.functional.dropout.
    """
    explain.check_probability("dropout", p)
    check_tensor("dropout", "input", input)
    if residual is None and seed is None:
        return mask_saved("dropout", input, p, training, inplace, input.shape)
    if not _fits(input, residual, seed):
        explain.dropout(input, residual, seed)
        return _dropout.op.torch(input, p, training, inplace, residual=residual, seed=seed)  # of complex numbers
    if not training or p == 0:
        y = input if residual is None else input + residual
    else:
        y = channels_last_like(_dropout(input, residual, draw_seed(input) if seed is None else seed, DropoutOptions(p)), input)
    return input.copy_(y) if inplace and y is not input else y


def _fits(input: Tensor, residual: Tensor | None, seed: Tensor | None) -> bool:
    return (
        is_float(input)
        and (
            residual is None
            or isinstance(residual, Tensor)
            and residual.shape == input.shape
            and residual.dtype == input.dtype
            and residual.device == input.device
        )
        and (
            seed is None
            or isinstance(seed, Tensor)
            and seed.dtype is torch.int64
            and seed.dim() == 0
            and seed.device == input.device
        )
    )


def mask_saved(name: str, input: Tensor, p: float, training: bool, inplace: bool, drawn: Sequence[int]) -> Tensor:
    """Scale the input by torch's mask of the shape `drawn`, which broadcasts."""
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        scale = input.new_zeros(())  # 0 * x, not zeros: NaN and infinity stay visible, as in torch
    else:
        check_float(name, "input", input)
        empty = torch.empty_like(input) if drawn == input.shape else input.new_empty(drawn)
        scale = empty.bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scale) if inplace else input * scale
