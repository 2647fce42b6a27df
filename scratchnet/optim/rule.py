"""What every update rule shares: checks, the closure, the walk over the parameters."""

from __future__ import annotations

import warnings
from typing import Any, Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from scratchnet.functions.checks import fail


class Rule(Optimizer):
    """torch's Optimizer whose step calls `update(param, grad, group)` for every parameter that has a gradient.

    `foreach` and `fused` choose among torch's implementations of one result; ours has one, so True only warns.
    """

    def __init__(self, params: Iterable, **options: Any) -> None:
        name = type(self).__name__
        if not isinstance(params, Tensor):
            params = list(params)
            if not params:
                fail(
                    ValueError, name, "params",
                    "optimizer got an empty parameter list; it needs model.parameters() of a model that has parameters (plain "
                    "tensors and lists as attributes are none: nn.Parameter, nn.ModuleList); a generator that was read before "
                    "is empty too (keep it as list(model.parameters()))",
                )  # fmt: skip
        foreach, fused = options["foreach"], options["fused"]
        if fused and options["differentiable"]:
            fail(RuntimeError, name, "fused", "`fused` does not support `differentiable`; leave one of them out")
        if fused and foreach:
            fail(RuntimeError, name, "fused", "`fused` and `foreach` cannot be `True` together; leave both out")
        if fused or foreach:
            warnings.warn(
                f"scratchnet.optim.{name} has one implementation: {'fused' if fused else 'foreach'}=True changes nothing here",
                stacklevel=3,
            )
        super().__init__(params, options)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter once; `closure` recomputes the loss first, and its value is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        self.update(param, -param.grad if group["maximize"] else param.grad, group)
        return loss

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Move one parameter, in place; `grad` points uphill."""
        raise NotImplementedError

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # a checkpoint of an older torch lacks the younger options: switch them off
            for name in self.defaults:
                group.setdefault(name, None if name in ("foreach", "fused") else False)


def check_not_negative(optimizer: Rule, **options: float | Tensor) -> None:
    """ValueError, in torch's words, for a negative or NaN option."""
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            fail(ValueError, type(optimizer).__name__, name, f"Tensor {name} must be 1-element, got shape {tuple(value.shape)}")
        if not value >= 0:
            words = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            fail(ValueError, type(optimizer).__name__, name, f"Invalid {words}: {value}; it must be 0 or larger")


def scalar(option: float | Tensor) -> float | Tensor:
    """A number stays; a one-element tensor loses its axes, so that it broadcasts against any parameter."""
    return option.squeeze() if isinstance(option, Tensor) else option


def add_scaled(a: Tensor, b: Tensor, scale: float | Tensor) -> Tensor:
    """a + scale * b; a scale that requires grad gets its gradient, and b may change in place afterwards."""
    if isinstance(scale, Tensor) and scale.requires_grad:
        return torch.addcmul(a, b.clone(), scale)
    return a.add(b, alpha=scale)
