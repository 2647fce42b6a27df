"""The description of pooling: the largest entry or the mean of each window."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from scratchnet.ops.op import Cost, Example, Ints, Op, SymInts, nbytes, normal


def _pool_example(*options, images: bool = False, **kwargs) -> Example:
    """Some channels of an image, or two images of two channels."""

    def example(rows: int, columns: int, dtype: torch.dtype):
        planes = (2, 2) if images else (4,)
        return (normal(*planes, rows + 2, columns + 2, dtype=dtype), *options), kwargs

    return example


class MaxPoolOptions(NamedTuple):
    """Pairs of integers, the vertical one first."""

    kernel_size: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    ceil_mode: bool


class AvgPoolOptions(NamedTuple):
    """Pairs of integers, the vertical one first. divisor_override 0: none."""

    kernel_size: Ints
    stride: Ints
    padding: Ints
    ceil_mode: bool
    count_include_pad: bool
    divisor_override: int


class AdaptivePoolOptions(NamedTuple):
    """Rows and columns of the result."""

    output_size: SymInts


IDEAS = {
    "cpp": (
        "naive loop",
        "one axis after the other",
        "SIMD averages",
        "SIMD maxima with their places, down the columns",
        "SIMD maxima along the rows: each is dealt into hands",
        "one window as large as the plane",
        "threads",
    )
}
_POOL_SIZES = ((1022, 1022), (222, 222))

MAX_POOL2D = Op(
    name="max_pool2d",
    primitive="gather",
    idea="the largest entry of every window, along the rows first, then down the columns; backward adds grad where it lay",
    inputs=("x",),  # (..., H, W)
    options=MaxPoolOptions,
    planar=True,
    outputs=("y", "index"),  # of the entry in its plane
    constant=("index",),
    saved=("shape: SymInt[]", "index"),  # the shape of x
    gradients=("x",),
    backward_options=False,
    ideas=IDEAS,
    torch=F.max_pool2d,
    cost=lambda x, *args, **kwargs: Cost(4 * nbytes(x) // 2, 4 * nbytes(x) // 2, x.numel(), x.numel() // 4),
    examples={
        "2x2": _pool_example(2),
        "3x3, stride 2": _pool_example(3, 2, 1, images=True),
        "dilation, ceil": _pool_example((2, 3), (1, 2), (0, 1), (2, 1), ceil_mode=True),
        "overlapping": _pool_example((2, 3), 1, 1, images=True),
    },
    sizes=_POOL_SIZES,
)

AVG_POOL2D = Op(
    name="avg_pool2d",
    primitive="gather",
    idea="the mean of every window, down the columns first, then along the rows; backward is the same sum over other windows",
    inputs=("x",),
    options=AvgPoolOptions,
    planar=True,
    outputs=("y",),
    saved=("shape: SymInt[]",),
    gradients=("x",),
    ideas=IDEAS,
    torch=F.avg_pool2d,
    cost=lambda x, *args, **kwargs: Cost(5 * nbytes(x) // 4, 5 * nbytes(x) // 4, x.numel(), x.numel()),
    examples={
        "2x2": _pool_example(2),
        "3x3, stride 2": _pool_example(3, 2, 1, images=True),
        "ceil": _pool_example((2, 3), (1, 2), (0, 1), True),
        "without padding": _pool_example(3, 1, 1, False, False),
        "divisor": _pool_example((1, 2), divisor_override=3),
    },
    sizes=_POOL_SIZES,
)

ADAPTIVE_AVG_POOL2D = Op(
    name="adaptive_avg_pool2d",
    primitive="gather",
    idea="the mean of windows that divide the image into as many rows and columns as asked for",
    inputs=("x",),
    options=AdaptivePoolOptions,
    planar=True,
    outputs=("y",),
    saved=("shape: SymInt[]",),
    gradients=("x",),
    backward_options=False,
    ideas=IDEAS,
    torch=F.adaptive_avg_pool2d,
    variant=lambda input, output_size: "to one" if output_size in (1, (1, 1)) else "windows",
    cost=lambda x, *args, **kwargs: Cost(nbytes(x), nbytes(x), x.numel(), x.numel()),
    examples={
        "1": _pool_example(1, images=True),
        "4x5": _pool_example((4, 5)),
        "larger than the image": _pool_example((3, None)),
    },
    sizes=_POOL_SIZES,
)
