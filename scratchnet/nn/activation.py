"""Activations as layers; the formulas are in scratchnet.nn.functional.activation."""

from __future__ import annotations

from torch import Tensor
from torch.nn import Module

from scratchnet.nn import functional as F
from scratchnet.nn.called import Called


class GELU(Called, Module):
    """x * Phi(x) elementwise, Phi the normal distribution function; approximate="tanh" takes the tanh formula for Phi.

    Hendrycks, Gimpel: Gaussian Error Linear Units, https://arxiv.org/abs/1606.08415.
    Dtypes and errors as in nn.functional.gelu. Concept 55: GELU.
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class ReLU(Called, Module):
    """max(0, x) elementwise; inplace=True overwrites x. Dtypes and errors as in nn.functional.relu. Concept 53: ReLU."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Called, Module):
    """x where x > 0, else negative_slope * x, elementwise; inplace=True overwrites x.

    Dtypes and errors as in nn.functional.leaky_relu. Concept 54: dying ReLU.
    """

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{', inplace=True' if self.inplace else ''}"


class ELU(Called, Module):
    """x where x > 0, else alpha * (exp(x) - 1), elementwise; inplace=True overwrites x.

    Clevert, Unterthiner, Hochreiter: https://arxiv.org/abs/1511.07289.
    Dtypes and errors as in nn.functional.elu. Concept 54: dying ReLU.
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{', inplace=True' if self.inplace else ''}"


class SiLU(Called, Module):
    """x * sigmoid(x) elementwise, also called swish; inplace=True overwrites x.

    Elfwing, Uchibe, Doya: https://arxiv.org/abs/1702.03118. Dtypes and errors as in nn.functional.silu. Concept 55: GELU.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Sigmoid(Called, Module):
    """1 / (1 + exp(-x)) elementwise, from 0 to 1.

    Dtypes and errors as in nn.functional.sigmoid. Concept 56: sigmoid and tanh.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Called, Module):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)) elementwise, from -1 to 1.

    Dtypes and errors as in nn.functional.tanh. Concept 56: sigmoid and tanh.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Softplus(Called, Module):
    """log(1 + exp(beta x)) / beta elementwise, a smooth ReLU; x itself where beta x > threshold.

    Dtypes and errors as in nn.functional.softplus. Concept 53: ReLU.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Called, Module):
    """exp(x) / sum(exp(x)) along dim, in the shape of x: non-negative and summing to 1.

    Dtypes and errors as in nn.functional.softmax. Concept 57: softmax.
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Called, Module):
    """x - log(sum(exp(x))) along dim, in the shape of x: log(Softmax) without overflow.

    Dtypes and errors as in nn.functional.log_softmax. Concept 60: cross-entropy.
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(Called, Module):
    """Softmax of -x along dim, in the shape of x: the smallest number gets most.

    Dtypes and errors as in nn.functional.softmin. Concept 57: softmax.
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
