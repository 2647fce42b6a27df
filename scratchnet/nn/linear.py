"""Linear: y = x W^T + b, and Identity: y = x.

Every layer that torch has too is a subclass of torch's: code that looks for a torch.nn.Linear finds ours. A constructor
written out here calls Module.__init__ in place of torch's own, which would create and draw the parameters once before.
"""

import math

import torch.nn
from torch import Tensor
from torch.nn import Module, Parameter, init

from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class Identity(Called, torch.nn.Identity):
    """y = x, any shape: stands in for a layer that is left out, and takes whatever arguments that layer had."""

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Called, torch.nn.Linear):
    """y = x W^T + b: x (..., in_features) -> y (..., out_features); weight (out_features, in_features), bias (out_features).

    RuntimeError if the last axis or the dtype of x does not match the weight.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None) -> None:
        Module.__init__(self)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.empty((out_features, in_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight, then bias, from U(-1/sqrt(in_features), 1/sqrt(in_features))."""
        # a = sqrt(5) turns He's bound sqrt(6 / ((1 + a^2) fan_in)) into 1 / sqrt(fan_in)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        own = self._parameters  # self.weight is found by Module.__getattr__, which takes as long as a small product
        if "weight" in own and "bias" in own:
            return F.linear(input, own["weight"], own["bias"])
        return F.linear(input, self.weight, self.bias)  # computed from other parameters, or pruned
