"""The compiled steps `scratchnet::<rule>_step`: one pass over all parameters of a group, in place. C++: csrc/cpu/optim."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

from scratchnet import _compiled, backends
from scratchnet.torch_private import transforming

# Lists hold one tensor per parameter; the list of a state that the options do not need is empty. The result: the positions of
# the parameters that the kernel left to the formula (a dtype other than the four floats, tensors that differ in dtype or
# strides).
SCHEMAS = {
    "sgd": "Tensor(c!)[] momentum_buffers, float lr, float momentum, float dampening, float weight_decay, bool nesterov,"
    " bool maximize",
    "adam": "Tensor(b!)[] steps, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] max_exp_avg_sqs, float lr,"
    " float beta1, float beta2, float eps, float weight_decay, bool decoupled, bool amsgrad, bool maximize",
    "rmsprop": "Tensor(b!)[] steps, Tensor(c!)[] square_avgs, Tensor(d!)[] momentum_buffers, Tensor(e!)[] grad_avgs, float lr,"
    " float alpha, float eps, float weight_decay, float momentum, bool centered, bool maximize",
    "adagrad": "Tensor(b!)[] steps, Tensor(c!)[] sums, float lr, float lr_decay, float eps, float weight_decay, bool maximize",
    "adam8bit": "Tensor(b!)[] steps, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] scales, float lr,"
    " float beta1, float beta2, float eps, float weight_decay, bool decoupled, bool maximize",
}

_library = torch.library.Library("scratchnet", "FRAGMENT")
for _name, _schema in SCHEMAS.items():
    _library.define(f"{_name}_step(Tensor(a!)[] params, Tensor[] grads, {_schema}, float grad_scale, int rung) -> int[]")

_PLAIN = (Tensor, torch.nn.Parameter)  # a subclass (DTensor, fake tensors, ...) has operations of its own: the formula's


def kernel(rule: str) -> Callable[..., list[int]] | None:
    """The compiled step of a rule; None where the formula has to run: not built, another backend named, traced, transformed."""
    named = backends.current()
    if not (named is None or named.startswith("cpp")) or torch.compiler.is_compiling() or _compiled.module is None:
        return None
    if transforming():
        return None
    step = getattr(torch.ops.scratchnet, f"{rule}_step").default
    rung = 1 if named == "cpp:1" else 2
    return lambda *args: step(*args, rung)


def takes(param: Tensor) -> bool:
    """Whether a parameter and its gradient are of a kind that a kernel may read; it checks dtype and strides itself."""
    grad = param.grad
    return type(param) in _PLAIN and type(grad) is Tensor and param.is_cpu and grad.layout is torch.strided
