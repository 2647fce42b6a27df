"""LayerNorm and RMSNorm: normalise each row by its own statistics, then scale and shift."""

from __future__ import annotations

import numbers
from typing import Sequence

import torch.nn
from torch import Tensor
from torch.nn import Module, Parameter, init

from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, numbers.Integral) else tuple(normalized_shape)


class LayerNorm(Called, torch.nn.LayerNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last axes of x (..., *normalized_shape); var is the biased one.

    Ba, Kiros, Hinton: Layer Normalization, https://arxiv.org/abs/1607.06450.
    Dtypes and errors as in nn.functional.layer_norm.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine

        def parameter(wanted: bool) -> Parameter | None:
            return Parameter(torch.empty(self.normalized_shape, device=device, dtype=dtype)) if wanted else None

        self.register_parameter("weight", parameter(elementwise_affine))
        self.register_parameter("bias", parameter(elementwise_affine and bias))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as the plain normalisation: weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        own = self._parameters  # quicker than self.weight: see Linear
        if "weight" in own and "bias" in own:
            return F.layer_norm(input, self.normalized_shape, own["weight"], own["bias"], self.eps)
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(Called, torch.nn.RMSNorm):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axes of x (..., *normalized_shape).

    eps=None is the machine epsilon of x's dtype, or of float32 for 16-bit dtypes.
    Zhang, Sennrich: Root Mean Square Layer Normalization, https://arxiv.org/abs/1910.07467.
    Dtypes and errors as in nn.functional.rms_norm.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        Module.__init__(self)
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(torch.empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as the plain normalisation: weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        own = self._parameters  # quicker than self.weight: see Linear
        return F.rms_norm(x, self.normalized_shape, own["weight"] if "weight" in own else self.weight, self.eps)
