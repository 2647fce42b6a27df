"""Watch a model while it trains: what its layers output, and the mistakes that raise no error."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._pytree import tree_leaves

from scratchnet.functions.checks import teach

ZEROING = ("ReLU", "ReLU6")  # layers that output exact zeros, through which no gradient flows back


@dataclass
class Layer:
    """One layer without layers inside, as last seen; `alive`: which of its units were nonzero for some sample."""

    module: Module
    shape: tuple[int, ...] = ()
    mean: float | None = None
    std: float | None = None
    alive: Tensor | None = None

    @property
    def dead(self) -> float:
        """The fraction of units that were 0 for all samples: their weights no longer get a gradient."""
        return 0.0 if self.alive is None else 1 - self.alive.float().mean().item()

    @property
    def gradient(self) -> float | None:
        """The norm of its parameters' gradients; None if there are no parameters, and before a backward."""
        gradients = [p.grad.norm().item() for p in self.module.parameters() if p.grad is not None]
        return math.hypot(*gradients) if gradients else None


class watch:
    """`with training.watch(model) as report: ...` looks at every forward, backward and step inside; then print(report).

    The report: for each layer its mode, the shape, mean and standard deviation of its last output, the fraction of dead units
    and the norm of its gradient. A TeachingWarning for: the first layer whose output is not finite; a backward that adds to
    gradients that a step has already used; layers most of whose units are dead; layers and tensors that the model does not know
    of. Watching takes time: use it to find a mistake, not to train.
    """

    def __init__(self, model: Module):
        self.model = model
        self.layers = {name or "model": Layer(module) for name, module in model.named_modules() if not [*module.children()]}
        self._used: dict[int, tuple[Tensor, int]] = {}  # id of a parameter: the gradient that a step used, and its version
        self._said: set[str] = set()
        self._hooks: list = []

    def __enter__(self) -> watch:
        self._look_for_unknown_parts()
        for name, layer in self.layers.items():
            self._hooks.append(layer.module.register_forward_hook(functools.partial(self._forward, name)))
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                self._hooks.append(parameter.register_post_accumulate_grad_hook(self._accumulated))
        self._hooks.append(register_optimizer_step_post_hook(self._stepped))
        return self

    def __exit__(self, *exc: object) -> None:
        for hook in self._hooks:
            hook.remove()
        for name, layer in self.layers.items():
            if layer.dead > 0.5:
                units, hint = layer.alive.numel(), "a lower learning rate, a smaller initial bias, LeakyReLU or GELU"
                problem = f"{round(layer.dead * units)} of {units} units were 0 for every sample and no longer learn"
                self._say("dead", f"layer '{name}', {layer.module}: {problem}. Try {hint}")

    def __str__(self) -> str:
        head = f"{'layer':24}{'mode':>6}{'output':>18}{'mean':>10}{'std':>10}{'dead':>7}{'gradient':>11}"
        rows = [
            f"{name + ' ' + type(layer.module).__name__:24}{'train' if layer.module.training else 'eval':>6}{layer.shape!s:>18}"
            f"{_number(layer.mean):>10}{_number(layer.std):>10}{layer.dead:7.0%}{_number(layer.gradient):>11}"
            for name, layer in self.layers.items()
        ]
        return "\n".join([head, *rows])

    def _look_for_unknown_parts(self) -> None:
        for owner, module in self.model.named_modules():
            for name, value in vars(module).items():
                where, kind = f"{owner}.{name}".lstrip("."), type(value).__name__
                parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
                if not name.startswith("_") and any(isinstance(part, (Module, Parameter)) for part in parts):
                    hint = "use nn.ModuleList, nn.ModuleDict or nn.ParameterList"
                    self._say(where, f"'{where}' is a {kind}, and what it holds is not part of the model: {hint}")
                if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                    self._say(where, f"'{where}' is a plain tensor: no optimizer sees it. Make it an nn.Parameter")

    def _forward(self, name: str, module: Module, inputs: tuple, output: object) -> None:
        found = [t.detach() for t in tree_leaves(output) if isinstance(t, Tensor) and t.is_floating_point()]
        if not found or not found[0].numel():
            return
        layer, y = self.layers[name], found[0]
        layer.shape, layer.mean, layer.std = tuple(y.shape), y.mean().item(), y.std(correction=0).item()
        if not all(map(_finite, found)):
            reason = "though its input and its parameters are finite"
            if not all(map(_finite, tree_leaves(inputs))):
                reason = "and so does its input"
            elif not all(map(_finite, module.parameters())):
                reason = "as its parameters do: the last step was too large, or its gradient was not finite"
            self._say("finite", f"layer '{name}', {module}: the first whose output holds NaN or infinity, {reason}")
        if type(module).__name__ in ZEROING:
            units = 1 if y.dim() > 3 else y.dim() - 1  # channels of images, else the last axis
            alive = (y != 0).transpose(0, units).flatten(1).any(1) if units else y != 0
            layer.alive = alive if layer.alive is None else alive | layer.alive

    def _accumulated(self, parameter: Tensor) -> None:
        gradient, version = self._used.pop(id(parameter), (None, 0))
        if parameter.grad is gradient and gradient._version == version + 1:  # nothing else has touched it in between
            hint = "call optimizer.zero_grad() before each forward"
            self._say("zero_grad", f"backward adds to gradients that the previous step has already used: {hint}")

    def _stepped(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        for parameter in (p for group in optimizer.param_groups for p in group["params"] if p.grad is not None):
            self._used[id(parameter)] = parameter.grad, parameter.grad._version

    def _say(self, what: str, message: str) -> None:
        """A TeachingWarning, once per mistake."""
        if what not in self._said:
            self._said.add(what)
            teach(f"watch: {message}.")


def _number(value: float | None) -> str:
    """Three digits, or a dash for what there is not: NaN is left to values that are NaN."""
    return "-" if value is None else f"{value:.3g}"


def _finite(value: object) -> bool:
    return not isinstance(value, Tensor) or not value.is_floating_point() or bool(torch.isfinite(value).all())
