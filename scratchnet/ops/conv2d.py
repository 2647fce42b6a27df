"""The description of conv2d: unfolding and a matrix product."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import Cost, Example, Ints, Op, SymInts, nbytes, normal


def _conv2d_cost(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups=1) -> Cost:
    y = F.conv2d(*(t.to("meta") for t in (x, weight)), None, stride, padding, dilation, groups)
    moved, flops = nbytes(x, weight, bias, y), 2 * y.numel() * weight[0].numel()
    return Cost(moved, 2 * moved, flops, 2 * flops)


def _conv2d_example(
    filters: int, kernel: tuple[int, int], groups: int = 1, bias: bool = True, one: bool = False, **options
) -> Example:
    """n images, 3 pixels high and w wide, with at most 8 channels per group and `filters` filters for each channel.

    one: a single image, n times as high.
    """

    def example(n: int, w: int, dtype: torch.dtype):
        c = min(w, 8)
        out = filters * c
        images, height = (min(n, 1), 3 * max(n, 1)) if one else (n, 3)
        args = [normal(images, groups * c, height, w, dtype=dtype), normal(out, c, *kernel, dtype=dtype)]
        return (*args, *[normal(out, dtype=dtype)] * bias), {"groups": groups, **options}

    return example


def _variant(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups=1) -> str:
    """torch's own leaves large kernels to another library, and all but a single small image of the others."""
    if groups != 1:
        return "grouped"
    if stride not in (1, (1, 1)):
        return "strided"
    if max(weight.shape[2:]) > 3:
        return "dense, large kernel"
    return "dense" if input.dim() == weight.dim() and input.size(0) != 1 else "dense, one image"


def _work(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups=1) -> int:
    """As many as with a stride of 1 and padding that keeps the size."""
    return input.numel() * weight.numel() // max(weight.size(1) * groups, 1)


class ConvolutionOptions(NamedTuple):
    """The vertical number before the horizontal one."""

    stride: Ints
    padding: SymInts
    dilation: Ints
    groups: int


CONV2D = Op(
    name="conv2d",
    primitive="matmul",
    idea="the filters times shifted views of the image: unfolding + matmul without the unfolded matrix",
    inputs=("x", "weight", "bias?"),  # (N, C, H, W), (F, C / groups, kh, kw), (F)
    options=ConvolutionOptions,
    planar=True,
    outputs=("y",),  # (N, F, out_h, out_w)
    saved=("x", "weight"),
    gradients=("x", "weight", "bias"),
    ideas={
        "cpp": (
            "naive loop",
            "matrix products where it is one",
            "shifted images in a frame of zeros",
            "register tiles over shifted images",
            "threads, and the gradient of the image likewise",
            "few filters: a register for a column of taps",
            "gradient of few filters and of the bias",
            "gradient of many filters by register tiles",
            "filters fill the registers, outputs are the rows",
        )
    },
    torch=F.conv2d,
    variant=_variant,
    work=_work,
    cost=_conv2d_cost,
    products=_conv2d_cost,
    examples={
        "3x3": _conv2d_example(1, (3, 3), padding=1),
        "stride": _conv2d_example(2, (3, 2), stride=(2, 3), padding=(0, 1)),
        "groups, dilation": _conv2d_example(2, (2, 3), groups=2, bias=False, padding=(0, 2), dilation=(2, 2)),
        "same": _conv2d_example(1, (2, 4), padding="same"),
        "1x1": _conv2d_example(2, (1, 1), bias=False),
        "one image": _conv2d_example(1, (3, 3), one=True, padding=1),
    },
    sizes=((256, 56), (64, 784)),
)
