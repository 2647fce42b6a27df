"""Matrix products: matmul, mm, bmm, and linear with its activation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_dtypes, check_tensor, fail
from scratchnet.functions.dispatch import Function, Operator, fastest_first, lined_up, needs, or_torch
from scratchnet.ops import ACTIVATIONS
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
        return lined_up(ctx, *ctx.kernel.backward(grad, *ctx.saved_tensors, *needs(ctx)))


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
        return lined_up(ctx, *ctx.kernel.backward(grad, x, weight, saved, ctx.options, *needs(ctx)))


_matmul = Operator("matmul", Matmul, autocast={"cpu": "low", "cuda": "low"})
_linear = Operator("linear", Linear, autocast={"cpu": "low", "cuda": "low"})


def _check_pair(function: str, name_a: str, a: Tensor, name_b: str, b: Tensor) -> None:
    check_tensor(function, name_a, a)
    check_tensor(function, name_b, b)
    if a.dtype != b.dtype:
        check_dtypes(function, name_a, a, name_b, b)
    if a.device != b.device:
        check_device(function, name_b, b, name_a, a)
    if a.dtype is torch.bool:
        problem = f"\"{function}\" not implemented for 'Bool'"
        fail(NotImplementedError, function, name_a, f"{problem}: call .float() or .long() on both")


def _check_inner(function: str, name_b: str, a: Tensor, b: Tensor) -> None:
    """The columns of a (..., M, K) must be as many as the rows of b (..., K, N)."""
    if a.shape[-1] != b.shape[-2]:
        m, k, rows, n = a.shape[-2:].numel() // max(a.shape[-1], 1), a.shape[-1], *b.shape[-2:]
        mend = f"input has {k} columns, {name_b} has {rows} rows"
        if n == k:
            mend += f"; likely mend: {name_b}.mT"
        elif a.shape[-2] == rows:
            mend += "; likely mend: input.mT"
        fail(RuntimeError, function, name_b, f"mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {rows}x{n}): {mend}")


@or_torch(torch.mm)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """input @ mat2 for matrices (M, K) and (K, N) of one dtype -> (M, N).

    RuntimeError for other shapes or mixed dtypes. torch.mm.
    """
    _check_pair("mm", "input", input, "mat2", mat2)
    for argument, words, value in (("input", "self", input), ("mat2", "mat2", mat2)):
        if value.dim() != 2:
            fail(
                RuntimeError, "mm", argument,
                f"{words} must be a matrix, got shape {tuple(value.shape)}; scratchnet.matmul takes vectors and batches too",
            )  # fmt: skip
    _check_inner("mm", "mat2", input, mat2)
    return _matmul(input, mat2)


@or_torch(torch.bmm)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """input[i] @ mat2[i] for batches of matrices (B, M, K) and (B, K, N) of one dtype -> (B, M, N).

    RuntimeError for other shapes, B included, or mixed dtypes. torch.bmm.
    """
    _check_pair("bmm", "input", input, "mat2", mat2)
    for argument, words, value in (("input", "batch1", input), ("mat2", "batch2", mat2)):
        if value.dim() != 3:
            fail(
                RuntimeError, "bmm", argument,
                f"{words} must be a 3D tensor, got shape {tuple(value.shape)}; use scratchnet.matmul for other ranks",
            )  # fmt: skip
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        need, got = [input.shape[0], input.shape[2]], list(mat2.shape[:2])
        mend = "; scratchnet.matmul broadcasts the batch" if need[1] == got[1] and 1 in (need[0], got[0]) else ""
        fail(
            RuntimeError, "bmm", "mat2",
            f"Expected size for first two dimensions of batch2 tensor to be: {need} but got: {got} "
            f"(input {tuple(input.shape)}, mat2 {tuple(mat2.shape)}){mend}",
        )  # fmt: skip
    return _matmul(input, mat2)


@fastest_first("matmul")
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product over the last two axes, (..., M, K) @ (..., K, N) -> (..., M, N); the leading axes broadcast.

    A vector is a row on the left and a column on the right, and its axis is missing in the result. One dtype for both.
    RuntimeError if the inner sizes, the batch axes or the dtypes do not fit. torch.matmul.
    """
    _check_pair("matmul", "input", input, "other", other)
    dim_a, dim_b = input.dim(), other.dim()
    if dim_a == 0 or dim_b == 0:
        fail(
            RuntimeError, "matmul", "other" if dim_a else "input",
            f"both arguments to matmul need to be at least 1D, but they are {dim_a}D and {dim_b}D; multiply by a scalar with *",
        )  # fmt: skip
    if dim_a == 1 or dim_b == 1:
        _check_vector(input, other)
        if dim_b == 1:
            return matmul(input, other.unsqueeze(1)).squeeze(-1)
        return matmul(input.unsqueeze(0), other).squeeze(-2)
    if dim_b > 2 and input.shape[-1] != other.shape[-2]:
        need, got = [*other.shape[:-2], input.shape[-1]], list(other.shape[:-1])
        fail(
            RuntimeError, "matmul", "other",
            f"Expected size for first two dimensions of batch2 tensor to be: {need} but got: {got}; "
            f"input {tuple(input.shape)} has {input.shape[-1]} columns, other {tuple(other.shape)} has {other.shape[-2]} rows",
        )  # fmt: skip
    if dim_b == 2 and dim_a > 2:  # one matrix for the whole batch: the batch is more rows
        rows = input.reshape(input.shape[:-1].numel(), input.shape[-1])
        _check_inner("matmul", "other", rows, other)
        return _matmul(rows, other).view(*input.shape[:-1], other.shape[-1])
    _check_inner("matmul", "other", input, other)
    if input.shape[:-2] != other.shape[:-2]:  # views with stride 0: nothing is copied
        batch = _broadcast(input, other)
        input, other = input.expand(*batch, *input.shape[-2:]), other.expand(*batch, *other.shape[-2:])
    return _matmul(input, other)


def _check_vector(a: Tensor, b: Tensor) -> None:
    if a.shape[-1] == b.shape[-2 if b.dim() > 1 else 0]:
        return
    shapes = f"input {tuple(a.shape)}, other {tuple(b.shape)}"
    if a.dim() == b.dim() == 1:
        n, m = a.numel(), b.numel()
        fail(
            RuntimeError, "matmul", "other",
            f"inconsistent tensor size, expected tensor [{n}] and src [{m}] to have the same number of elements, "
            f"but got {n} and {m} elements respectively ({shapes})",
        )  # fmt: skip
    if a.dim() == 1 and b.dim() == 2:
        _check_inner("matmul", "other", a.unsqueeze(0), b)
    matrix, vector = (b.mT, a) if a.dim() == 1 else (a, b)
    m, k = matrix.shape[:-1].numel(), matrix.shape[-1]
    fail(RuntimeError, "matmul", "other", f"size mismatch, got input ({m}), mat ({m}x{k}), vec ({vector.numel()}); {shapes}")


def _broadcast(a: Tensor, b: Tensor) -> tuple[int, ...]:
    """The batch axes of both; RuntimeError in torch's words if one pair of sizes differs and neither is 1."""
    dims = max(a.dim(), b.dim()) - 2
    sizes_a, sizes_b = ((1,) * (dims + 2 - t.dim()) + tuple(t.shape[:-2]) for t in (a, b))
    for i, (m, n) in enumerate(zip(sizes_a, sizes_b, strict=True)):
        if m != n and m != 1 and n != 1:
            fail(
                RuntimeError, "matmul", "other",
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension {i} "
                f"(input {tuple(a.shape)}, other {tuple(b.shape)}: the batch axes broadcast)",
            )  # fmt: skip
    return tuple(n if m == 1 else m for m, n in zip(sizes_a, sizes_b, strict=True))


@fastest_first("linear")
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None) -> Tensor:
    """act(input @ weight.T + bias): input (..., in), weight (out, in), bias (out) of one dtype -> (..., out).

    weight (in,) with bias () gives (...). activation: None, "relu", "gelu" or "gelu_tanh", applied while a tile is in cache.
    RuntimeError if shapes or dtypes do not fit, ValueError for another activation. torch.nn.functional.linear.
    """
    _check_pair("linear", "input", input, "weight", weight)
    if activation is not None and activation not in ACTIVATIONS[1:]:
        fail(ValueError, "linear", "activation", f"must be None, 'relu', 'gelu' or 'gelu_tanh', got {activation!r}")
    dim = weight.dim()
    if input.dim() == 0 or dim not in (1, 2):
        _fail_rank(input, weight)
    in_features = weight.shape[-1]
    if input.shape[-1] != in_features:
        rows, received = input.shape[:-1].numel(), input.shape[-1]
        sides = f"{rows}x{received} and {in_features}x{weight.shape[0] if dim == 2 else 1}"
        swapped = dim == 2 and received == weight.shape[0]
        hint = f"; weight is {tuple(weight.shape)} = (out_features, in_features): did you mean weight.T?" if swapped else ""
        whole = () if input._base is None else tuple(input._base.shape)  # of what a flattened input is a view
        flattened = whole[input.dim() - 1 :]
        if len(flattened) > 1 and math.prod(flattened) == received:
            hint = f"; it is {whole} flattened: in_features must be {' * '.join(map(str, flattened))} = {received}"
        fail(
            RuntimeError, "linear", "input",
            f"mat1 and mat2 shapes cannot be multiplied ({sides}): expected a last axis of in_features = {in_features}, "
            f"got input {tuple(input.shape)} whose last axis is {received}{hint}",
        )  # fmt: skip
    if bias is not None:
        bias = _checked_bias(input, weight, bias)
    options = LinearOptions(ACTIVATIONS.index(activation) if activation else 0)
    if dim == 1:
        return _linear(input, weight.unsqueeze(0), bias, options).squeeze(-1)
    return _linear(input, weight, bias, options)


def _fail_rank(input: Tensor, weight: Tensor) -> None:
    if weight.dim() > 2:
        problem = f"t() expects a tensor with <= 2 dimensions, but self is {weight.dim()}D; weight must be (out, in), "
        fail(RuntimeError, "linear", "weight", problem + f"got {tuple(weight.shape)}; scratchnet.matmul multiplies batches")
    argument = "weight" if input.dim() else "input"
    dims = f"{input.dim()}D and {weight.dim()}D"
    fail(RuntimeError, "linear", argument, f"both arguments to linear need to be at least 1D, but they are {dims}")


def _checked_bias(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """bias as (out,)."""
    check_tensor("linear", "bias", bias)
    if bias.dtype != input.dtype:
        check_dtypes("linear", "bias", bias, "input", input)
    if bias.device != input.device:
        check_device("linear", "bias", bias, "input", input)
    out = weight.shape[0] if weight.dim() == 2 else 1
    if bias.dim() == 1 and bias.shape[0] == out:
        return bias
    if bias.numel() != 1 or bias.dim() > 1:
        problem = f"expected shape ({out},), one bias for each row of weight {tuple(weight.shape)}, got {tuple(bias.shape)}"
        if bias.shape[-1] != out:
            sizes = f"The expanded size of the tensor ({out}) must match the existing size ({bias.shape[-1]})"
            problem = f"{sizes} at non-singleton dimension 1: {problem}"
        fail(RuntimeError, "linear", "bias", problem)
    return bias.expand(out)
