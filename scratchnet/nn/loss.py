"""CrossEntropyLoss and MSELoss."""

from __future__ import annotations

from torch import Tensor
from torch.nn import Module

from scratchnet.functions.checks import reduction_name
from scratchnet.nn import functional as F


class CrossEntropyLoss(Module):
    """-log softmax(x)[target] for logits x (N, C, ...); target (N, ...) classes or (N, C, ...) probabilities.

    `weight` (C) rescales the classes, targets equal to `ignore_index` do not count, `label_smoothing` moves that share of
    every target to the uniform distribution; reduction "mean", "sum" or "none".
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.reduction = reduction_name(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MSELoss(Module):
    """(input - target)^2 for two tensors of one shape; reduction "mean", "sum" or "none"."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction_name(size_average, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)
