"""Muon: momentum whose matrix is made orthogonal, so that every direction moves equally far."""

from __future__ import annotations

import math
from typing import Any, Iterable

import torch
import torch.optim
from torch import Tensor

from scratchnet.functions.checks import fail
from scratchnet.functions.matmul import matmul
from scratchnet.optim.rule import Rule, scalar

_SQUARE = 512  # rows from which the blocks below the diagonal are copied and not computed


class Muon(Rule, torch.optim.Muon):
    """param -= lr * O, O the matrix with the singular vectors of the momentum and singular values near 1.

        b = momentum * b + (1 - momentum) * grad
        u = (1 - momentum) * grad + momentum * b        (nesterov=False: u = b)
        O = orthogonalized(u)
        param = param * (1 - lr * weight_decay) - lr * sqrt(max(1, rows / columns)) * O

    For the weights of hidden layers; biases, norms, embeddings and the head are usually given to AdamW. adjust_lr_fn chooses
    the factor of lr: None or "original" as above, "match_rms_adamw" 0.2 * sqrt(max(rows, columns)), which fits rates for AdamW.

    Jordan: Muon, https://kellerjordan.github.io/posts/muon/; Liu et al.: Muon is scalable, https://arxiv.org/abs/2502.16982
    ValueError for parameters that are no matrices and options out of range; RuntimeError for complex ones, and in step for
    sparse gradients.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            fail(ValueError, "Muon", "lr", f"Tensor lr must be 1-element, got shape {tuple(lr.shape)}")
        for name, value in {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}.items():
            if not value >= 0:
                words = {"lr": "Learning rate", "weight_decay": "weight decay"}.get(name, name)
                fail(ValueError, "Muon", name, f"{words} should be >= 0 but is: {value}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            problem = f"Adjust learning rate function {adjust_lr_fn} is not supported; it needs 'original' or 'match_rms_adamw'"
            fail(ValueError, "Muon", "adjust_lr_fn", problem)
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups.pop()  # it comes back if nothing is wrong with it
        if not group["ns_steps"] < 100:
            problem = "Number of steps must be less than 100 for computational efficiency"
            fail(ValueError, "Muon", "ns_steps", f"{problem}: got {group['ns_steps']}; 5 are usual")
        if len(group["ns_coefficients"]) != 3:
            problem = f"Coefficients must be a tuple of exactly 3 values: got {group['ns_coefficients']}"
            fail(ValueError, "Muon", "ns_coefficients", problem)
        for param in group["params"]:
            if param.ndim != 2:
                problem = f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}"
                fail(ValueError, "Muon", "params", f"{problem}; give biases, norms and the like to AdamW")
            if param.is_complex():
                fail(RuntimeError, "Muon", "params", f"Muon does not support complex parameters: got {param.dtype}; use Adam")
        self.param_groups.append(group)

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        lr, momentum, (rows, columns) = scalar(group["lr"]), group["momentum"], param.shape
        buffer = self.start(param, group)["momentum_buffer"]
        buffer.lerp_(grad, 1 - momentum)
        move = grad.lerp(buffer, momentum) if group["nesterov"] else buffer
        move = orthogonalized(move, group["ns_coefficients"], group["ns_steps"], group["eps"])
        if group["adjust_lr_fn"] == "match_rms_adamw":
            factor = 0.2 * math.sqrt(max(rows, columns))
        else:
            factor = math.sqrt(max(1, rows / columns)) if columns else 1.0
        param.mul_(1 - lr * group["weight_decay"]).add_(move, alpha=-lr * factor)

    def start(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state = self.state[param]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(param.grad, memory_format=torch.preserve_format)
        return state


def orthogonalized(
    matrix: Tensor, coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315), steps: int = 5, eps: float = 1e-7
) -> Tensor:
    """U s(S) V^T for a matrix U S V^T (M, N), each s(S) near 1 unless S is below 0.3 % of the norm -> bfloat16 (M, N).

    Newton-Schulz: X = matrix / norm, and in each step X <- a X + b (X X^T) X + c (X X^T)^2 X, in bfloat16 as torch does. With
    the distance from the goal, D = I - X X^T, that is X <- (a + b + c) X + (c D^2 - (b + 2 c) D) X. Near the goal D is small,
    and so is what rounding it costs; a X and b (X X^T) X are large there and cancel.
    """
    a, b, c = coefficients
    x = matrix.bfloat16()
    x = x.mT if x.shape[0] > x.shape[1] else x  # X X^T is the smaller one of the two squares
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        distance = _symmetric(x, x.mT).neg_()
        distance.diagonal().add_(1)
        polynomial = torch.add(distance * -(b + 2 * c), _symmetric(distance, distance), alpha=c)
        x = matmul(polynomial, x).add_(x, alpha=a + b + c)
    return x.mT if matrix.shape[0] > matrix.shape[1] else x


def _symmetric(a: Tensor, b: Tensor) -> Tensor:
    """a @ b, known to be symmetric: four strips from the diagonal on, 5/8 of the product, and their mirror images."""
    size = a.shape[0]
    if size < _SQUARE or type(a) is not Tensor:  # a DTensor has no strips
        return matmul(a, b)
    product, strip = a.new_empty(size, size), -(-size // 4)
    for i in range(0, size, strip):
        j = i + strip
        product[i:j, i:] = matmul(a[i:j], b[:, i:])
        product[j:, i:j] = product[i:j, j:].mT
    return product
