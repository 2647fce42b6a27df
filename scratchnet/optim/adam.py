"""Adam: steps scaled by the running size of each gradient."""

from __future__ import annotations

from typing import Any, Iterable

import torch.optim
from torch import Tensor

from scratchnet.functions.checks import fail
from scratchnet.optim.rule import Rule, add_scaled, check_not_negative, real_views, scalar


class Adam(Rule, torch.optim.Adam):
    """param -= lr * m / (sqrt(v) + eps), m and v the bias-corrected running means of the gradient and of its square.

        g = grad + weight_decay * param                 (decoupled_weight_decay: param *= 1 - lr * weight_decay instead)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2               (amsgrad: the largest v so far is used)
        param -= lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    Kingma, Ba: Adam, https://arxiv.org/abs/1412.6980; Reddi et al. (amsgrad), https://openreview.net/forum?id=ryQu7f-RZ
    On CPUs a step is one compiled pass over the parameters; fused=False asks for the formula in plain operations.
    ValueError for a negative option or a beta outside [0, 1); RuntimeError in step for sparse gradients.
    """

    operator = "adam"

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_not_negative(self, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(self, betas)
        super().__init__(
            params,
            lr=lr,
            betas=tuple(map(scalar, betas)),
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            foreach=foreach,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.start(param, group)
        lr, (beta1, beta2), weight_decay = scalar(group["lr"]), group["betas"], group["weight_decay"]
        differentiable = group["differentiable"]

        # As a number, the step count costs no operation; as a tensor it never leaves its device and gradients may flow to lr.
        as_tensor = group["capturable"] or differentiable or torch.compiler.is_compiling()
        state["step"] += 1
        t = state["step"] if as_tensor else state["step"].item()

        if weight_decay != 0 and group["decoupled_weight_decay"]:
            param.mul_(1 - lr * weight_decay)
        elif weight_decay != 0:
            grad = add_scaled(grad, param, weight_decay)

        param, grad, m, v, largest = real_views(param, grad, state["exp_avg"], state["exp_avg_sq"], state.get("max_exp_avg_sq"))

        m.lerp_(grad, 1 - (beta1.to(m) if isinstance(beta1, Tensor) else beta1))
        if isinstance(beta2, Tensor) and beta2.requires_grad:
            v.lerp_(grad.square(), 1 - beta2.to(v))
        else:
            v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if differentiable:  # autograd keeps its operands, and the next step changes the state in place
            m, v = m.clone(), v.clone()
        if group["amsgrad"]:
            v = largest.copy_(torch.maximum(largest.clone() if differentiable else largest, v))

        # lr * (m / c1) / (sqrt(v / c2) + eps) with the two corrections applied where they cost least
        step_size = lr / (1 - beta1**t)
        denominator = (v.sqrt() / (1 - beta2**t) ** 0.5).add_(group["eps"])
        if as_tensor:
            param.addcdiv_(m, denominator / -step_size)
        else:
            param.addcdiv_(m, denominator, value=-step_size)

    def start(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state = self.state[param]
        if not state:
            state["step"] = self.new_step_count(param, group)
            for name in ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ())):
                state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return state

    def kernel_state(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return "step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq" if group["amsgrad"] else None

    def kernel_options(self, group: dict[str, Any]) -> tuple:
        decoupled, amsgrad, maximize = group["decoupled_weight_decay"], group["amsgrad"], group["maximize"]
        return group["lr"], *group["betas"], group["eps"], group["weight_decay"], decoupled, amsgrad, maximize

    def check_sparse(self, group: dict[str, Any]) -> None:
        raise RuntimeError(
            f"{type(self).__name__}: Adam does not support sparse gradients, please consider SparseAdam instead: "
            "torch.optim.SparseAdam, or Embedding(sparse=False)"
        )


def check_betas(optimizer: Rule, betas: tuple[float | Tensor, float | Tensor]) -> None:
    """ValueError, in torch's words, for a beta outside [0, 1) or two of different kinds."""
    name = type(optimizer).__name__
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            fail(ValueError, name, "betas", f"Tensor betas[{i}] must be 1-element, got shape {tuple(beta.shape)}")
        if not 0.0 <= beta < 1.0:
            fail(ValueError, name, "betas", f"Invalid beta parameter at index {i}: {beta}; it needs 0 <= beta < 1")
    if not (all(isinstance(beta, float) for beta in betas) or all(isinstance(beta, Tensor) for beta in betas)):
        kinds = " and ".join(type(beta).__name__ for beta in betas)
        fail(ValueError, name, "betas", f"betas must be either both floats or both Tensors: got {kinds}")
