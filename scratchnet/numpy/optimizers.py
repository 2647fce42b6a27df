"""Update rules for the layers: every parameter moves, in place, against its gradient."""

from __future__ import annotations

from typing import Iterable

import numpy as np


class Optimizer:
    """Walk over the parameters of layers; `update` is the rule for one of them. ValueError for a negative learning rate."""

    def __init__(self, learning_rate: float):
        if not learning_rate >= 0:
            raise ValueError(f"{type(self).__name__}: learning_rate must be 0 or larger, not {learning_rate}")
        self.learning_rate = learning_rate
        self.state: dict[tuple[int, str], dict] = {}  # what the rule remembers about each parameter

    def step(self, layers: Iterable) -> None:
        """Update the `parameters` of all layers once, from the gradients that their `backward` left."""
        for i, layer in enumerate(layers):
            for name in layer.parameters:
                self.update(getattr(layer, name), getattr(layer, f"d{name}"), self.state.setdefault((i, name), {}))

    def update(self, param: np.ndarray, grad: np.ndarray, state: dict) -> None:
        """Update one parameter in place; `grad` points uphill."""
        raise NotImplementedError


class SGD(Optimizer):
    """v = momentum v + grad,  param -= learning_rate v. Without momentum, v is the gradient."""

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0):
        super().__init__(learning_rate)
        self.momentum = momentum

    def update(self, param: np.ndarray, grad: np.ndarray, state: dict) -> None:
        if self.momentum:
            grad = state["v"] = self.momentum * state.get("v", 0.0) + grad
        param -= self.learning_rate * grad


class RMSprop(Optimizer):
    """s = alpha s + (1 - alpha) grad^2,  param -= learning_rate grad / (sqrt(s) + eps)."""

    def __init__(self, learning_rate: float = 0.01, alpha: float = 0.99, eps: float = 1e-8):
        super().__init__(learning_rate)
        self.alpha, self.eps = alpha, eps

    def update(self, param: np.ndarray, grad: np.ndarray, state: dict) -> None:
        s = state["s"] = self.alpha * state.get("s", 0.0) + (1 - self.alpha) * grad**2
        param -= self.learning_rate * grad / (np.sqrt(s) + self.eps)


class Adam(Optimizer):
    """Running means of the gradient and its square, corrected for their start at 0: the first step moves by learning_rate.

        m = beta1 m + (1 - beta1) grad          v = beta2 v + (1 - beta2) grad^2
        param -= learning_rate  m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    Kingma, Ba: https://arxiv.org/abs/1412.6980.
    """

    def __init__(self, learning_rate: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(learning_rate)
        self.betas, self.eps = betas, eps

    def update(self, param: np.ndarray, grad: np.ndarray, state: dict) -> None:
        beta1, beta2 = self.betas
        t = state["t"] = state.get("t", 0) + 1
        m = state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * grad
        v = state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * grad**2
        param -= self.learning_rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + self.eps)


class AdamW(Adam):
    """Adam after param *= 1 - learning_rate weight_decay: the decay is not scaled by the gradients' size."""

    def __init__(self, learning_rate: float = 0.001, weight_decay: float = 0.01, **options):
        super().__init__(learning_rate, **options)
        self.weight_decay = weight_decay

    def update(self, param: np.ndarray, grad: np.ndarray, state: dict) -> None:
        param *= 1 - self.learning_rate * self.weight_decay
        super().update(param, grad, state)


OPTIMIZERS = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def optimizer_of(choice: str | Optimizer, learning_rate: float) -> Optimizer:
    """A fresh optimizer by name, or the object itself, which has its own learning rate; ValueError for another name."""
    if isinstance(choice, Optimizer):
        return choice
    if choice not in OPTIMIZERS:
        raise ValueError(f"there is no optimizer {choice!r}; the optimizers are {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[choice](learning_rate)
