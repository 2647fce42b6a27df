"""How good predictions are, as one number: each metric takes a model's outputs and the targets of a whole data set."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import fail
from scratchnet.functions.cross_entropy import cross_entropy


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The fraction of rows whose largest output is the target: outputs (N, C, ...), targets (N, ...) int64 in [0, C)."""
    return (outputs.argmax(1) == targets).double().mean().item()


def nats(outputs: Tensor, targets: Tensor) -> float:
    """The mean cross-entropy, in nats per target: outputs (N, C, ...) logits, targets (N, ...) int64 in [0, C)."""
    return cross_entropy(outputs, targets).item()


def mse(outputs: Tensor, targets: Tensor) -> float:
    """The mean squared error of outputs and targets in squared units of the target; ValueError for different shapes."""
    return _errors("mse", outputs, targets).square().mean().item()


def mae(outputs: Tensor, targets: Tensor) -> float:
    """The mean absolute error of outputs and targets in units of the target; ValueError for different shapes."""
    return _errors("mae", outputs, targets).abs().mean().item()


def r2(outputs: Tensor, targets: Tensor) -> float:
    """1 - squared error / variance of the targets: 1 is perfect, 0 no better than their mean, NaN for constant targets.

    ValueError for outputs of another shape.
    """
    errors = _errors("r2", outputs, targets)
    around_mean = (targets.double() - targets.double().mean(0)).square().sum().item()
    return 1 - errors.square().sum().item() / around_mean if around_mean else float("nan")


def _errors(function: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """The difference in float64; ValueError instead of the (N, N) that (N, 1) - (N) would broadcast to."""
    if outputs.shape != targets.shape:
        shapes = f"needs the shape of the targets {tuple(targets.shape)}, got {tuple(outputs.shape)}"
        fail(ValueError, function, "outputs", f"{shapes}; outputs.squeeze(1) or targets.unsqueeze(1) may be missing")
    return outputs.double() - targets.double()
