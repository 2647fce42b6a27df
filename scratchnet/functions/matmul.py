"""Matrix products: matmul, mm, bmm, and linear with its activation."""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.functions.checks import alike
from scratchnet.functions.dispatch import Function, Operator, fastest_first, gradients, or_torch
from scratchnet.functions.explain import matmul as explain
from scratchnet.ops import ACTIVATIONS, EPILOGUES
from scratchnet.ops.matmul import LinearOptions


class Matmul(Function):
    """Y = A B;  dA = G B^T, dB = A^T G."""

    @staticmethod
    def forward(ctx, kernel, a, b):
        ctx.kernel = kernel
        ctx.save_for_backward(a, b)
        return kernel.forward(a, b)

    @staticmethod
    def backward(ctx, grad):
        return gradients(ctx, grad, *ctx.saved_tensors)


class Linear(Function):
    """Y = act(Z), Z = X W^T + b;  dZ = G act'(Z), dX = dZ W, dW = dZ^T X, db = sum of dZ over the rows."""

    @staticmethod
    def forward(ctx, kernel, x, weight, bias, options):
        ctx.kernel, ctx.options = kernel, options
        y, z = kernel.forward(x, weight, bias, options)
        ctx.save_for_backward(x, weight, bias, y if ACTIVATIONS[options.activation] == "relu" else z)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, weight, bias, saved = ctx.saved_tensors
        if torch.is_grad_enabled() and "gelu" in ACTIVATIONS[ctx.options.activation]:  # create_graph=True: Z from the inputs
            saved = _linear.plain(x, weight, bias, LinearOptions(0))
        return gradients(ctx, grad, x, weight, saved, ctx.options)


_matmul = Operator("matmul", Matmul, autocast={"cpu": "low", "cuda": "low"})
_linear = Operator("linear", Linear, autocast={"cpu": "low", "cuda": "low"})


@or_torch(torch.mm, _matmul.op)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """input @ mat2 for matrices (M, K) and (K, N) of one dtype -> (M, N).

    RuntimeError for other shapes or mixed dtypes. torch.mm.
    """
    if not (alike(input, mat2) and input.dim() == mat2.dim() == 2 and input.shape[1] == mat2.shape[0]):
        explain.mm(input, mat2)
    return _matmul(input, mat2)


@or_torch(torch.bmm, _matmul.op)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """input[i] @ mat2[i] for batches of matrices (B, M, K) and (B, K, N) of one dtype -> (B, M, N).

    RuntimeError for other shapes, B included, or mixed dtypes. torch.bmm.
    """
    if not (
        alike(input, mat2)
        and input.dim() == mat2.dim() == 3
        and input.shape[0] == mat2.shape[0]
        and input.shape[2] == mat2.shape[1]
    ):
        explain.bmm(input, mat2)
    return _matmul(input, mat2)


@fastest_first("matmul")
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product over the last two axes, (..., M, K) @ (..., K, N) -> (..., M, N); the leading axes broadcast.

    A vector is a row on the left and a column on the right, and its axis is missing in the result. One dtype for both.
    RuntimeError if the inner sizes, the batch axes or the dtypes do not fit. torch.matmul.
    """
    if not (
        alike(input, other)
        and input.dim()
        and other.dim()
        and input.shape[-1] == other.shape[-2 if other.dim() > 1 else 0]
        and (input.shape[:-2] == other.shape[:-2] or _broadcast(input, other))
    ):
        explain.matmul(input, other)
    if other.dim() == 1:
        return matmul(input, other.unsqueeze(1)).squeeze(-1)
    if input.dim() == 1:
        return matmul(input.unsqueeze(0), other).squeeze(-2)
    if other.dim() == 2 and input.dim() > 2:  # one matrix for the whole batch: the batch is more rows
        rows = input.reshape(input.shape[:-1].numel(), input.shape[-1])
        return _matmul(rows, other).view(*input.shape[:-1], other.shape[-1])
    if input.shape[:-2] != other.shape[:-2]:  # views with stride 0: nothing is copied
        batch = _broadcast(input, other)
        input, other = input.expand(*batch, *input.shape[-2:]), other.expand(*batch, *other.shape[-2:])
    return _matmul(input, other)


def _broadcast(a: Tensor, b: Tensor) -> tuple[int, ...]:
    """The batch axes of both; none if one pair of sizes differs and neither is 1."""
    batches = a.shape[:-2], b.shape[:-2]
    rank = max(map(len, batches))
    sizes_a, sizes_b = ((1,) * (rank - len(batch)) + tuple(batch) for batch in batches)
    if any(m != n and m != 1 and n != 1 for m, n in zip(sizes_a, sizes_b, strict=True)):
        return ()
    return tuple(n if m == 1 else m for m, n in zip(sizes_a, sizes_b, strict=True))


@fastest_first("linear")
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None) -> Tensor:
    """act(input @ weight.T + bias): input (..., in), weight (out, in), bias (out) of one dtype -> (..., out).

    weight (in,) with bias () gives (...). activation: None, "relu", "gelu" or "gelu_tanh", applied while a tile is in cache.
    RuntimeError if shapes or dtypes do not fit, ValueError for another activation. torch.nn.functional.linear.
    """
    if not (
        alike(input, weight)
        and input.dim()
        and weight.dim() == 2
        and input.shape[-1] == weight.shape[1]
        and (bias is None or alike(input, bias) and bias.shape == weight.shape[:1])
        and (activation is None or activation in EPILOGUES[1:])
    ):
        explain.linear(input, weight, bias, activation)
        if weight.dim() == 1:
            return linear(input, weight.unsqueeze(0), bias, activation).squeeze(-1)
        bias = bias.expand(weight.shape[0])  # one number for all outputs
    return _linear(input, weight, bias, LinearOptions(ACTIVATIONS.index(activation or "none")))
