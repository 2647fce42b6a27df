"""Adagrad: each step divided by the size of all gradients so far."""

from __future__ import annotations

from typing import Any, Iterable

import torch.optim
from torch import Tensor

from scratchnet.optim.rule import Rule, check_not_negative, descend, real_views, scalar


class Adagrad(Rule, torch.optim.Adagrad):
    """param -= lr * grad / (sqrt(sum) + eps), sum the sum of all squared gradients.

        g = grad + weight_decay * param
        sum += g^2                                      (it starts at initial_accumulator_value)
        param -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)

    Duchi, Hazan, Singer: Adaptive subgradient methods (2011), https://jmlr.org/papers/v12/duchi11a.html
    On CPUs a step is one compiled pass over the parameters; fused=False asks for the formula in plain operations. A sparse
    gradient updates only its rows.
    ValueError for a negative option; RuntimeError in step for weight_decay with sparse gradients.
    """

    operator = "adagrad"

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative(self, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay)
        check_not_negative(self, initial_accumulator_value=initial_accumulator_value, eps=eps)
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            eps=eps,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
            fused=fused,
        )
        for group in self.param_groups:  # now and not in the first step, so that processes can share it
            for param in group["params"]:
                self.start(param, group)

    def share_memory(self) -> None:
        """Move the sums to memory that other processes can see."""
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"].share_memory_()

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.start(param, group)
        state["step"] += 1
        t = state["step"] if torch.compiler.is_compiling() else state["step"].item()
        lr = scalar(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
        if group["weight_decay"] != 0:
            grad = grad.add(param, alpha=group["weight_decay"])
        if grad.is_sparse:
            self._update_rows(param, grad.coalesce(), state["sum"], lr, group["eps"])  # each row once: squares of sums
            return
        param, grad, total = real_views(param, grad, state["sum"])
        total.addcmul_(grad, grad)
        if group["differentiable"]:  # autograd keeps the argument of the root, and the next step changes the state in place
            total = total.clone()
        descend(param, lr, grad, total.sqrt().add(group["eps"]))

    @staticmethod
    def _update_rows(param: Tensor, grad: Tensor, total: Tensor, lr: float | Tensor, eps: float) -> None:
        rows, values = grad.indices().unbind(), grad.values()
        total.index_put_(rows, values.square(), accumulate=True)
        param.index_put_(rows, -lr * values / (total[rows].sqrt() + eps), accumulate=True)

    def start(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state = self.state[param]
        if not state:
            first = self.defaults["initial_accumulator_value"]
            state["step"] = self.new_step_count(param, group)
            state["sum"] = torch.full_like(param, complex(first, first) if param.is_complex() else first)
        return state

    def kernel_state(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return "step", "sum"

    def kernel_options(self, group: dict[str, Any]) -> tuple:
        return tuple(group[name] for name in ("lr", "lr_decay", "eps", "weight_decay", "maximize"))

    def check_sparse(self, group: dict[str, Any]) -> None:
        if group["weight_decay"] != 0:
            raise RuntimeError(
                "Adagrad: weight_decay option is not compatible with sparse gradients: "
                "set weight_decay=0 for this parameter group, or Embedding(sparse=False)"
            )
