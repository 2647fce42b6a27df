"""K22: GELU of a tensor of any shape. Fill in the `...`. Then: scratchnet check K22"""

import torch
import triton
import triton.language as tl

BLOCK = 256


@triton.jit
def gelu(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    places = ...
    mask = ...
    x = tl.load(x_ptr + places, mask=mask)
    tl.store(y_ptr + places, x * ..., mask=mask)


def forward(input):
    x = input.contiguous()
    y = torch.empty_like(x)
    programs = ...
    gelu[(programs,)](x, y, x.numel(), BLOCK)
    return y
