"""RMSprop: each step divided by the running size of its gradient."""

from __future__ import annotations

from typing import Any, Iterable

import torch
import torch.optim
from torch import Tensor

from scratchnet.optim.rule import Rule, check_not_negative, descend, real_views, scalar


class RMSprop(Rule, torch.optim.RMSprop):
    """param -= lr * grad / (sqrt(v) + eps), v the running mean of the squared gradient.

        g = grad + weight_decay * param
        v = alpha * v + (1 - alpha) * g^2
        a = sqrt(v) + eps                               (centered: sqrt(v - mean^2) + eps, mean the running mean of g)
        param -= lr * g / a                             (momentum: b = momentum * b + g / a, param -= lr * b)

    Hinton: Neural networks for machine learning, lecture 6 (2012); centered: Graves, https://arxiv.org/abs/1308.0850
    On CPUs a step is one compiled pass over the parameters.
    ValueError for a negative option; RuntimeError in step for sparse gradients.
    """

    operator = "rmsprop"

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative(self, lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            alpha=alpha,
            eps=eps,
            centered=centered,
            weight_decay=weight_decay,
            capturable=capturable,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
        )

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.start(param, group)
        lr, alpha, momentum = scalar(group["lr"]), group["alpha"], group["momentum"]
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad.add(param, alpha=group["weight_decay"])
        param, grad, v, b, mean = real_views(
            param, grad, state["square_avg"], state.get("momentum_buffer"), state.get("grad_avg")
        )

        v.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if group["differentiable"]:  # autograd keeps its operands, and the next step changes the state in place
            v = v.clone()
        if group["centered"]:
            mean.lerp_(grad, 1 - alpha)
            copy = mean.clone() if group["differentiable"] else mean
            v = v.addcmul(copy, copy, value=-1)
        size = v.sqrt().add(group["eps"])

        if momentum > 0:
            b.mul_(momentum).addcdiv_(grad, size)
            move, size = b.clone() if group["differentiable"] else b, None
        else:
            move = grad
        descend(param, lr, move, size)

    def start(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state = self.state[param]
        if not state:
            state["step"] = self.new_step_count(param, group)
            used = {"square_avg": True, "momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}
            for name in [name for name in used if used[name]]:
                state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return state

    def kernel_state(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        momentum_buffer = "momentum_buffer" if group["momentum"] > 0 else None
        return "step", "square_avg", momentum_buffer, "grad_avg" if group["centered"] else None

    def kernel_options(self, group: dict[str, Any]) -> tuple:
        return tuple(group[name] for name in ("lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize"))
