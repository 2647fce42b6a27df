"""Softmax, log-softmax, logsumexp and the cross-entropy losses made of them."""

from __future__ import annotations

from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet import backends
from scratchnet.functions.checks import FLOATS, is_float, reduction_name, same_dtype
from scratchnet.functions.class_targets import one_dtype, warn_of_softmax
from scratchnet.functions.dispatch import Function, Operator, fastest_first, gradients, lined_up, or_torch, wanted
from scratchnet.functions.explain import cross_entropy as explain
from scratchnet.functions.row_losses import token_loss
from scratchnet.ops import REDUCTIONS, DimOptions
from scratchnet.ops.cross_entropy import LINEAR_CROSS_ENTROPY, LossOptions
from scratchnet.torch_private import batched


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
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


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
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


class Softmax(Normalize):
    """A name of its own in the graph, by which cross_entropy recognises a softmax that is one too many."""


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
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


class LinearCrossEntropy(Function):
    """cross_entropy(x W^T + b, target): where a column can, forward makes the gradients too, while it has the logits.

    Else, and for a loss of every row, whose gradients are not known yet, backward makes the logits of a chunk of rows again.
    """

    @staticmethod
    def forward(ctx, kernel, x, linear_weight, linear_bias, target, weight, options):
        ctx.kernel, ctx.options, ctx.made = kernel, options, None
        inputs = x, linear_weight, linear_bias, target, weight
        needs = [ctx.needs_input_grad[place] for place in kernel.places]
        if kernel.gradients and any(needs) and REDUCTIONS[options.reduction] != "none":
            loss, lse, total_weight, *ctx.made = kernel.gradients(*inputs, options, *needs)
        else:
            loss, lse, total_weight = kernel.forward(*inputs, options)
        ctx.save_for_backward(*inputs, lse, total_weight)
        return loss

    @staticmethod
    def backward(ctx, grad):
        made, ctx.made = ctx.made, None  # scaled where they are: a second backward makes its own
        if made and not torch.is_grad_enabled() and not batched(grad):
            return lined_up(ctx, wanted(ctx), *(g.mul_(grad).to(grad.dtype) for g in made))
        return gradients(ctx, grad, *ctx.saved_tensors, ctx.options)


# As torch's autocast. linear_cross_entropy has a float32 result there, which its kernels compute in float32 all the way.
_LOSS = {"cpu": "float32", "cuda": "float32"}
_FLOAT32 = {"cuda": "float32"}
_CONSTANT = ("target", "weight")  # probabilities and class weights
_cross_entropy = Operator("cross_entropy", CrossEntropy, _LOSS, _CONSTANT)
_linear_cross_entropy = Operator("linear_cross_entropy", LinearCrossEntropy, _LOSS, _CONSTANT)
_softmax = Operator("softmax", Softmax, autocast=_FLOAT32)
_log_softmax = Operator("log_softmax", Normalize, autocast=_FLOAT32)
_logsumexp = Operator("logsumexp", LogSumExp, autocast=_FLOAT32)


# ---- softmax, log_softmax, logsumexp -----------------------------------------------------------------------------------


def _has_dim(x: Tensor, dim: int) -> bool:
    rank = max(x.dim(), 1)
    return isinstance(dim, int) and -rank <= dim < rank


@fastest_first("softmax")
def softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """exp(input) / sum(exp(input)) along dim of a floating-point tensor of any shape, or of any tensor cast to `dtype` first.

    IndexError for a dim that the tensor does not have, NotImplementedError for a dtype that is not a float. torch.softmax.
    """
    if not (isinstance(input, Tensor) and (dtype or input.dtype) in FLOATS and _has_dim(input, dim)):
        explain.softmax(input, dim, dtype)
    return _softmax(input if dtype is None else input.to(dtype), DimOptions(dim % max(input.dim(), 1)))


@fastest_first("log_softmax")
def log_softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """input - logsumexp(input) along dim of a floating-point tensor of any shape, or of any tensor cast to `dtype` first.

    IndexError for a dim that the tensor does not have, NotImplementedError for a dtype that is not a float. torch.log_softmax.
    """
    if not (isinstance(input, Tensor) and (dtype or input.dtype) in FLOATS and _has_dim(input, dim)):
        explain.log_softmax(input, dim, dtype)
    return _log_softmax(input if dtype is None else input.to(dtype), DimOptions(dim % max(input.dim(), 1)))


@fastest_first("logsumexp")
def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over one or several dims of any tensor (..., D), of size 1 if keepdim; integers become floats.

    IndexError for a dim that the tensor does not have, RuntimeError for one that is named twice. torch.logsumexp.
    """
    if not (isinstance(input, Tensor) and isinstance(dim, int) and _has_dim(input, dim)):
        explain.logsumexp(input, dim, keepdim)
    if input.is_complex():  # has no largest entry
        return torch.logsumexp(input, dim, keepdim)
    if not input.is_floating_point():
        input = input.to(torch.get_default_dtype())
    rank = input.dim()
    if isinstance(dim, int):
        y = _logsumexp(input, DimOptions(dim % max(rank, 1)))
        return y if keepdim or not rank else y.squeeze(dim)
    if not rank:
        return _logsumexp(input, DimOptions(0))
    dims = [d % rank for d in dim] or list(range(rank))  # no dims: all of them
    kept = [d for d in range(rank) if d not in dims]
    x = input.permute(kept + sorted(dims)).flatten(len(kept))  # the reduced dims last, as one
    y = _logsumexp(x, DimOptions(len(kept)))
    return y.reshape([1 if d in dims else n for d, n in enumerate(input.shape)]) if keepdim else y.squeeze(-1)


# ---- cross_entropy -----------------------------------------------------------------------------------------------------


def _fits(input: Tensor, shape: Sequence[int], target: Tensor, weight: Tensor | None, ignore_index: int) -> bool:
    """Whether target has a class or probabilities for each row of logits of this shape, and weight a number for each class."""
    if not (isinstance(target, Tensor) and target.device == input.device and type(ignore_index) is int):
        return False
    if probabilities := target.is_floating_point():
        fits = target.shape == shape and ignore_index < 0
    else:
        fits = target.dtype is torch.int64 and target.shape == (shape[:1] + shape[2:] if len(shape) > 1 else ())
    if weight is None:
        return fits
    return (
        fits
        and isinstance(weight, Tensor)
        and weight.shape == (shape[min(len(shape), 2) - 1],)
        and weight.device == input.device
        and (weight.dtype is input.dtype or probabilities and not weight.is_complex())
    )


@fastest_first("cross_entropy", look=warn_of_softmax, explain=explain.cross_entropy)
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
    reduction = reduction_name(size_average, reduce, reduction)
    if not (
        is_float(input)
        and input.dim()
        and reduction in REDUCTIONS
        and 0.0 <= label_smoothing <= 1.0
        and _fits(input, input.shape, target, weight, ignore_index)
    ):
        options = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
        explain.cross_entropy(input, target, weight, **options)
    shape, rank = input.shape, input.dim()
    input, target, weight = one_dtype(input, target, weight)
    options = LossOptions(REDUCTIONS.index(reduction), ignore_index, float(label_smoothing))

    # (N, C, S)
    x = input.unsqueeze(-1) if rank == 2 else input.flatten(2) if rank > 2 else input.reshape(1, *shape, 1)
    if rank == 2:
        rows = target.unsqueeze(-1)
    else:
        rows = target.reshape(x.shape if target.is_floating_point() else (x.shape[0], x.shape[2]))
    loss = _cross_entropy(x, rows, weight, options)
    if reduction != "none":
        return loss
    return loss.squeeze(-1) if rank == 2 else loss.reshape((shape[0], *shape[2:]) if rank > 2 else ())


def _own(input: Tensor, *args, **options) -> Tensor:
    """torch's operations on whole logits; refused on a GPU for what torch's function lacks: its steps for a few rows do."""
    lacking = options.keys() & {"z_loss", "softcap", "token_weight", "statistics"}
    if lacking and type(input) in (Tensor, torch.nn.Parameter) and input.is_cuda and backends.current() != backends.TORCH:
        raise ValueError("ours makes the logits of a few rows at a time")
    return LINEAR_CROSS_ENTROPY.torch(input, *args, **options)


@or_torch(_own, LINEAR_CROSS_ENTROPY, explain=explain.linear_cross_entropy)
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
    z_loss: float = 0.0,
    softcap: float | None = None,
    token_weight: Tensor | None = None,
    statistics: dict[str, Tensor] | None = None,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target) whose logits exist only for a few rows at a time.

    input (K,) or (N, K), linear_weight (C, K), linear_bias (C,), all of one floating dtype; target (), (N,) or probabilities
    (C,), (N, C); the other arguments as in cross_entropy. A linear_weight (C, d1, ..., K) gives logits (N, C, d1, ...), which
    are made as a whole. options: taken for torch's sake and without effect, for the rows are always cut into chunks.
    RuntimeError if shapes or options do not fit. torch.nn.functional.linear_cross_entropy.

    What torch's lacks, for a linear_weight (C, K): softcap caps the logits, softcap tanh(logits / softcap) (Gemma 2,
    https://arxiv.org/abs/2408.00118). z_loss adds z_loss logsumexp(logits)^2 to every row that counts (PaLM,
    https://arxiv.org/abs/2204.02311); class weights do not touch it. token_weight (N,) multiplies the rows, and the mean
    divides by its sum. statistics: a dict that receives entropy and logsumexp of every row's probabilities and its prediction,
    the class of the largest logit, (N,) each, without gradients. ValueError for a negative z_loss or a softcap that is not
    positive.
    """
    ignored = -100 if ignore_index is None else ignore_index
    plain = type(z_loss) is float and not z_loss and softcap is token_weight is statistics is None  # all that torch's has
    if not (
        _makes_logits(input, linear_weight, linear_bias)
        and reduction in REDUCTIONS
        and 0.0 <= label_smoothing <= 1.0
        and _fits(input, (*input.shape[:-1], linear_weight.shape[0]), target, weight, ignored)
        and (ignore_index is None or not target.is_floating_point())
        and (plain or _rows_fit(input, linear_weight, z_loss, softcap, token_weight, statistics))
    ):
        options = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
        options |= {"z_loss": z_loss, "softcap": softcap, "token_weight": token_weight, "statistics": statistics}
        explain.linear_cross_entropy(input, linear_weight, target, linear_bias, weight, **options)
    if linear_weight.dim() > 2:
        bias = None if linear_bias is None else linear_bias.flatten()
        logits = F.linear(input, linear_weight.flatten(0, -2), bias).reshape(input.shape[0], *linear_weight.shape[:-1])
        return cross_entropy(logits, target, weight, None, ignored, None, reduction, label_smoothing)
    loss_options = LossOptions(REDUCTIONS.index(reduction), ignored, float(label_smoothing))
    kept, target, weight = one_dtype(input, target, weight)
    if kept is not input:  # wider probabilities or class weights
        linear_weight = linear_weight.to(kept.dtype)
        linear_bias = None if linear_bias is None else linear_bias.to(kept.dtype)
    x = kept if input.dim() == 2 else kept.unsqueeze(0)  # (N, K)
    rows = target.reshape((x.shape[0], linear_weight.shape[0]) if target.is_floating_point() else x.shape[:1])
    if plain:
        loss = _linear_cross_entropy(x, linear_weight, linear_bias, rows, weight, loss_options)
    else:
        inputs = x, linear_weight, linear_bias, rows, weight
        token_weight = None if token_weight is None else token_weight.reshape(x.shape[:1])
        loss = token_loss(*inputs, loss_options, z_loss, softcap, token_weight, statistics)
        if not torch.is_autocast_enabled(x.device.type):
            loss = loss.to(x.dtype)
        if statistics is not None and input.dim() == 1:
            statistics.update((name, rows.squeeze(0)) for name, rows in [*statistics.items()])
    return loss.squeeze(0) if input.dim() == 1 and reduction == "none" else loss


def _makes_logits(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether these make the logits of a vector or of rows."""
    return (
        is_float(input)
        and is_float(weight)
        and same_dtype(input, weight)
        and weight.device == input.device
        and 1 <= input.dim() <= 2
        and weight.dim() == 2
        and input.shape[-1] == weight.shape[1]
        and (bias is None or is_float(bias) and same_dtype(input, bias) and bias.device == input.device)
        and (bias is None or bias.shape == weight.shape[:1])
    )


def _rows_fit(
    input: Tensor, linear_weight: Tensor, z_loss: float, softcap: float | None, token_weight: Tensor | None, statistics: object
) -> bool:
    """Whether the options that torch's lacks are possible for these rows."""
    return (
        linear_weight.dim() == 2
        and isinstance(z_loss, (int, float))
        and z_loss >= 0
        and (softcap is None or isinstance(softcap, (int, float)) and softcap > 0)
        and (token_weight is None or is_float(token_weight) and token_weight.shape == input.shape[:-1])
        and (token_weight is None or token_weight.device == input.device)
        and (statistics is None or type(statistics) is dict)
    )
