"""LayerNorm, RMSNorm, and a residual sum with the LayerNorm after it."""

from __future__ import annotations

from typing import NoReturn, Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import check_device, check_float, check_tensor, fail
from scratchnet.functions.dispatch import Function, Operator, fastest_first, lined_up, needs, or_torch
from scratchnet.ops.layer_norm import NormOptions

_WIDE = {torch.float64: torch.float64, torch.complex128: torch.float64}  # computed in float64; every other dtype in float32
_HALVES = (torch.bfloat16, torch.float16)


class LayerNorm(Function):
    """y = (x - mean) rstd weight + bias;  dx = rstd (a - mean(a) - h mean(a h)) with a = grad weight, h = (x - mean) rstd."""

    @staticmethod
    def forward(ctx, kernel, x, weight, bias, options):
        ctx.kernel, ctx.options = kernel, options
        y, mean, rstd = kernel.forward(x, weight, bias, options)
        ctx.save_for_backward(x, mean, rstd, weight)
        return y

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, *ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options, *needs(ctx)))


class RMSNorm(Function):
    """y = x rstd weight;  dx = rstd (a - h mean(a h)) with a = grad weight, h = x rstd."""

    @staticmethod
    def forward(ctx, kernel, x, weight, options):
        ctx.kernel, ctx.options = kernel, options
        y, rstd = kernel.forward(x, weight, options)
        ctx.save_for_backward(x, rstd, weight)
        return y

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, *ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options, *needs(ctx)))


class AddLayerNorm(Function):
    """total = x + residual, y = LayerNorm(total): both outputs' gradients meet in d(total), which x and residual share."""

    @staticmethod
    def forward(ctx, kernel, x, residual, weight, bias, options):
        ctx.kernel, ctx.options = kernel, options
        total, y, mean, rstd = kernel.forward(x, residual, weight, bias, options)
        ctx.save_for_backward(total, mean, rstd, weight)
        return total, y

    @staticmethod
    def backward(ctx, grad_total, grad):
        _, need_x, need_residual, need_weight, need_bias, _ = ctx.needs_input_grad
        flags = need_x or need_residual, need_weight, need_bias
        dx, dweight, dbias = ctx.kernel.backward(grad_total, grad, *ctx.saved_tensors, ctx.options, *flags)
        kernel, dx_, _, *others = lined_up(ctx, dx, dweight, dbias)
        return kernel, dx_, dx if need_residual else None, *others  # the residual's is that of x


_AUTOCAST = {"cuda": "float32"}  # as torch: on a CPU a norm computes in float32 inside whatever dtype comes
_layer_norm = Operator("layer_norm", LayerNorm, autocast=_AUTOCAST)
_rms_norm = Operator("rms_norm", RMSNorm, autocast=_AUTOCAST)
_add_layer_norm = Operator("add_layer_norm", AddLayerNorm, autocast=_AUTOCAST)


def _check(
    name: str, input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> int:
    """The number of axes to normalise over; raises unless the arguments fit together."""
    check_tensor(name, "input", input)
    if not isinstance(normalized_shape, (tuple, list)):
        kind = type(normalized_shape).__name__
        mend = f"; write ({normalized_shape},)" if isinstance(normalized_shape, int) else ""
        fail(TypeError, name, "normalized_shape", f"must be tuple of ints, not {kind}{mend}")
    shape, ndim = tuple(normalized_shape), len(normalized_shape)
    if ndim == 0 or float in map(type, shape):
        _fail_shape(name, input, shape)
    if weight is not None:
        _check_parameter(name, "weight", weight, shape, input)
    if bias is not None:
        _check_parameter(name, "bias", bias, shape, input)
    if input.shape[-ndim:] != shape:
        _fail_shape(name, input, shape)
    if not isinstance(eps, (float, int, torch.SymFloat)):
        fail(TypeError, name, "eps", f"must be float, not {type(eps).__name__}")
    return ndim


def _check_parameter(name: str, argument: str, value: Tensor, shape: tuple[int, ...], input: Tensor) -> None:
    check_tensor(name, argument, value)
    if value.shape != shape:
        fail(
            RuntimeError, name, argument,
            f"Expected {argument} to be of same shape as normalized_shape, but got {argument} of shape {list(value.shape)} and "
            f"normalized_shape = {list(shape)}",
        )  # fmt: skip
    check_device(name, argument, value, "input", input)


def _fail_shape(name: str, input: Tensor, shape: tuple[int, ...]) -> NoReturn:
    if not shape:
        fail(
            RuntimeError, name, "normalized_shape",
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []",
        )  # fmt: skip
    for position, size in enumerate(shape):
        if isinstance(size, float):
            found = f"found element of type float at pos {position}"
            fail(TypeError, name, "normalized_shape", f"must be tuple of ints, but {found}")
    error = ValueError if name == "rms_norm" and input.dim() < len(shape) else RuntimeError  # torch's own inconsistency
    wanted = ", ".join(map(str, shape))
    fail(
        error, name, "input",
        f"Given normalized_shape={list(shape)}, expected input with shape [*, {wanted}], "
        f"but got input of size{list(input.shape)}; normalized_shape names the last axes of input",
    )  # fmt: skip


def _check_dtypes(name: str, input: Tensor, weight: Tensor | None, bias: Tensor | None) -> None:
    """torch's rule: one floating dtype for all, except that 16-bit inputs may have float32 weight and bias."""
    check_float(name, "input", input)
    for argument, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.dtype != input.dtype and not (input.dtype in _HALVES and value.dtype == torch.float32):
            fail(
                RuntimeError, name, argument,
                f"mixed dtype: {argument} is {value.dtype}, but input is {input.dtype}: convert one with .to(...)",
            )  # fmt: skip
    if weight is not None and bias is not None and weight.dtype != bias.dtype:
        kinds = f"bias is {bias.dtype}, but weight is {weight.dtype}"
        fail(RuntimeError, name, "bias", f"mixed dtype: {kinds}: convert one with .to(...)")


@fastest_first("layer_norm")
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes of input (..., *normalized_shape).

    var is the biased variance. weight and bias have normalized_shape and input's dtype, or float32 with a 16-bit input; the
    result has input's shape and dtype. RuntimeError if shapes or dtypes do not fit. torch.nn.functional.layer_norm; https://arxiv.org/abs/1607.06450.
    """
    ndim = _check("layer_norm", input, normalized_shape, weight, bias, eps)
    _check_dtypes("layer_norm", input, weight, bias)
    return _layer_norm(input, weight, bias, NormOptions(ndim, eps))


@or_torch(_rms_norm.op.torch)
def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axes of input (..., *normalized_shape).

    eps None is the machine epsilon of the dtype computed in: that of float32 also for 16-bit inputs. weight has
    normalized_shape; the result has input's shape and dtype. RuntimeError if shapes do not fit (ValueError for too few axes).
    torch.nn.functional.rms_norm; https://arxiv.org/abs/1910.07467.
    """
    if eps is None:
        eps = torch.finfo(_WIDE.get(input.dtype, torch.float32)).eps if isinstance(input, Tensor) else 0.0
    ndim = _check("rms_norm", input, normalized_shape, weight, None, eps)
    if not input.is_complex():
        check_float("rms_norm", "input", input)
    return _rms_norm(input, weight, NormOptions(ndim, eps))


@or_torch(_add_layer_norm.op.torch)
def add_layer_norm(
    input: Tensor,
    residual: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """(input + residual, layer_norm of that sum): the residual stream and its norm in one pass over memory.

    input and residual (..., *normalized_shape) have one shape and dtype, else RuntimeError; the rest is as in `layer_norm`.
    """
    ndim = _check("add_layer_norm", input, normalized_shape, weight, bias, eps)
    check_tensor("add_layer_norm", "residual", residual)
    if residual.shape != input.shape:
        shapes = f"got {tuple(residual.shape)} and {tuple(input.shape)}"
        fail(RuntimeError, "add_layer_norm", "residual", f"must have input's shape, {shapes}; expand it with .expand_as(input)")
    if residual.dtype != input.dtype or residual.device != input.device:
        kinds = f"got {residual.dtype} on {residual.device} and {input.dtype} on {input.device}"
        fail(RuntimeError, "add_layer_norm", "residual", f"mixed dtype: must have input's dtype and device, {kinds}")
    _check_dtypes("add_layer_norm", input, weight, bias)
    return _add_layer_norm(input, residual, weight, bias, NormOptions(ndim, eps))
