"""K35: rotary positions, one program for each row. Fill in the `...`. Then: scratchnet check K35"""

import torch
import triton
import triton.language as tl


@triton.jit
def turn(x_ptr, cos_ptr, sin_ptr, y_ptr, tokens, columns, rotary, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, BLOCK)
    partner = ...
    sign = ...
    x = tl.load(x_ptr + row * columns + j, mask=j < columns)
    other = tl.load(x_ptr + row * columns + partner, mask=..., other=...)
    angle = ...
    c = tl.load(cos_ptr + angle + j, mask=..., other=...)
    s = tl.load(sin_ptr + angle + j, mask=..., other=...)
    tl.store(y_ptr + row * columns + j, x * c + sign * other * s, mask=j < columns)


def forward(query, key, cos, sin):
    if query.dtype != torch.float32:
        raise TypeError(f"float32 only, not {query.dtype}")
    cos, sin = cos.contiguous(), sin.contiguous()
    return tuple(_turned(x.contiguous(), cos, sin) for x in (query, key))


def _turned(x, cos, sin):
    y = torch.empty_like(x)
    tokens, columns = x.shape[-2:]
    if y.numel():
        rows = x.numel() // columns
        turn[(rows,)](x, cos, sin, y, tokens, columns, cos.shape[-1], triton.next_power_of_2(columns))
    return y
