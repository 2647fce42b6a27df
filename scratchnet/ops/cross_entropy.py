"""The description of cross_entropy, the softmax family, and linear + cross_entropy."""

from __future__ import annotations

from typing import Callable, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scratchnet.ops.op import (
    REDUCTIONS,
    Cost,
    DimOptions,
    Example,
    Op,
    constant,
    nbytes,
    normal,
    one_row,
    rows_cost,
)


class LossOptions(NamedTuple):
    """reduction: an index into REDUCTIONS; rows of the class ignore_index do not count."""

    reduction: int
    ignore_index: int
    label_smoothing: float


IDEAS = {
    "cpp": (
        "naive loop",
        "max and sum in one pass",
        "SIMD exp",
        "threads",
        "softmax in registers",
        "losses in registers",
        "strips of rows",
        "losses of strips",
    ),
    "cuda": (
        "one thread per row",
        "one block per row, shuffles",
        "max and sum in one pass",
        "softmax: strips of rows",
        "softmax: 128-bit loads",
        "cross-entropy likewise",
    ),
    "triton": ("softmax: tiles of rows, in registers if they fit",),
}


def _cross_entropy_example(**options) -> Example:
    def example(n: int, c: int, dtype: torch.dtype):
        kwargs = dict(options)
        shape = (n, c, *kwargs.pop("positions", ()))
        if kwargs.pop("probabilities", False):
            target = torch.rand(shape, dtype=torch.float64).softmax(1).to(dtype)
        else:
            target = torch.randint(max(c, 1), (n, *shape[2:]))
        if kwargs.get("weight"):
            kwargs["weight"] = constant(c, dtype=dtype)
        return (normal(*shape, dtype=dtype), target), kwargs

    return example


def _cross_entropy_variant(input, target, weight=None, *args, label_smoothing=0.0, **kwargs) -> str:
    if input.dim() > 2:
        return "positions"
    if target.is_floating_point():
        return "probabilities"
    return "classes" if weight is None and not label_smoothing else "weighted classes"


CROSS_ENTROPY = Op(
    name="cross_entropy",
    primitive="cross_entropy",
    idea="logsumexp(x) - x[target] in one pass over the logits; backward reads them once more and writes the gradient",
    inputs=("x", "target", "weight?"),  # (N, C, S); (N, S) int64 or (N, C, S) probabilities; (C)
    options=LossOptions,
    outputs=("loss",),  # (N, S) or ()
    kept=("lse", "total_weight"),  # (N, S); () the divisor of the mean; float32 or wider
    saved=("x", "target", "weight", "lse", "total_weight"),
    gradients=("x",),
    ideas=IDEAS
    | {
        "triton": (
            "naive: one row per program, a loop for max, one for sum",
            "online: max and sum in one loop, backward from the saved lse",
            "tiles: several rows in one program",
        )
    },
    torch=F.cross_entropy,
    variant=_cross_entropy_variant,
    cost=rows_cost(1, 2, 4),
    # x for the maximum and for the sum, backward once more, and dx; "online" both sums are one pass; from rung 3 on a row is
    # read once in backward too
    passes={"cpp:1": rows_cost(2, 4, 4), "cpp:2": rows_cost(1, 3, 4), "cpp:3": rows_cost(1, 2, 4)},
    examples={
        "mean": _cross_entropy_example(),
        "sum": _cross_entropy_example(reduction="sum"),
        "none": _cross_entropy_example(reduction="none"),
        "weight+smoothing": _cross_entropy_example(weight=True, label_smoothing=0.1),
        "ignore_index": _cross_entropy_example(ignore_index=0),
        "probabilities": _cross_entropy_example(probabilities=True, label_smoothing=0.1),
        "positions": _cross_entropy_example(positions=(3, 2), weight=True, label_smoothing=0.1),
    },
    sizes=((2048, 32000), (8192, 1000)),
)


def _softmax_variant(input, dim, dtype=None) -> str:
    return "another dim" if dim not in (-1, input.dim() - 1) else "one row" if one_row(input) else "last dim"


def _softmax_op(name: str, own: Callable, idea: str) -> Op:
    return Op(
        name=name,
        primitive="cross_entropy",
        idea=idea,
        inputs=("x",),
        options=DimOptions,
        outputs=("y",),
        saved=("y",),
        gradients=("x",),
        ideas=IDEAS,
        torch=own,
        variant=_softmax_variant,
        forward_only={"one row": lambda n, c, dtype: ((normal(1, n * c, dtype=dtype), -1), {})},
        cost=rows_cost(2, 3, 4),
        examples={
            "last dim": lambda n, c, dtype: ((normal(n, c, dtype=dtype), -1), {}),
            "dim 0": lambda n, c, dtype: ((normal(n, c, dtype=dtype), 0), {}),
            "middle dim": lambda n, c, dtype: ((normal(2, n, c, dtype=dtype), 1), {}),
        },
        sizes=((8192, 1000), (512, 32000)),
    )


SOFTMAX = _softmax_op("softmax", torch.softmax, "exp(x - max) / sum, the row kept in cache between its two passes")
LOG_SOFTMAX = _softmax_op("log_softmax", torch.log_softmax, "x - logsumexp(x), the row in cache between its two passes")
LOGSUMEXP = Op(
    name="logsumexp",
    primitive="cross_entropy",
    idea="max + log(sum(exp(x - max))) in one pass",
    inputs=("x",),
    options=DimOptions,
    outputs=("y",),  # dim is kept with size 1
    saved=("x", "y"),
    gradients=("x",),
    ideas=IDEAS,
    torch=torch.logsumexp,
    cost=rows_cost(1, 2, 4),
    examples={
        "last dim": lambda n, c, dtype: ((normal(n, c, dtype=dtype), -1), {}),
        "two dims": lambda n, c, dtype: ((normal(2, n, c, dtype=dtype), (0, 2)), {"keepdim": True}),
    },
    sizes=((8192, 1000),),
)


def _linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias=None, ignore_index=None, options=None,
    reduction="mean", z_loss=0.0, softcap=None, token_weight=None, statistics=None, **kwargs,
) -> Tensor:  # fmt: skip
    """In torch's own operations, with all logits in memory; ValueError for an option that ours explains."""
    if z_loss < 0 or softcap is not None and softcap <= 0:
        raise ValueError("z_loss or softcap")
    if token_weight is not None and not (token_weight.is_floating_point() and token_weight.shape == input.shape[:-1]):
        raise ValueError("token_weight")
    if reduction not in REDUCTIONS:
        raise ValueError("reduction")
    if ignore_index is not None:
        kwargs["ignore_index"] = ignore_index
    logits = F.linear(input, linear_weight, linear_bias)
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    if statistics is not None:
        wide = logits.detach().to(torch.promote_types(logits.dtype, torch.float32))
        seen = torch.special.entr(wide.softmax(-1)).sum(-1), wide.logsumexp(-1), wide.argmax(-1)
        statistics.update(zip(("entropy", "logsumexp", "prediction"), seen, strict=True))
    if not z_loss and token_weight is None:
        return F.cross_entropy(logits, target, reduction=reduction, **kwargs)
    if target.shape not in (input.shape[:-1], logits.shape):  # (1,) is taken for the target () of a single row
        raise ValueError(f"size mismatch: {tuple(target.shape)}")
    rows = F.cross_entropy(logits, target, reduction="none", **kwargs)
    classes = not target.is_floating_point()
    target = target.long() if classes else target  # of uint8 a comparison with -100 is one with 156
    counts = target != kwargs.get("ignore_index", -100) if classes else torch.ones_like(rows, dtype=torch.bool)
    share = torch.where(counts, 1.0 if token_weight is None else token_weight, 0.0).to(rows.dtype)
    squares = torch.where(counts, share * logits.logsumexp(-1).square(), 0.0)
    if reduction == "none":
        return share * rows + z_loss * squares
    if reduction == "sum":
        return (share * rows).sum() + z_loss * squares.sum()
    weight = kwargs.get("weight")
    own = share if weight is None or not classes else share * weight[target.where(counts, 0)]
    return (share * rows).sum() / own.sum() + z_loss * squares.sum() / share.sum()


def _linear_cross_entropy_example(**options) -> Example:
    def example(n: int, k: int, dtype: torch.dtype):
        classes = 4 * k + 3  # odd, as vocabularies are
        kwargs = dict(options)
        if kwargs.get("linear_bias"):
            kwargs["linear_bias"] = normal(classes, dtype=dtype)
        scale = max(k, 1) ** -0.5
        w = (torch.randn(classes, k, dtype=torch.float64) * scale).to(dtype).requires_grad_()
        return (normal(n, k, dtype=dtype), w, torch.randint(classes, (n,))), kwargs

    return example


def _linear_cross_entropy_cost(x: Tensor, linear_weight: Tensor, target: Tensor, **options) -> Cost:
    moved, flops = nbytes(x, linear_weight), 2 * x.shape[0] * linear_weight.numel()
    return Cost(moved, 2 * moved, flops, 2 * flops)  # three products of one size


LINEAR_CROSS_ENTROPY = Op(
    name="linear_cross_entropy",
    primitive="cross_entropy",
    idea="cross_entropy(x W^T + b, target) in chunks of rows, each made once: the whole logits never exist",
    inputs=("x", "linear_weight", "linear_bias?", "target", "weight?"),  # (N, K), (C, K), (C), (N) or (N, C), (C)
    options=LossOptions,
    outputs=("loss",),  # (N) or ()
    kept=("lse", "total_weight"),  # (N), ()
    saved=("x", "linear_weight", "linear_bias", "target", "weight", "lse", "total_weight"),
    gradients=("x", "linear_weight", "linear_bias"),
    at_once=True,
    ideas=IDEAS | {"triton": ("fused_linear: tiles of logits in registers, their gradient in chunks of classes",)},
    torch=_linear_cross_entropy,
    cost=_linear_cross_entropy_cost,
    products=_linear_cross_entropy_cost,
    examples={
        "mean": _linear_cross_entropy_example(),
        "bias, none": _linear_cross_entropy_example(linear_bias=True, reduction="none"),
        "smoothing, sum": _linear_cross_entropy_example(label_smoothing=0.1, reduction="sum"),
    },
    sizes=((512, 768),),
)
