"""Softmax, log-softmax, logsumexp and the cross-entropy losses made of them."""

from __future__ import annotations

from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.functions.checks import (
    FLOATS,
    check_device,
    check_dtypes,
    check_float,
    check_tensor,
    fail,
    reduction_name,
    scalar_name,
)
from scratchnet.functions.class_targets import check_class_weight, check_classes, check_target, one_dtype, warn_of_softmax
from scratchnet.functions.dispatch import Function, Operator, fastest_first, lined_up, needs
from scratchnet.functions.library import batched
from scratchnet.ops import REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LossOptions


class CrossEntropy(Function):
    """loss = logsumexp(x) - x[target];  dx = grad (softmax(x) - one_hot(target)), from x and its logsumexp alone."""

    @staticmethod
    def forward(ctx, kernel, x, target, weight, options):
        ctx.kernel, ctx.options = kernel, options
        loss, lse, total_weight = kernel.forward(x, target, weight, options)
        ctx.save_for_backward(x, target, weight, lse, total_weight)
        return loss

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options))


class Normalize(Function):
    """Softmax or log-softmax along dim; the gradient follows from the output."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.options = kernel, options
        y = kernel.forward(x, options)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options))


class Softmax(Normalize):
    """A name of its own in the graph, by which cross_entropy knows a softmax that is one too many."""


class LogSumExp(Function):
    """y = log(sum(exp(x))) along dim, kept with size 1;  dx = grad exp(x - y)."""

    @staticmethod
    def forward(ctx, kernel, x, options):
        ctx.kernel, ctx.options = kernel, options
        y = kernel.forward(x, options)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        return lined_up(ctx, ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options))


class LinearCrossEntropy(Function):
    """cross_entropy(x W^T + b, target): where a column can, forward makes the gradients too, while it has the logits.

    Else, and for a loss of every row, whose gradients are not known yet, backward makes the logits of a chunk of rows again.
    """

    @staticmethod
    def forward(ctx, kernel, x, linear_weight, linear_bias, target, weight, options):
        ctx.kernel, ctx.options, ctx.made = kernel, options, None
        inputs = x, linear_weight, linear_bias, target, weight
        if kernel.gradients and any(needs(ctx)) and REDUCTIONS[options.reduction] != "none":
            loss, lse, total_weight, *ctx.made = kernel.gradients(*inputs, options, *needs(ctx))
        else:
            loss, lse, total_weight = kernel.forward(*inputs, options)
        ctx.save_for_backward(*inputs, lse, total_weight)
        return loss

    @staticmethod
    def backward(ctx, grad):
        made, ctx.made = ctx.made, None  # scaled where they are: a second backward makes its own
        if made and not torch.is_grad_enabled() and not batched(grad):
            return lined_up(ctx, *(g.mul_(grad).to(grad.dtype) for g in made))
        return lined_up(ctx, *ctx.kernel.backward(grad, *ctx.saved_tensors, ctx.options, *needs(ctx)))


# As torch's autocast. linear_cross_entropy has a float32 result there, which its kernels compute in float32 all the way.
_LOSS = {"cpu": "float32", "cuda": "float32"}
_FLOAT32 = {"cuda": "float32"}
_cross_entropy = Operator("cross_entropy", CrossEntropy, autocast=_LOSS)
_linear_cross_entropy = Operator("linear_cross_entropy", LinearCrossEntropy, autocast=_LOSS)
_softmax = Operator("softmax", Softmax, autocast=_FLOAT32)
_log_softmax = Operator("log_softmax", Normalize, autocast=_FLOAT32)
_logsumexp = Operator("logsumexp", LogSumExp, autocast=_FLOAT32)


# ---- softmax, log_softmax, logsumexp -----------------------------------------------------------------------------------


def _dim(name: str, x: Tensor, dim: int) -> int:
    if not isinstance(dim, int):
        fail(TypeError, name, "dim", f"must be int, not {type(dim).__name__}")
    rank = max(x.dim(), 1)
    if not -rank <= dim < rank:
        valid = f"[{-rank}, {rank - 1}]"
        fail(IndexError, name, "dim", f"Dimension out of range (expected to be in range of {valid}, but got {dim})")
    return dim % rank


def _normalize(operator: Operator, x: Tensor, dim: int, dtype: torch.dtype | None) -> Tensor:
    name = operator.op.name
    check_tensor(name, "input", x)
    if dtype is not None:
        x = x.to(dtype)
    if x.dtype not in FLOATS:
        problem = f"\"{name}\" not implemented for '{scalar_name(x.dtype)}': give floating-point numbers or dtype=torch.float32"
        fail(NotImplementedError, name, "input" if dtype is None else "dtype", problem)
    return operator(x, DimOptions(_dim(name, x, dim)))


@fastest_first("softmax")
def softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """exp(input) / sum(exp(input)) along dim of a floating-point tensor of any shape, or of any tensor cast to `dtype` first.

    IndexError for a dim that the tensor does not have, NotImplementedError for a dtype that is not a float. torch.softmax.
    """
    return _normalize(_softmax, input, dim, dtype)


@fastest_first("log_softmax")
def log_softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """input - logsumexp(input) along dim of a floating-point tensor of any shape, or of any tensor cast to `dtype` first.

    IndexError for a dim that the tensor does not have, NotImplementedError for a dtype that is not a float. torch.log_softmax.
    """
    return _normalize(_log_softmax, input, dim, dtype)


@fastest_first("logsumexp")
def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over one or several dims of any tensor (..., D), of size 1 if keepdim; integers become floats.

    IndexError for a dim that the tensor does not have, RuntimeError for one that is named twice. torch.logsumexp.
    """
    check_tensor("logsumexp", "input", input)
    if input.is_complex():  # has no largest entry
        return torch.logsumexp(input, dim, keepdim)
    if not input.is_floating_point():
        input = input.to(torch.get_default_dtype())
    if isinstance(dim, int):
        y = _logsumexp(input, DimOptions(_dim("logsumexp", input, dim)))
        return y if keepdim or not input.dim() else y.squeeze(dim)
    if not isinstance(dim, (tuple, list)):
        fail(TypeError, "logsumexp", "dim", f"must be int or tuple of ints, not {type(dim).__name__}")
    dims = sorted(_dim("logsumexp", input, d) for d in dim)
    for d in set(dims):
        if dims.count(d) > 1:
            fail(RuntimeError, "logsumexp", "dim", f"dim {d} appears multiple times in the list of dims")
    if not input.dim():
        return _logsumexp(input, DimOptions(0))
    dims = dims or list(range(input.dim()))  # no dims: all of them
    kept = [d for d in range(input.dim()) if d not in dims]
    y = _logsumexp(input.permute(kept + dims).flatten(len(kept)), DimOptions(len(kept)))  # the reduced dims last, as one
    return y.reshape([1 if d in dims else n for d, n in enumerate(input.shape)]) if keepdim else y.squeeze(-1)


# ---- cross_entropy -----------------------------------------------------------------------------------------------------


def _reduction(name: str, reduction: str) -> int:
    if reduction not in REDUCTIONS:
        fail(ValueError, name, "reduction", f"{reduction} is not a valid value for reduction: choose {', '.join(REDUCTIONS)}")
    return REDUCTIONS.index(reduction)


def _check_options(name: str, input: Tensor, classes: int, weight: Tensor | None, options: LossOptions) -> None:
    if weight is not None:
        check_class_weight(name, input, classes, weight)
    if isinstance(options.ignore_index, bool) or not hasattr(options.ignore_index, "__index__"):
        fail(TypeError, name, "ignore_index", f"must be int, not {type(options.ignore_index).__name__}")
    if not 0.0 <= options.label_smoothing <= 1.0:
        problem = f"label_smoothing must be between 0.0 and 1.0. Got: {options.label_smoothing}"
        fail(RuntimeError, name, "label_smoothing", problem)


def _call(
    operator: Operator, inputs: tuple, options: LossOptions, target: Tensor, classes: int, weight: Tensor | None
) -> Tensor:
    """The operator's result. Gradients of probabilities and class weights, which no kernel has, take the reference."""
    trained = target.requires_grad or weight is not None and weight.requires_grad
    run = operator.plain if trained and torch.is_grad_enabled() else operator
    try:
        return run(*inputs, options)
    except (RuntimeError, IndexError):
        if not torch.compiler.is_compiling() and not target.is_floating_point() and target.device.type == "cpu":
            check_classes(operator.op.name, target, classes, options.ignore_index)
        raise


@fastest_first("cross_entropy", look=warn_of_softmax)
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log(softmax(input))[target] in nats, for floating-point logits (C,), (N, C) or (N, C, d1, ...) and in their dtype.

    target: classes (), (N,) or (N, d1, ...), int64 or uint8, where ignore_index does not count; or probabilities (N, C, ...).
    weight: (C,) rescales the classes; label_smoothing moves that share of the target to all classes alike. reduction "none"
    keeps the rows, "sum" adds them, "mean" divides by the sum of the targets' weights (with probabilities: by the rows).
    ValueError, RuntimeError and IndexError (a class that does not exist) as torch.nn.functional.cross_entropy.
    """
    check_float("cross_entropy", "input", input)
    code = _reduction("cross_entropy", reduction_name(size_average, reduce, reduction))
    shape, rank = input.shape, input.dim()
    if not rank:
        fail(
            IndexError, "cross_entropy", "input", "Dimension specified as 1 but tensor has no dimensions, needs (C,) or (N, C)"
        )
    probabilities = check_target("cross_entropy", input, shape, target, ignore_index)
    classes = shape[min(rank, 2) - 1]
    options = LossOptions(code, ignore_index, float(label_smoothing))
    _check_options("cross_entropy", input, classes, weight, options)
    input, target, weight = one_dtype("cross_entropy", input, target, weight)

    # (N, C, S)
    x = input.unsqueeze(-1) if rank == 2 else input.flatten(2) if rank > 2 else input.reshape(1, classes, 1)
    if rank == 2:
        rows = target.unsqueeze(-1)
    else:
        rows = target.reshape(x.shape if probabilities else (x.shape[0], x.shape[2]))
    loss = _call(_cross_entropy, (x, rows, weight), options, target, classes, weight)
    if code:
        return loss
    return loss.squeeze(-1) if rank == 2 else loss.reshape((shape[0], *shape[2:]) if rank > 2 else ())


@fastest_first("linear_cross_entropy")
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: object | None = None,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target) whose logits exist only for a few rows at a time.

    input (K,) or (N, K), linear_weight (C, K), linear_bias (C,), all of one floating dtype; target (), (N,) or probabilities
    (C,), (N, C); the other arguments as in cross_entropy. A linear_weight (C, d1, ..., K) gives logits (N, C, d1, ...), which
    are made as a whole. options: taken for torch's sake and without effect, for the rows are always cut into chunks.
    RuntimeError if shapes or options do not fit. torch.nn.functional.linear_cross_entropy.
    """
    name = "linear_cross_entropy"
    for argument, value in (("input", input), ("linear_weight", linear_weight), ("linear_bias", linear_bias)):
        if value is None and argument == "linear_bias":
            continue
        check_float(name, argument, value)
        check_dtypes(name, "input", input, argument, value)
        check_device(name, argument, value, "input", input)
    if input.dim() not in (1, 2):
        fail(RuntimeError, name, "input", f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        problem = f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}"
        fail(RuntimeError, name, "linear_weight", problem)
    classes, *extra, features = linear_weight.shape
    if input.shape[-1] != features:
        problem = "expected equal input and linear_weight last dimensions (in_features), got"
        fail(RuntimeError, name, "linear_weight", f"{problem} {input.shape[-1]} and {features}, respectively")
    if linear_bias is not None and linear_bias.shape != (classes, *extra):
        problem = f"expected linear_bias shape {(classes, *extra)}, got {tuple(linear_bias.shape)}"
        fail(RuntimeError, name, "linear_bias", problem)
    if extra and input.dim() == 1:
        problem = f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input"
        fail(RuntimeError, name, "input", f"{problem}, (N, {features}), got unbatched input with shape {tuple(input.shape)}")
    check_tensor(name, "target", target)
    shape = (*input.shape[:-1], classes, *extra)
    if target.shape == shape and ignore_index is not None:
        fail(RuntimeError, name, "ignore_index", "ignore_index cannot be specified when target contains probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    if extra:
        bias = None if linear_bias is None else linear_bias.flatten()
        logits = F.linear(input, linear_weight.flatten(0, -2), bias).reshape(shape)
        return cross_entropy(logits, target, weight, None, ignored, None, reduction, label_smoothing)

    code = _reduction(name, reduction)
    probabilities = check_target(name, input, shape, target, ignored)
    loss_options = LossOptions(code, ignored, float(label_smoothing))  # torch's own `options` mean something else
    _check_options(name, input, classes, weight, loss_options)
    kept, target, weight = one_dtype(name, input, target, weight)
    if kept is not input:  # wider probabilities or class weights
        linear_weight = linear_weight.to(kept.dtype)
        linear_bias = None if linear_bias is None else linear_bias.to(kept.dtype)
    x = kept if input.dim() == 2 else kept.unsqueeze(0)  # (N, K)
    rows = target.reshape((x.shape[0], classes) if probabilities else x.shape[:1])
    inputs = x, linear_weight, linear_bias, rows, weight
    loss = _call(_linear_cross_entropy, inputs, loss_options, target, classes, weight)
    return loss.squeeze(0) if input.dim() == 1 and code == 0 else loss
