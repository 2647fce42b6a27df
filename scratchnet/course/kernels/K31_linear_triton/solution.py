import torch
import triton
import triton.language as tl

BLOCK = 32


@triton.jit
def linear(x_ptr, weight_ptr, bias_ptr, y_ptr, rows, inner, outputs, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for t in range(0, inner, BLOCK):
        k = t + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + i[:, None] * inner + k[None, :], mask=(i[:, None] < rows) & (k[None, :] < inner), other=0.0)
        w = tl.load(weight_ptr + j[None, :] * inner + k[:, None], mask=(j[None, :] < outputs) & (k[:, None] < inner), other=0.0)
        acc += tl.dot(x, w, input_precision="ieee")
    acc += tl.load(bias_ptr + j, mask=j < outputs, other=0.0)[None, :]
    if ACTIVATION == "relu":
        acc = tl.where(acc < 0, 0.0, acc)
    if ACTIVATION == "gelu":
        acc = 0.5 * acc * (1 + tl.erf(acc * 0.7071067811865476))
    if ACTIVATION == "gelu_tanh":
        acc = acc * tl.sigmoid(1.5957691216057308 * (acc + 0.044715 * acc * acc * acc))
    tl.store(y_ptr + i[:, None] * outputs + j[None, :], acc, mask=(i[:, None] < rows) & (j[None, :] < outputs))


def forward(input, weight, bias, activation):
    if input.dtype != torch.float32:
        raise TypeError(f"float32 only, not {input.dtype}")
    x, weight, bias = input.contiguous(), weight.contiguous(), bias.contiguous()
    (rows, inner), outputs = x.shape, weight.shape[0]
    y = torch.empty(rows, outputs, device=x.device)
    if y.numel():
        grid = triton.cdiv(rows, BLOCK), triton.cdiv(outputs, BLOCK)
        linear[grid](x, weight, bias, y, rows, inner, outputs, activation, BLOCK)
    return y
