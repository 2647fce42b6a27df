"""Layers without a state of their own: an existing layer takes over their forward and keeps its parameters.

None has a backward pass. LayerNorm, RMSNorm, GELU, Embedding, CrossEntropyLoss and LinearCrossEntropyLoss stand for the
layers of torch.nn with these names; the annotations are what they expect of the layer that takes them over.
"""

from __future__ import annotations

from torch import Tensor, nn

from . import functions as F


class LayerNorm(nn.Module):
    has_backward: bool = False
    can_torch_compile: bool = True
    normalized_shape: tuple[int, ...]
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    has_backward: bool = False
    can_torch_compile: bool = True
    normalized_shape: tuple[int, ...]
    weight: Tensor | None
    eps: float | None

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


class AddLayerNorm(nn.Module):
    """A LayerNorm of a sum: (input + residual, its norm)."""

    has_backward: bool = False
    can_torch_compile: bool = True
    normalized_shape: tuple[int, ...]
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    def forward(self, input: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        return F.add_layer_norm(input, residual, self.normalized_shape, self.weight, self.bias, self.eps)


class GELU(nn.Module):
    has_backward: bool = False
    can_torch_compile: bool = True
    approximate: str

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)


class GEGLU(nn.Module):
    """First half * gelu(second half) of the last axis."""

    has_backward: bool = False
    can_torch_compile: bool = True

    def forward(self, input: Tensor) -> Tensor:
        return F.geglu(input)


class SwiGLU(nn.Module):
    """silu(first half) * second half of the last axis."""

    has_backward: bool = False
    can_torch_compile: bool = True

    def forward(self, input: Tensor) -> Tensor:
        return F.swiglu(input)


class CrossEntropyLoss(nn.Module):
    has_backward: bool = False
    can_torch_compile: bool = True
    weight: Tensor | None
    ignore_index: int
    reduction: str
    label_smoothing: float

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class LinearCrossEntropyLoss(nn.Module):
    """Of a layer whose logits have one axis of classes: out_features ()."""

    has_backward: bool = False
    can_torch_compile: bool = True
    linear: nn.Linear
    weight: Tensor | None
    ignore_index: int | None
    reduction: str
    label_smoothing: float

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.linear_cross_entropy(
            input,
            self.linear.weight,
            target,
            linear_bias=self.linear.bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class Embedding(nn.Module):
    has_backward: bool = False
    can_torch_compile: bool = True
    weight: Tensor
    max_norm: float | None
    norm_type: float

    def forward(self, input: Tensor) -> Tensor:
        if self.max_norm is not None:  # torch's own shrinks the rows first
            return nn.functional.embedding(input, self.weight, None, self.max_norm, self.norm_type)
        return F.embedding(input, self.weight)
