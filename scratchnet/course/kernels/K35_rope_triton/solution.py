import torch
import triton
import triton.language as tl


@triton.jit
def turn(x_ptr, cos_ptr, sin_ptr, y_ptr, tokens, columns, rotary, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    half = rotary // 2
    j = tl.arange(0, BLOCK)
    partner = tl.where(j < half, j + half, j - half)
    sign = tl.where(j < half, -1.0, 1.0)
    x = tl.load(x_ptr + row * columns + j, mask=j < columns)
    other = tl.load(x_ptr + row * columns + partner, mask=j < rotary, other=0.0)
    angle = row % tokens * rotary
    c = tl.load(cos_ptr + angle + j, mask=j < rotary, other=1.0)
    s = tl.load(sin_ptr + angle + j, mask=j < rotary, other=0.0)
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
