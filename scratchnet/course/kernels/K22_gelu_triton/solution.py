import torch
import triton
import triton.language as tl

BLOCK = 256


@triton.jit
def gelu(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + places, mask=places < n)
    tl.store(y_ptr + places, 0.5 * x * (1 + tl.erf(x * 0.7071067811865476)), mask=places < n)


def forward(input):
    x = input.contiguous()
    y = torch.empty_like(x)
    if x.numel():
        gelu[(triton.cdiv(x.numel(), BLOCK),)](x, y, x.numel(), BLOCK)
    return y
