"""K11: softmax over the last axis, one program for each row. Fill in the `...`. Then: scratchnet check K11"""

import torch
import triton
import triton.language as tl

BLOCK = 128


@triton.jit
def softmax(x_ptr, y_ptr, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * columns
    m = -float("inf")
    s = 0.0
    for first in range(0, columns, BLOCK):
        places = first + tl.arange(0, BLOCK)
        x = ...
        new = ...
        s = ... + x
        m = new
    for first in range(0, columns, BLOCK):
        places = first + tl.arange(0, BLOCK)
        tl.store(y_ptr + row + places, ... * m * s, mask=places < columns)


def forward(input, dim):
    x = input.movedim(dim, -1).contiguous()
    y = torch.empty_like(x)
    if x.numel():
        softmax[(x.numel() // x.shape[-1],)](x, y, x.shape[-1], BLOCK)
    return y.movedim(-1, dim)
