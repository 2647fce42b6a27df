"""Functions under `torch.nn.functional`'s names: the primitives, and what needs no kernel of its own."""

from __future__ import annotations

import warnings
from typing import Callable

import torch
import torch.nn.functional
from torch import Tensor

from scratchnet.drop_in import missing
from scratchnet.functions.batch_norm import batch_norm
from scratchnet.functions.checks import check_device, check_float, check_tensor, fail, reduction_name
from scratchnet.functions.cross_entropy import cross_entropy, linear_cross_entropy
from scratchnet.functions.cross_entropy import log_softmax as _log_softmax
from scratchnet.functions.cross_entropy import softmax as _softmax
from scratchnet.functions.gather import embedding
from scratchnet.functions.gelu import bias_gelu, geglu, gelu
from scratchnet.functions.layer_norm import add_layer_norm, layer_norm, rms_norm
from scratchnet.functions.matmul import linear
from scratchnet.functions.pool2d import adaptive_avg_pool2d, avg_pool2d, max_pool2d

__all__ = [
    "adaptive_avg_pool2d",
    "add_layer_norm",
    "avg_pool2d",
    "batch_norm",
    "bias_gelu",
    "cross_entropy",
    "dropout",
    "embedding",
    "geglu",
    "gelu",
    "layer_norm",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "relu",
    "rms_norm",
    "softmax",
]


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim; `dtype` converts first; dim=None warns and picks as torch does."""
    return _softmax(input, _softmax_dim("softmax", input, dim, _stacklevel), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """x - log(sum(exp(x))) along dim; `dtype` converts first; dim=None warns and picks as torch does."""
    return _log_softmax(input, _softmax_dim("log_softmax", input, dim, _stacklevel), dtype=dtype)


def _softmax_dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    check_tensor(name, "input", input)
    picked = 0 if input.dim() in (0, 1, 3) else 1  # torch's old rule
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument "
        f"(now: dim={picked} of shape {tuple(input.shape)}; dim=-1 is the usual one).",
        stacklevel=stacklevel,
    )
    return picked


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x) elementwise, NaN kept; the gradient at 0 is 0."""
    return torch.relu_(input) if inplace else torch.relu(input)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p and divide the rest by 1 - p; the input itself when not training.

    One draw an element from torch's generator: on a CPU the mask is torch's for the same seed. ValueError unless 0 <= p <= 1.
    """
    check_probability("dropout", p)
    check_tensor("dropout", "input", input)
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        scale = input.new_zeros(())  # 0 * x, not zeros: NaN and infinity stay visible, as in torch
    else:
        check_float("dropout", "input", input)
        scale = torch.empty_like(input).bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scale) if inplace else input * scale


def check_probability(name: str, p: float) -> None:
    """ValueError unless p is a probability."""
    if not 0 <= p <= 1:
        fail(ValueError, name, "p", f"dropout probability has to be between 0 and 1, but got {p}")


_REDUCE: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda loss: loss, "mean": torch.mean, "sum": torch.sum}


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2, times `weight` if given; "mean" divides by the number of elements, or by the sum of the weights.

    Floating-point tensors of one shape; other shapes broadcast, with a warning because that is rarely meant. ValueError for an
    unknown reduction or a weight of another shape, NotImplementedError for two integer or for complex tensors.
    """
    reduction = reduction_name(size_average, reduce, reduction)
    if reduction not in _REDUCE:
        needs = "is not a valid value for reduction; use 'none', 'mean' or 'sum'"
        fail(ValueError, "mse_loss", "reduction", f"{reduction} {needs}")
    check_tensor("mse_loss", "input", input)
    check_tensor("mse_loss", "target", target)
    check_device("mse_loss", "target", target, "input", input)
    dtype = torch.promote_types(input.dtype, target.dtype)
    if not dtype.is_floating_point:
        kinds = f"got {input.dtype} and target {target.dtype}; convert one with .float()"
        fail(NotImplementedError, "mse_loss", "input", f"needs floating-point numbers, {kinds}")
    if input.shape != target.shape:
        _check_broadcast(input, target)
    if weight is not None and weight.shape != input.shape:
        shapes = f"got weight {tuple(weight.shape)} and input {tuple(input.shape)}"
        fail(ValueError, "mse_loss", "weight", f"Weights and input must have the same size, {shapes}")
    wide = torch.promote_types(dtype, torch.float32)  # 16-bit numbers are squared and summed in float32
    loss = (input.to(wide) - target.to(wide)).square()
    if weight is None:
        loss = _REDUCE[reduction](loss)
    else:
        loss = _REDUCE["sum" if reduction == "mean" else reduction](loss * weight)
        loss = loss / weight.to(wide).sum() if reduction == "mean" else loss
        dtype = torch.promote_types(dtype, weight.dtype)
    return loss if torch.is_autocast_enabled(input.device.type) else loss.to(dtype)  # autocast keeps losses in float32


def _check_broadcast(input: Tensor, target: Tensor) -> None:
    """Warn, in torch's words, of two shapes that broadcast; RuntimeError if they do not."""
    mend = ""
    if input.shape == (*target.shape, 1):
        mend = f" Likely mend: input.squeeze({target.dim()}) or target.unsqueeze({target.dim()})."
    elif target.shape == (*input.shape, 1):
        mend = f" Likely mend: target.squeeze({input.dim()}) or input.unsqueeze({input.dim()})."
    pairs = zip(reversed(input.shape), reversed(target.shape), strict=False)  # from the last axis backwards
    if any(a != b and a != 1 and b != 1 for a, b in pairs):
        shapes = f"target {tuple(target.shape)}, input {tuple(input.shape)}"
        fail(RuntimeError, "mse_loss", "target", f"must have the size of the input, got {shapes}.{mend}")
    warnings.warn(
        f"mse_loss(): Using a target size ({target.size()}) that is different to the input size ({input.size()}). "
        f"This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.{mend}",
        stacklevel=3,
    )


__getattr__ = missing(__name__, torch.nn.functional)
