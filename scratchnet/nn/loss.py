"""The losses, as layers that remember their options; the formulas are in scratchnet.nn.functional."""

from __future__ import annotations

import math

import torch.nn
from torch import Tensor
from torch.nn.modules.loss import _WeightedLoss

from scratchnet.functions.checks import fail
from scratchnet.functions.class_targets import warn_of_probabilities
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called
from scratchnet.nn.linear import Linear
from scratchnet.torch_private import transforming


class MSELoss(Called, torch.nn.MSELoss):
    """(input - target)^2 for two tensors of one shape; reduction "mean", "sum" or "none".

    Dtypes and errors as in nn.functional.mse_loss.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Called, torch.nn.L1Loss):
    """|input - target| for two tensors of one shape; reduction "mean", "sum" or "none".

    Dtypes and errors as in nn.functional.l1_loss.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Called, torch.nn.SmoothL1Loss):
    """e^2 / (2 beta) where |e| < beta, else |e| - beta / 2, with e = input - target of one shape.

    Girshick: Fast R-CNN, https://arxiv.org/abs/1504.08083.
    Dtypes and errors as in nn.functional.smooth_l1_loss.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Called, torch.nn.HuberLoss):
    """e^2 / 2 where |e| < delta, else delta (|e| - delta / 2), with e = input - target of one shape.

    TypeError for a delta that is not a number. Huber: Robust Estimation of a Location Parameter, 1964.
    Dtypes and errors as in nn.functional.huber_loss.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        if not isinstance(delta, (float, int)):
            fail(TypeError, "HuberLoss", "delta", f"delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction, delta)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class CrossEntropyLoss(Called, torch.nn.CrossEntropyLoss):
    """-log softmax(x)[target], in nats, for logits x (N, C, ...); target (N, ...) classes or (N, C, ...) probabilities.

    `weight` (C) rescales the classes, targets equal to `ignore_index` do not count, `label_smoothing` moves that share of
    every target to the uniform distribution; reduction "mean", "sum" or "none". A TeachingWarning if the first x it sees
    holds probabilities already. Dtypes and errors as in nn.functional.cross_entropy.
    """

    _looked = False  # at the input: once is enough, because a softmax before this layer is there from the first call on

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        if not torch.compiler.is_compiling() and not self._looked and type(input) is Tensor and not transforming():
            self._looked = True
            warn_of_probabilities("CrossEntropyLoss", input)
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class LinearCrossEntropyLoss(Called, getattr(torch.nn, "LinearCrossEntropyLoss", _WeightedLoss)):  # newer than our oldest torch
    """CrossEntropyLoss of a linear layer's logits, which exist only for a few rows at a time: a language model's last layer.

    input (N, in_features), target (N,) classes or (N, num_classes) probabilities; the layer, `linear`, has no bias by default.
    out_features (d1, ...) gives logits (N, num_classes, d1, ...). options: torch's, accepted but without effect, because rows
    are always cut into chunks. RuntimeError for a weight or a label_smoothing that does not fit. What torch's layer lacks is
    set afterwards, `layer.z_loss = 1e-4` and `layer.softcap = 30.0`: see nn.functional.linear_cross_entropy.
    Dtypes and errors as in nn.functional.linear_cross_entropy.
    """

    z_loss, softcap = 0.0, None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device=None,
        dtype=None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: object | None = None,
    ) -> None:
        if weight is not None and weight.shape != (num_classes,):
            problem = f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}"
            fail(RuntimeError, "LinearCrossEntropyLoss", "weight", problem)
        if not 0 <= label_smoothing <= 1:
            problem = f"expected label_smoothing to be in range [0, 1], got {label_smoothing}"
            fail(RuntimeError, "LinearCrossEntropyLoss", "label_smoothing", problem)
        _WeightedLoss.__init__(self, weight, reduction=reduction)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias=bias, device=device, dtype=dtype)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, self.linear.in_features),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
            z_loss=self.z_loss,
            softcap=self.softcap,
        )

    def extra_repr(self) -> str:
        ours = f", z_loss={self.z_loss}" * bool(self.z_loss) + f", softcap={self.softcap}" * (self.softcap is not None)
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}{ours}"
        )


class NLLLoss(Called, torch.nn.NLLLoss):
    """-x[target] for log-probabilities x (N, C, ...) and target (N, ...) classes: what follows LogSoftmax.

    `weight` (C) rescales the classes, targets equal to `ignore_index` do not count; reduction "mean", "sum" or "none".
    Dtypes and errors as in nn.functional.nll_loss.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(Called, torch.nn.BCELoss):
    """-(target log(input) + (1 - target) log(1 - input)) for probabilities of one shape, what follows Sigmoid.

    `weight` broadcasts to that shape; reduction "mean", "sum" or "none".
    Dtypes and errors as in nn.functional.binary_cross_entropy.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Called, torch.nn.BCEWithLogitsLoss):
    """BCELoss of sigmoid(input), for any logit: (1 - target) input - log sigmoid(input).

    `pos_weight` multiplies the loss of the positive class, `weight` the whole; both broadcast to input's shape. Reduction
    "mean", "sum" or "none".
    Dtypes and errors as in nn.functional.binary_cross_entropy_with_logits.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        options = {"reduction": self.reduction, "pos_weight": self.pos_weight}
        return F.binary_cross_entropy_with_logits(input, target, self.weight, **options)


class KLDivLoss(Called, torch.nn.KLDivLoss):
    """target (log(target) - input) for log-probabilities `input` and probabilities `target` (N, C).

    log_target: target holds logarithms too. Reduction "batchmean" is the mathematical mean, over the rows; "mean" divides by
    all elements and warns. Dtypes and errors as in nn.functional.kl_div.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class CosineEmbeddingLoss(Called, torch.nn.CosineEmbeddingLoss):
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1; inputs (N, D), target (N,).

    Reduction "mean", "sum" or "none". Dtypes and errors as in nn.functional.cosine_embedding_loss.
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(Called, torch.nn.TripletMarginLoss):
    """max(0, margin + |anchor - positive| - |anchor - negative|) with p-norms, for three tensors (N, D).

    swap: |positive - negative| counts instead where it is smaller. ValueError for margin <= 0.
    Balntas et al.: http://www.bmva.org/bmvc/2016/papers/paper119.
    Dtypes and errors as in nn.functional.triplet_margin_loss.
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        if margin <= 0:
            fail(ValueError, "TripletMarginLoss", "margin", f"expected margin to be greater than 0, got {margin} instead")
        super().__init__(margin, p, eps, swap, size_average, reduce, reduction)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        options = {"margin": self.margin, "p": self.p, "eps": self.eps, "swap": self.swap, "reduction": self.reduction}
        return F.triplet_margin_loss(anchor, positive, negative, **options)
