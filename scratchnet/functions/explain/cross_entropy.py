"""Why a call of softmax, log_softmax, logsumexp, cross_entropy or linear_cross_entropy is wrong."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import (
    FLOATS,
    check_device,
    check_dtypes,
    check_float,
    check_shape,
    check_tensor,
    fail,
    scalar_name,
)
from scratchnet.functions.explain.class_targets import check_class_weight, check_classes, check_one_dtype, check_target
from scratchnet.ops import REDUCTIONS


def softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> None:
    _check_normalize("softmax", input, dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> None:
    _check_normalize("log_softmax", input, dim, dtype)


def _check_normalize(name: str, input: Tensor, dim: int, dtype: torch.dtype | None) -> None:
    check_tensor(name, "input", input)
    if dtype is not None and not isinstance(dtype, torch.dtype):
        fail(TypeError, name, "dtype", f"must be torch.dtype, not {type(dtype).__name__}")
    computed = dtype or input.dtype
    if computed not in FLOATS:
        problem = f"\"{name}\" not implemented for '{scalar_name(computed)}'"
        argument, fix = "input" if dtype is None else "dtype", "give floating-point numbers or dtype=torch.float32"
        fail(NotImplementedError, name, argument, f"{problem}: {fix}")
    _check_dim(name, input, dim)


def _check_dim(name: str, x: Tensor, dim: int) -> None:
    if not isinstance(dim, int):
        fail(TypeError, name, "dim", f"must be int, not {type(dim).__name__}")
    rank = max(x.dim(), 1)
    if not -rank <= dim < rank:
        valid = f"[{-rank}, {rank - 1}]"
        fail(IndexError, name, "dim", f"Dimension out of range (expected to be in range of {valid}, but got {dim})")


def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> None:
    check_tensor("logsumexp", "input", input)
    if isinstance(dim, (tuple, list)):
        for d in dim:
            _check_dim("logsumexp", input, d)
        dims = sorted(d % max(input.dim(), 1) for d in dim)
        for d in set(dims):
            if dims.count(d) > 1:
                fail(RuntimeError, "logsumexp", "dim", f"dim {d} appears multiple times in the list of dims")
    elif isinstance(dim, int):
        _check_dim("logsumexp", input, dim)
    else:
        fail(TypeError, "logsumexp", "dim", f"must be int or tuple of ints, not {type(dim).__name__}")


def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None, **options: Any) -> None:
    name = "cross_entropy"
    check_float(name, "input", input)
    _check_reduction(name, options)
    if not input.dim():
        fail(IndexError, name, "input", "Dimension specified as 1 but tensor has no dimensions, needs (C,) or (N, C)")
    _check_target(name, input, input.shape, target, weight, options)


def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, linear_bias: Tensor | None, weight: Tensor | None, **options: Any
) -> None:
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
    if options["ignore_index"] is None:
        options["ignore_index"] = -100
    elif target.shape == shape:
        fail(RuntimeError, name, "ignore_index", "ignore_index cannot be specified when target contains probabilities")
    _check_reduction(name, options)
    _check_target(name, input, shape, target, weight, options)
    _check_row_options(name, input, linear_weight, options)


def _check_row_options(name: str, input: Tensor, linear_weight: Tensor, options: dict[str, Any]) -> None:
    """What linear_cross_entropy has and torch's lacks."""
    z_loss, softcap, token_weight, statistics = (options[n] for n in ("z_loss", "softcap", "token_weight", "statistics"))
    if not isinstance(z_loss, (int, float)):
        fail(TypeError, name, "z_loss", f"must be a number, not {type(z_loss).__name__}: 0.0 adds nothing")
    if not z_loss >= 0:
        fail(ValueError, name, "z_loss", f"must not be negative, got {z_loss}: PaLM's is 1e-4")
    if softcap is not None and not isinstance(softcap, (int, float)):
        fail(TypeError, name, "softcap", f"must be a number or None, not {type(softcap).__name__}")
    if softcap is not None and not softcap > 0:
        fail(ValueError, name, "softcap", f"must be positive, got {softcap}: leave it out (None) for logits as they are")
    if token_weight is not None:
        check_float(name, "token_weight", token_weight)
        check_device(name, "token_weight", token_weight, "input", input)
        check_shape(name, "token_weight", token_weight, input.shape[:-1], "a number for each row of input")
    if statistics is not None and type(statistics) is not dict:
        fail(TypeError, name, "statistics", f"must be a dict that receives them, not {type(statistics).__name__}: pass {{}}")
    if linear_weight.dim() > 2 and (z_loss or softcap is not None or token_weight is not None or statistics is not None):
        problem = f"z_loss, softcap, token_weight and statistics need a linear_weight (C, K), got {tuple(linear_weight.shape)}"
        fail(RuntimeError, name, "linear_weight", f"{problem}: flatten the positions into rows")


def _check_reduction(name: str, options: dict[str, Any]) -> None:
    reduction, deprecated = options["reduction"], (options.get("size_average"), options.get("reduce"))
    if reduction not in REDUCTIONS and deprecated == (None, None):
        fail(ValueError, name, "reduction", f"{reduction} is not a valid value for reduction: choose {', '.join(REDUCTIONS)}")


def _check_target(
    name: str, input: Tensor, shape: Sequence[int], target: Tensor, weight: Tensor | None, options: dict[str, Any]
) -> None:
    """The targets of logits of this shape, and the options that say how they count."""
    ignore_index, smoothing, classes = options["ignore_index"], options["label_smoothing"], shape[min(len(shape), 2) - 1]
    probabilities = check_target(name, input, shape, target, ignore_index)
    if weight is not None:
        check_class_weight(name, input, classes, weight)
    if isinstance(ignore_index, bool) or not hasattr(ignore_index, "__index__"):
        fail(TypeError, name, "ignore_index", f"must be int, not {type(ignore_index).__name__}")
    if not 0.0 <= smoothing <= 1.0:
        fail(RuntimeError, name, "label_smoothing", f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing}")
    check_one_dtype(name, input, target, weight)
    if weight is not None and weight.is_complex():
        problem = f"\"{name}\" not implemented for '{scalar_name(weight.dtype)}'"
        fail(NotImplementedError, name, "weight", f"{problem}: class weights are real numbers")
    if not probabilities:
        check_classes(name, target, classes, ignore_index)
