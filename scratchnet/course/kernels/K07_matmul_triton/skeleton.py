"""K07: a tile of the output for each program. Fill in the `...`. Then: scratchnet check K07"""

import torch
import triton
import triton.language as tl

BLOCK = 16


@triton.jit
def multiply(a_ptr, b_ptr, c_ptr, rows, inner, columns, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = ...
    acc = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for t in range(0, inner, BLOCK):
        k = t + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + ..., mask=..., other=0.0)
        b = tl.load(b_ptr + ..., mask=..., other=0.0)
        acc += ... * k + a + b
    tl.store(c_ptr + i[:, None] * columns + j[None, :], acc, mask=...)


def forward(input, other):
    if input.dim() > 2:
        return torch.stack([forward(*matrices) for matrices in zip(input, other, strict=True)])
    if input.dtype != torch.float32:
        raise TypeError(f"float32 only, not {input.dtype}")
    a, b = input.contiguous(), other.contiguous()
    (rows, inner), columns = a.shape, b.shape[1]
    c = torch.empty(rows, columns, dtype=a.dtype, device=a.device)
    if c.numel():
        multiply[(..., ...)](a, b, c, rows, inner, columns, BLOCK)
    return c
