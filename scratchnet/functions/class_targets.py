"""What losses over classes share: the dtype of their arguments, and warnings about a softmax that is one too many."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from scratchnet.functions.checks import teach


def one_dtype(input: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input, target and class weights, with probabilities in the common dtype; class indices are int64."""
    if target.dtype is torch.uint8:
        target = target.long()
    numbers = [t for t in (input, target if target.is_floating_point() else None, weight) if t is not None]
    if all(t.dtype == input.dtype for t in numbers) or torch.is_autocast_enabled(input.device.type):
        return input, target, weight
    dtype = functools.reduce(torch.promote_types, [t.dtype for t in numbers])
    return input.to(dtype), target.to(dtype), None if weight is None else weight.to(dtype)


_FIX = "The loss takes logits and turns them into probabilities itself: leave the softmax before it out, or take NLLLoss of the"
_FIX += " probabilities' logarithms."


def warn_of_softmax(input: Tensor) -> None:
    """A TeachingWarning if the logits are what a softmax has just put out, as the graph says: no number is looked at."""
    if not torch.compiler.is_compiling() and _comes_from_softmax(input):
        teach(f"cross_entropy: argument 'input' of shape {tuple(input.shape)} is the result of a softmax. {_FIX}")


def _comes_from_softmax(input: Tensor) -> bool:
    return type(input.grad_fn).__name__ in ("SoftmaxBackward", "SoftmaxBackward0")  # ours, torch's


def warn_of_probabilities(name: str, input: Tensor) -> None:
    """A TeachingWarning if the logits (C,) or (N, C, ...) are probabilities: positive, and adding up to 1 over the classes."""
    axis = min(input.dim(), 2) - 1
    if _comes_from_softmax(input):  # the function will say so
        return
    if axis < 0 or not input.numel() or input.shape[axis] == 1 or not input.is_floating_point() or input.is_meta:
        return
    p = input.detach().float()
    if (p >= 0).all() and ((p.sum(axis) - 1).abs() < 1e-2).all():
        problem = f"argument 'input' of shape {tuple(input.shape)} is never negative and adds up to 1 over its classes"
        teach(f"{name}: {problem}. {_FIX}")
