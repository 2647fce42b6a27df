"""K29: a row of the table for each id, one program for each id. Fill in the `...`. Then: scratchnet check K29"""

import torch
import triton
import triton.language as tl


@triton.jit
def embedding(ids, weight, y, columns, BLOCK: tl.constexpr):
    p = tl.program_id(0).to(tl.int64)
    places = tl.arange(0, BLOCK)
    mask = places < columns
    row = ...
    values = ...
    tl.store(y + ... * p + row, values, mask=mask)


def forward(input, weight):
    ids, weight = input.contiguous(), weight.contiguous()
    y = torch.empty(*input.shape, weight.shape[1], dtype=weight.dtype, device=weight.device)
    if y.numel():
        embedding[(ids.numel(),)](ids, weight, y, weight.shape[1], triton.next_power_of_2(weight.shape[1]))
    return y
