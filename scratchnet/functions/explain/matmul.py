"""Why a call of matmul, mm, bmm or linear is wrong."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_dtypes, check_tensor, fail
from scratchnet.ops import EPILOGUES


def mm(input: Tensor, mat2: Tensor) -> None:
    _check_pair("mm", "input", input, "mat2", mat2)
    for argument, words, value in (("input", "self", input), ("mat2", "mat2", mat2)):
        if value.dim() != 2:
            got = f"got shape {tuple(value.shape)}; scratchnet.matmul takes vectors and batches too"
            fail(RuntimeError, "mm", argument, f"{words} must be a matrix, {got}")
    _check_inner("mm", "mat2", input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> None:
    _check_pair("bmm", "input", input, "mat2", mat2)
    for argument, words, value in (("input", "batch1", input), ("mat2", "batch2", mat2)):
        if value.dim() != 3:
            got = f"got shape {tuple(value.shape)}; use scratchnet.matmul for other ranks"
            fail(RuntimeError, "bmm", argument, f"{words} must be a 3D tensor, {got}")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        need, got = [input.shape[0], input.shape[2]], list(mat2.shape[:2])
        fix = "; scratchnet.matmul broadcasts the batch" if need[1] == got[1] and 1 in (need[0], got[0]) else ""
        problem = f"Expected size for first two dimensions of batch2 tensor to be: {need} but got: {got}"
        fail(RuntimeError, "bmm", "mat2", f"{problem} (input {tuple(input.shape)}, mat2 {tuple(mat2.shape)}){fix}")


def matmul(input: Tensor, other: Tensor) -> None:
    _check_pair("matmul", "input", input, "other", other)
    dim_a, dim_b = input.dim(), other.dim()
    if dim_a == 0 or dim_b == 0:
        problem = f"both arguments to matmul need to be at least 1D, but they are {dim_a}D and {dim_b}D"
        fail(RuntimeError, "matmul", "other" if dim_a else "input", f"{problem}; multiply by a scalar with *")
    if dim_a == 1 or dim_b == 1:
        _check_vector(input, other)
    elif dim_b > 2 and input.shape[-1] != other.shape[-2]:
        need, got = [*other.shape[:-2], input.shape[-1]], list(other.shape[:-1])
        columns = f"input {tuple(input.shape)} has {input.shape[-1]} columns"
        rows = f"other {tuple(other.shape)} has {other.shape[-2]} rows"
        problem = f"Expected size for first two dimensions of batch2 tensor to be: {need} but got: {got}; {columns}, {rows}"
        fail(RuntimeError, "matmul", "other", problem)
    else:
        _check_inner("matmul", "other", input.flatten(0, -2) if dim_b == 2 else input, other)
        _check_batch(input, other)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None) -> None:
    _check_pair("linear", "input", input, "weight", weight)
    if activation is not None and activation not in EPILOGUES[1:]:
        fail(ValueError, "linear", "activation", f"must be None, 'relu', 'gelu' or 'gelu_tanh', got {activation!r}")
    if weight.dim() > 2:
        problem = f"t() expects a tensor with <= 2 dimensions, but self is {weight.dim()}D; weight must be (out, in)"
        fail(RuntimeError, "linear", "weight", f"{problem}, got {tuple(weight.shape)}; scratchnet.matmul multiplies batches")
    if input.dim() == 0 or weight.dim() == 0:
        dims = f"{input.dim()}D and {weight.dim()}D"
        problem = f"both arguments to linear need to be at least 1D, but they are {dims}"
        fail(RuntimeError, "linear", "weight" if input.dim() else "input", problem)
    _check_features(input, weight)
    if bias is not None:
        _check_bias(input, weight, bias)


def _check_pair(function: str, name_a: str, a: Tensor, name_b: str, b: Tensor) -> None:
    check_tensor(function, name_a, a)
    check_tensor(function, name_b, b)
    check_dtypes(function, name_a, a, name_b, b)
    check_device(function, name_b, b, name_a, a)
    if a.dtype is torch.bool:
        problem = f"\"{function}\" not implemented for 'Bool'"
        fail(NotImplementedError, function, name_a, f"{problem}: call .float() or .long() on both")


def _check_inner(function: str, name_b: str, a: Tensor, b: Tensor) -> None:
    """The columns of a (..., M, K) must be as many as the rows of b (..., K, N)."""
    if a.shape[-1] != b.shape[-2]:
        m, k, rows, n = a.shape[-2:].numel() // max(a.shape[-1], 1), a.shape[-1], *b.shape[-2:]
        fix = f"input has {k} columns, {name_b} has {rows} rows"
        if n == k:
            fix += f"; did you mean {name_b}.mT?"
        elif a.shape[-2] == rows:
            fix += "; did you mean input.mT?"
        fail(RuntimeError, function, name_b, f"mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {rows}x{n}): {fix}")


def _check_vector(a: Tensor, b: Tensor) -> None:
    """One of the two is a vector, as long as the other's inner axis."""
    if a.shape[-1] == b.shape[-2 if b.dim() > 1 else 0]:
        return
    shapes = f"input {tuple(a.shape)}, other {tuple(b.shape)}"
    if a.dim() == b.dim() == 1:
        n, m = a.numel(), b.numel()
        problem = f"inconsistent tensor size, expected tensor [{n}] and src [{m}] to have the same number of elements"
        fail(RuntimeError, "matmul", "other", f"{problem}, but got {n} and {m} elements respectively ({shapes})")
    if a.dim() == 1 and b.dim() == 2:
        _check_inner("matmul", "other", a.unsqueeze(0), b)
    matrix, vector = (b.mT, a) if a.dim() == 1 else (a, b)
    m, k = matrix.shape[:-1].numel(), matrix.shape[-1]
    fail(RuntimeError, "matmul", "other", f"size mismatch, got input ({m}), mat ({m}x{k}), vec ({vector.numel()}); {shapes}")


def _check_batch(a: Tensor, b: Tensor) -> None:
    """Of each pair of batch axes, both sizes are equal or one is 1."""
    dims = max(a.dim(), b.dim()) - 2
    sizes_a, sizes_b = ((1,) * (dims + 2 - t.dim()) + tuple(t.shape[:-2]) for t in (a, b))
    for i, (m, n) in enumerate(zip(sizes_a, sizes_b, strict=True)):
        if m != n and m != 1 and n != 1:
            problem = f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension {i}"
            shapes = f"input {tuple(a.shape)}, other {tuple(b.shape)}: the batch axes broadcast"
            fail(RuntimeError, "matmul", "other", f"{problem} ({shapes})")


def _check_features(input: Tensor, weight: Tensor) -> None:
    """The last axis of input has an entry for each column of weight (out, in) or (in,)."""
    in_features, received, matrix = weight.shape[-1], input.shape[-1], weight.dim() == 2
    if received == in_features:
        return
    sides = f"{input.shape[:-1].numel()}x{received} and {in_features}x{weight.shape[0] if matrix else 1}"
    hint = ""
    if matrix and received == weight.shape[0]:
        hint = f"; weight is {tuple(weight.shape)} = (out_features, in_features): did you mean weight.T?"
    whole = () if input._base is None else tuple(input._base.shape)  # of the tensor that a flattened input is a view of
    flattened = whole[input.dim() - 1 :]
    if len(flattened) > 1 and math.prod(flattened) == received:
        hint = f"; it is {whole} flattened: in_features must be {' * '.join(map(str, flattened))} = {received}"
    needs = f"expected a last axis of in_features = {in_features}, got input {tuple(input.shape)} whose last axis is {received}"
    fail(RuntimeError, "linear", "input", f"mat1 and mat2 shapes cannot be multiplied ({sides}): {needs}{hint}")


def _check_bias(input: Tensor, weight: Tensor, bias: Tensor) -> None:
    """bias is (out,), or a single number for all outputs."""
    check_tensor("linear", "bias", bias)
    check_dtypes("linear", "bias", bias, "input", input)
    check_device("linear", "bias", bias, "input", input)
    out = weight.shape[0] if weight.dim() == 2 else 1
    if bias.shape != (out,) and (bias.numel() != 1 or bias.dim() > 1):
        problem = f"expected shape ({out},), one bias for each row of weight {tuple(weight.shape)}, got {tuple(bias.shape)}"
        if bias.shape[-1] != out:
            sizes = f"The expanded size of the tensor ({out}) must match the existing size ({bias.shape[-1]})"
            problem = f"{sizes} at non-singleton dimension 1: {problem}"
        fail(RuntimeError, "linear", "bias", problem)
