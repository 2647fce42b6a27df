"""Activations as layers: torch's options and names, our forward; the formulas are in scratchnet.nn.functional.activation."""

from __future__ import annotations

import torch.nn
from torch import Tensor

from scratchnet.functions.checks import check_tensor, fail
from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class GELU(Called, torch.nn.GELU):
    """x * Phi(x) elementwise, Phi the normal distribution function; approximate="tanh" takes the tanh formula for Phi.

    Hendrycks, Gimpel: Gaussian Error Linear Units, https://arxiv.org/abs/1606.08415.
    Dtypes and errors as in nn.functional.gelu.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)


class ReLU(Called, torch.nn.ReLU):
    """max(0, x) elementwise; inplace=True overwrites x. Dtypes and errors as in nn.functional.relu."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=self.inplace)


class LeakyReLU(Called, torch.nn.LeakyReLU):
    """x where x > 0, else negative_slope * x, elementwise; inplace=True overwrites x.

    Dtypes and errors as in nn.functional.leaky_relu.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class ELU(Called, torch.nn.ELU):
    """x where x > 0, else alpha * (exp(x) - 1), elementwise; inplace=True overwrites x.

    Clevert, Unterthiner, Hochreiter: https://arxiv.org/abs/1511.07289.
    Dtypes and errors as in nn.functional.elu.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class SiLU(Called, torch.nn.SiLU):
    """x * sigmoid(x) elementwise, also called swish; inplace=True overwrites x.

    Elfwing, Uchibe, Doya: https://arxiv.org/abs/1702.03118. Dtypes and errors as in nn.functional.silu.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, inplace=self.inplace)


class GLU(Called, torch.nn.GLU):
    """First half * sigmoid(second half) along dim: (..., 2 D) -> (..., D) for dim -1.

    Dauphin et al.: Language Modeling with Gated Convolutional Networks, https://arxiv.org/abs/1612.08083.
    Dtypes and errors as in nn.functional.glu.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)


class Sigmoid(Called, torch.nn.Sigmoid):
    """1 / (1 + exp(-x)) elementwise, from 0 to 1.

    Dtypes and errors as in nn.functional.sigmoid.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Called, torch.nn.Tanh):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)) elementwise, from -1 to 1.

    Dtypes and errors as in nn.functional.tanh.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Softplus(Called, torch.nn.Softplus):
    """log(1 + exp(beta x)) / beta elementwise, a smooth ReLU; x itself where beta x > threshold.

    Dtypes and errors as in nn.functional.softplus.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Softmax(Called, torch.nn.Softmax):
    """exp(x) / sum(exp(x)) along dim, in the shape of x: non-negative and summing to 1.

    Dtypes and errors as in nn.functional.softmax.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)


class Softmax2d(Called, torch.nn.Softmax2d):
    """Softmax over the channels of x (N, C, H, W) or (C, H, W), at each pixel; ValueError for another number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        check_tensor("Softmax2d", "input", input)
        if input.dim() not in (3, 4):
            fail(ValueError, "Softmax2d", "input", f"expected input to be 3D or 4D (got {input.dim()}D instead)")
        return F.softmax(input, -3)


class LogSoftmax(Called, torch.nn.LogSoftmax):
    """x - log(sum(exp(x))) along dim, in the shape of x: log(Softmax) without overflow.

    Dtypes and errors as in nn.functional.log_softmax.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmin(Called, torch.nn.Softmin):
    """Softmax of -x along dim, in the shape of x: the smallest number gets the largest share.

    Dtypes and errors as in nn.functional.softmin.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)
