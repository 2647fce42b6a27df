"""`torch.nn.utils` with gradient clipping of our own; everything else is torch's."""

from __future__ import annotations

import types
import warnings
from typing import Any, Iterable

import torch
import torch.nn.utils.prune
from torch import Tensor

from scratchnet.drop_in import alias

__all__ = ["clip_grad_norm_", "clip_grads_with_norm_", "get_total_norm"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor so that their norm as one long vector is at most max_norm; return the norm before.

    A single large gradient (a steep place, a bad batch) then keeps its direction but cannot throw the parameters far away.
    `foreach`, which chooses among torch's implementations, has no effect here. Pascanu, Mikolov, Bengio: On the difficulty of
    training recurrent neural networks, https://arxiv.org/abs/1211.5063. With error_if_nonfinite, RuntimeError for a norm that
    is not finite; a warning for a generator that is exhausted.
    """
    parameters = _listed(parameters)
    norm = get_total_norm([p.grad for p in parameters if p.grad is not None], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


@torch.no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors, of any shape, as one long vector: a 0-d tensor. RuntimeError if asked for and not finite."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return torch.tensor(0.0)
    norms = [torch.linalg.vector_norm(t, float(norm_type)).to(tensors[0].device) for t in tensors]
    norm = torch.linalg.vector_norm(torch.stack(norms), float(norm_type))
    if error_if_nonfinite and not norm.isfinite():
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. Look for a learning rate that is too large or a logarithm or division of zero in the loss. To disable "
            "this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return norm


@torch.no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """grad *= min(1, max_norm / (total_norm + 1e-6)), in place and in any shape."""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    factor = clip_factor(max_norm, total_norm)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor.to(parameter.grad.device))


def clip_factor(max_norm: float, total_norm: Tensor) -> Tensor:
    """min(1, max_norm / (total_norm + 1e-6)), a 0-d tensor."""
    return (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)  # no `if`: it would wait for the accelerator


def _listed(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        return [parameters]
    listed = list(parameters)
    if not listed and isinstance(parameters, types.GeneratorType):
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur. model.parameters() can be read once: call it "
            "again for every step, or keep list(model.parameters())",
            stacklevel=3,
        )
    return listed


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(torch.nn.utils, name)


def __dir__() -> list[str]:
    return dir(torch.nn.utils)


alias(__name__, torch.nn.utils, *(name for name, value in vars(torch.nn.utils).items() if isinstance(value, types.ModuleType)))
