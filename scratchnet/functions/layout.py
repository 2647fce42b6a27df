"""The order of a tensor's numbers in memory, which a result shares with its input: channels_last survives a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from scratchnet.torch_private import channels_last

if TYPE_CHECKING:
    from scratchnet.functions.dispatch import Kernel


class Layout(NamedTuple):
    """Axes as they lie in memory. rows: all but the last are one, for a kernel that has a number for each channel."""

    shape: torch.Size
    order: tuple[int, ...]
    rows: bool = False

    def into(self, x: Tensor) -> Tensor:
        """A view for the kernel, contiguous if x lies as the first input does."""
        x = x.permute(self.order)
        return x.flatten(0, -2) if self.rows else x

    def back(self, y: Tensor) -> Tensor:
        """The view of a kernel's result that has the axes of the input."""
        y = y.unflatten(0, [self.shape[axis] for axis in self.order[:-1]]) if self.rows else y
        return y.permute(sorted(range(len(self.order)), key=self.order.__getitem__))


def dense(x: Tensor) -> Layout | None:
    """For elementwise kernels: the order of a tensor that is transposed but has no gaps; None for any other."""
    if x.is_contiguous():
        return None
    strides = x.stride()
    order = tuple(sorted(range(x.dim()), key=lambda axis: -strides[axis]))
    return Layout(x.shape, order) if x.permute(order).is_contiguous() else None


def pixels(x: Tensor) -> Layout | None:
    """For kernels by channel: images with their channels last are rows of channels, one for each pixel."""
    return Layout(x.shape, (0, *range(2, x.dim()), 1), rows=True) if channels_last(x) else None


class LaidOut:
    """A kernel that reads and writes memory as the first input lies in it: grad, input and result have that shape."""

    gradients = None

    def __init__(self, kernel: Kernel, layout: Layout):
        self.kernel, self.layout, self.places = kernel, layout, kernel.places

    def forward(self, x, *args):
        return self._back(self.kernel.forward(self.layout.into(x), *args))

    outputs = forward

    def backward(self, *args):
        if torch.is_grad_enabled():
            return self.kernel.backward(*args)
        into, shape = self.layout.into, self.layout.shape
        return self._back(self.kernel.backward(*[into(a) if isinstance(a, Tensor) and a.shape == shape else a for a in args]))

    def _back(self, results):
        """Detached: a result that autograd took for a view would be copied whenever it is changed in place, as by a ReLU."""
        first, *others = [results] if isinstance(results, Tensor) else results
        if first is not None and first.numel():  # it may be a gradient that is not needed
            first = self.layout.back(first).detach()
        return (first, *others) if others else first


def channels_last_like(y: Tensor, *inputs: Tensor) -> Tensor:
    """y (N, C, H, W), a copy with its channels last if those of an input are: for kernels that know images by rows only."""
    return y.contiguous(memory_format=torch.channels_last) if any(map(channels_last, inputs)) else y
