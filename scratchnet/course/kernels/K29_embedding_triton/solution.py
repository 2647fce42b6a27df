import torch
import triton
import triton.language as tl


@triton.jit
def embedding(ids, weight, y, columns, BLOCK: tl.constexpr):
    p = tl.program_id(0).to(tl.int64)
    places = tl.arange(0, BLOCK)
    mask = places < columns
    row = tl.load(ids + p)
    values = tl.load(weight + row * columns + places, mask=mask)
    tl.store(y + p * columns + places, values, mask=mask)


def forward(input, weight):
    ids, weight = input.contiguous(), weight.contiguous()
    y = torch.empty(*input.shape, weight.shape[1], dtype=weight.dtype, device=weight.device)
    if y.numel():
        embedding[(ids.numel(),)](ids, weight, y, weight.shape[1], triton.next_power_of_2(weight.shape[1]))
    return y
