"""What is wrong with the targets of a loss over classes: class indices or probabilities, and class weights."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_tensor, fail, scalar_name
from scratchnet.torch_private import mapping


def check_target(name: str, input: Tensor, shape: Sequence[int], target: Tensor, ignore_index: int) -> bool:
    """Raises unless target fits logits of this shape; returns whether it holds class probabilities."""
    check_tensor(name, "target", target)
    check_device(name, "target", target, "input", input)
    if target.shape == shape:
        if not target.is_floating_point():
            problem = f"Expected floating point type for target with class probabilities, got {scalar_name(target.dtype)}"
            fix = "class indices have no class axis; for a one-hot target take target.argmax(1), or target.float()"
            fail(RuntimeError, name, "target", f"{problem}: in input's shape it holds those, {fix}")
        if ignore_index >= 0:
            fail(RuntimeError, name, "ignore_index", "ignore_index is not supported for floating point target")
        return True
    probabilities = f"class probabilities would have input's shape {tuple(shape)}, got {tuple(target.shape)}"
    check_class_indices(name, shape, target, f"; {probabilities}" if target.is_floating_point() else "")
    return False


def check_class_indices(name: str, shape: Sequence[int], target: Tensor, fix: str = "") -> None:
    """Raises unless target holds one class index for each row of logits of this shape; `fix` ends the error about its dtype."""
    batch = target.shape[0] if target.dim() else 0
    if len(shape) == 1:
        if target.dim() > 1:
            problem = "0D or 1D target tensor expected, multi-target not supported"
            fail(RuntimeError, name, "target", f"{problem}: logits {tuple(shape)} need one class, got {tuple(target.shape)}")
        if target.numel() != 1:
            problem = "For 1D input, 1D target must have size 1, but got target size:"
            fail(ValueError, name, "target", f"{problem} {target.numel()} (shape {tuple(target.shape)})")
    elif batch != shape[0]:
        problem = f"Expected input batch_size ({shape[0]}) to match target batch_size ({batch})."
        fail(ValueError, name, "target", f"{problem} The shapes are {tuple(shape)} and {tuple(target.shape)}")
    if target.dtype not in (torch.int64, torch.uint8):
        problem = f"expected target dtype to be Long or Byte, but got {scalar_name(target.dtype)}"
        fail(RuntimeError, name, "target", f"{problem}: call .long() on class indices{fix}")
    expected, got = (shape[0], *shape[2:]), tuple(target.shape)
    if len(shape) > 1 and got != expected:
        problem = f"Expected target size {list(expected)}, got {list(got)}"
        if len(shape) == 2:
            problem = f"0D or 1D target tensor expected, multi-target not supported; {problem}"
        elif len(shape) == 4:
            spatial = "only batches of spatial targets supported (3D tensors)" if len(got) != 3 else "size mismatch"
            problem = f"{spatial}; {problem}"
        spare = 1 if got == (expected[0], 1, *expected[1:]) else -1 if got == (*expected, 1) else None
        fix = "one class for each row" if spare is None else f"take target.squeeze({spare})"
        fail(RuntimeError, name, "target", f"{problem}: {fix}")


def check_class_weight(name: str, input: Tensor, classes: int, weight: Tensor) -> None:
    """Raises unless weight (C,) holds a number for each class."""
    check_tensor(name, "weight", weight)
    check_device(name, "weight", weight, "input", input)
    if weight.dim() != 1 or weight.shape[0] != classes:
        problem = f"weight tensor should be defined either for all {classes} classes or no classes"
        fail(RuntimeError, name, "weight", f"{problem} but got weight tensor of shape: {list(weight.shape)}")


def check_one_dtype(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Raises if class weights of indices have another dtype than input; autocast brings them to one."""
    if weight is None or weight.dtype == input.dtype or target.is_floating_point():
        return
    if not torch.is_autocast_enabled(input.device.type):
        problem = f"expected scalar type {scalar_name(input.dtype)} but found {scalar_name(weight.dtype)}"
        fail(RuntimeError, name, "weight", f"{problem}: take weight.to(input.dtype)")


def check_classes(name: str, target: Tensor, classes: int, ignore_index: int) -> None:
    """Raises torch's error for the first class that is out of range, where its value can be read."""
    if type(target) is not Tensor or not target.is_cpu or torch.compiler.is_compiling() or mapping():
        return
    target = target.long()  # of uint8 a comparison with 280 is one with 24
    outside = ((target < 0) | (target >= classes)) & (target != ignore_index)
    if outside.any():
        position = tuple(outside.nonzero()[0].tolist())
        problem = f"Target {target[position].item()} is out of bounds. It stands at position {position}"
        valid = f"with {classes} classes it must be from 0 to {classes - 1}, or ignore_index={ignore_index}"
        fail(IndexError, name, "target", f"{problem}: {valid}")
