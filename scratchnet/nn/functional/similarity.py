"""Losses between vectors: which should be close, and which apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pairwise_distance

from scratchnet.functions.checks import check_device, check_tensor, fail
from scratchnet.nn.functional.reduction import broadcast_to, checked_reduction, fail_to_broadcast, reduced, widened


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1, cos the cosine between the rows of the two inputs.

    input1 and input2 (N, D) with target (N,), or (D,) with target (); the loss is (N,) or (). Other targets give a loss of 0.
    ValueError for an unknown reduction, RuntimeError for shapes that do not fit. torch.nn.functional.cosine_embedding_loss.
    """
    name = "cosine_embedding_loss"
    reduction = checked_reduction(name, size_average, reduce, reduction)
    _check_tensors(name, input1=input1, input2=input2, target=target)
    sizes = f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}"
    rank = target.dim()
    if rank > 1:
        problem = "0D or 1D target tensor expected, multi-target not supported"
        fail(RuntimeError, name, "target", f"{problem}, got {tuple(target.shape)}: one 1 or -1 for each pair of rows")
    if input1.dim() != rank + 1 or input2.dim() != rank + 1:
        problem = f"{rank}D target tensor expects {rank + 1}D input tensors, but found {sizes}"
        fail(RuntimeError, name, "target", f"{problem}: inputs are (N, D) with target (N,), or (D,) with target ()")
    shape = broadcast_to(input1.shape, input2.shape)
    if shape is None:
        fail_to_broadcast(name, "input2", input2, "input1", input1)
    if broadcast_to(shape[:-1], target.shape) is None:
        problem = f"The size of target must match the number of rows, got {tuple(target.shape)}"
        fail(RuntimeError, name, "target", f"{problem} and {sizes}")
    dtype, (a, b) = widened(input1, input2)
    square = (a * a).sum(-1) + _EPS, (b * b).sum(-1) + _EPS
    cos = (a * b).sum(-1) / (square[0] * square[1]).sqrt()
    apart = torch.where(target == -1, (cos - margin).clamp(min=0), 0)
    loss = torch.where(target == 1, 1 - cos, apart)
    return reduced(loss, reduction, dtype if dtype.is_floating_point else loss.dtype)


_EPS = 1e-12  # torch's, added to both squares: a vector of zeros has cosine 0 with every vector


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|): the negative has to be farther away, by the margin.

    Tensors (N, D) or (D,), or shapes that broadcast; the loss is (N,) or (). Distances are p-norms of the difference plus eps.
    swap: |positive - negative| counts instead where it is smaller. ValueError for margin <= 0 or an unknown reduction,
    RuntimeError for shapes that do not fit. Balntas et al., http://www.bmva.org/bmvc/2016/papers/paper119;
    torch.nn.functional.triplet_margin_loss.
    """
    name = "triplet_margin_loss"
    reduction = checked_reduction(name, size_average, reduce, reduction)
    if margin <= 0:
        fail(ValueError, name, "margin", f"margin must be greater than 0, got {margin}")
    _check_tensors(name, anchor=anchor, positive=positive, negative=negative)
    ranks = anchor.dim(), positive.dim(), negative.dim()
    if len(set(ranks)) > 1:
        problem = "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
        fail(RuntimeError, name, "anchor", problem + "anchor {}D, positive {}D, and negative {}D inputs".format(*ranks))
    for argument, value in (("positive", positive), ("negative", negative)):
        if broadcast_to(value.shape, anchor.shape) is None:
            fail_to_broadcast(name, argument, value, "anchor", anchor)
    dtype, (a, near, far) = widened(anchor, positive, negative)
    distance = pairwise_distance(a, far, p, eps)
    if swap:
        distance = torch.minimum(distance, pairwise_distance(near, far, p, eps))
    loss = (margin + pairwise_distance(a, near, p, eps) - distance).clamp(min=0)
    return reduced(loss, reduction, dtype if dtype.is_floating_point else loss.dtype)


def _check_tensors(name: str, **tensors: Tensor) -> None:
    """TypeError unless all are tensors, RuntimeError unless all are on the device of the first."""
    (first, start), *rest = tensors.items()
    check_tensor(name, first, start)
    for argument, value in rest:
        check_tensor(name, argument, value)
        check_device(name, argument, value, first, start)
