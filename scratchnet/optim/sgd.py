"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any, Iterable

import torch.optim
from torch import Tensor

from scratchnet.functions.checks import fail
from scratchnet.optim.rule import Rule, add_scaled, check_not_negative, descend, scalar


class SGD(Rule, torch.optim.SGD):
    """param -= lr * grad; with momentum the step follows a decaying sum of the gradients.

        g = grad + weight_decay * param
        b = momentum * b + (1 - dampening) * g          (b = g in the first step)
        param -= lr * (g + momentum * b if nesterov else b)

    Sutskever et al.: On the importance of initialization and momentum in deep learning (2013).
    On CPUs a step is one compiled pass over the parameters; fused=False asks for the formula in plain operations.
    ValueError for a negative option or for nesterov without momentum or with dampening.
    """

    operator = "sgd"

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative(self, lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            problem = "Nesterov momentum requires a momentum and zero dampening"
            got = f"got momentum={momentum}, dampening={dampening}; try momentum=0.9, dampening=0"
            fail(ValueError, type(self).__name__, "nesterov", f"{problem}: {got}")
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            foreach=foreach,
            differentiable=differentiable,
            fused=fused,
        )

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        lr, momentum, weight_decay = scalar(group["lr"]), group["momentum"], group["weight_decay"]
        if isinstance(weight_decay, Tensor) or weight_decay != 0:
            grad = add_scaled(grad, param, weight_decay)

        if momentum != 0:
            buffer = self.state[param].get("momentum_buffer")
            if buffer is None:
                buffer = self.state[param]["momentum_buffer"] = grad.clone()
            else:
                buffer.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
            grad = grad.add(buffer, alpha=momentum) if group["nesterov"] else buffer

        descend(param, lr, grad)

    def start(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor] | None:
        if group["momentum"] == 0:
            return {}
        state = self.state[param]
        return None if state.get("momentum_buffer") is None else state  # the first step copies the gradient

    def kernel_state(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer" if group["momentum"] != 0 else None,)

    def kernel_options(self, group: dict[str, Any]) -> tuple:
        return tuple(group[name] for name in ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"))

    def check_sparse(self, group: dict[str, Any]) -> None:
        pass  # adding a sparse gradient touches only its rows
