"""K17: LayerNorm, one program for each row. Fill in the `...`. Then: scratchnet check K17"""

import math

import torch
import triton
import triton.language as tl


@triton.jit
def layer_norm(x_ptr, weight_ptr, bias_ptr, y_ptr, columns, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * columns
    places = tl.arange(0, BLOCK)
    mask = places < columns
    x = tl.load(x_ptr + row + places, mask=mask, other=0.0)
    mean = ...
    d = ...
    scale = 1 / tl.sqrt(... + eps)
    weight = tl.load(weight_ptr + places, mask=mask)
    bias = tl.load(bias_ptr + places, mask=mask)
    tl.store(y_ptr + row + places, (x - mean + d) * scale * weight + bias, mask=mask)


def forward(input, normalized_shape, weight, bias, eps):
    if input.dtype != torch.float32:
        raise TypeError(f"float32 only, not {input.dtype}")
    x, columns = input.contiguous(), math.prod(normalized_shape)
    weight = input.new_ones(columns) if weight is None else weight.contiguous()
    bias = input.new_zeros(columns) if bias is None else bias.contiguous()
    y = torch.empty_like(x)
    if x.numel():
        layer_norm[(x.numel() // columns,)](x, weight, bias, y, columns, eps, triton.next_power_of_2(columns))
    return y
