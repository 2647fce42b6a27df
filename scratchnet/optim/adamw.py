"""AdamW: Adam whose weight decay is not part of the gradient."""

from __future__ import annotations

from typing import Any, Iterable

import torch.optim
from torch import Tensor

from scratchnet.optim.adam import Adam


class AdamW(Adam, torch.optim.AdamW):
    """Adam with decoupled_weight_decay: param *= 1 - lr * weight_decay, and m and v see the gradient alone.

    Added to the gradient, the decay would be divided by sqrt(v) too: weights with large gradients would hardly decay.

    Loshchilov, Hutter: Decoupled weight decay regularization, https://arxiv.org/abs/1711.05101
    On CPUs a step is one compiled pass over the parameters; fused=False asks for the formula in plain operations.
    ValueError for a negative option or a beta outside [0, 1); RuntimeError in step for sparse gradients.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # also in a checkpoint from before the option existed
            group["decoupled_weight_decay"] = True
