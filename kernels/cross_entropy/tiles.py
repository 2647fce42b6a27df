"""Cross-entropy, rung 3: the kernels of rung 2 on tiles of rows.

A row of ten classes gives the threads of a program nothing to do: short rows share a program, and rows that lie side by side in
memory, such as the pixels of an image with its classes first, are read together. Rung 2 counts the passes over memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.kernels.class_targets import every_class, loss_and_divisor, loss_memory, share_sums, target_options
from scratchnet.kernels.cross_entropy.online import cross_entropy_backward_kernel, cross_entropy_forward_kernel
from scratchnet.kernels.launch import launch
from scratchnet.kernels.online_softmax import layout
from scratchnet.ops import REDUCTIONS
from scratchnet.ops.cross_entropy import LossOptions


def cross_entropy_forward(
    x: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions
) -> tuple[Tensor, Tensor, Tensor]:
    x, target, weight = (None if t is None else t.contiguous() for t in (x, target, weight))
    grid, sizes, tile = layout(x.shape, 1)
    lse = x.new_empty(x.shape[0], x.shape[2], dtype=torch.float64)  # exp(x - lse) needs the digits that follow a large m
    results = loss_memory(x, lse.shape, options.reduction, *grid)
    tensors, sizes = (x, target, weight, lse, *results), (*sizes, options.ignore_index)
    constants = {"EVERY_CLASS": every_class(target, options), **target_options(x, target, x.shape[1], options)}
    launch(cross_entropy_forward_kernel, grid, *tensors, *sizes, **constants, **tile)
    loss, total_weight = loss_and_divisor(x, *results, options.reduction)
    return loss, lse, total_weight


def cross_entropy_backward(
    grad: Tensor, x: Tensor, target: Tensor, weight: Tensor | None, lse: Tensor, total_weight: Tensor, options: LossOptions
) -> Tensor:
    grad, x, target, weight, lse = (None if t is None else t.contiguous() for t in (grad, x, target, weight, lse))
    dx = torch.empty_like(x)
    grid, sizes, tile = layout(x.shape, 1)
    sums = share_sums(x, target, weight, sizes[1], options)
    tensors, sizes = (grad, x, target, weight, lse, total_weight, sums, dx), (*sizes, options.ignore_index)
    constants = {"REDUCTION": REDUCTIONS[options.reduction], **target_options(x, target, x.shape[1], options)}
    launch(cross_entropy_backward_kernel, grid, *tensors, *sizes, **constants, **tile)
    return dx
