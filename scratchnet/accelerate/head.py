"""The head of a language model without its logits: they are made when somebody reads them, and its loss does not."""

from __future__ import annotations

import math
from typing import Any, Callable

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.utils._pytree import tree_map_only

from scratchnet import nn
from scratchnet.accelerate.wrapped import plain
from scratchnet.functions.checks import AUTOCAST, fail
from scratchnet.functions.matmul import matmul
from scratchnet.nn import functional as F
from scratchnet.torch_private import recording

# What is known of a tensor without its numbers: properties and methods. A hook waits for the gradient of the numbers.
_PROPERTIES = "shape dtype device layout ndim requires_grad is_cpu is_cuda is_meta is_sparse is_nested is_quantized".split()
_METHODS = "size dim numel nelement element_size is_floating_point is_complex register_hook".split()
FACTS = {getattr(Tensor, name).__get__ for name in _PROPERTIES} | {getattr(Tensor, name) for name in _METHODS}

# What a model may do to its logits before the loss: as Gemma, Cohere and Granite do.
_TANH = {torch.tanh, Tensor.tanh}
_FACTORS: dict[Callable, Callable[[float], float]] = {
    **dict.fromkeys((torch.mul, Tensor.mul), float),
    **dict.fromkeys((torch.div, Tensor.div), lambda number: 1 / number),
}


class Logits(Tensor):
    """linear(input, weight, bias) (..., C) of input (..., K) and weight (C, K), computed when its numbers are first needed.

    Any function of torch gets the numbers in its place, with their gradient; `next_token_loss` takes input and weight. A model
    may multiply them by numbers, and cap them by a tanh: the result waits too, and is scale * linear(...), or, with a cap,
    cap * tanh(scale * linear(...)). Made by `later`. RuntimeError for numbers that are needed after input or weight have
    changed, as by an optimizer's step.
    """

    parts: tuple[Tensor, Tensor, Tensor | None]
    made: Tensor | None
    before: tuple[Logits, Callable[[Tensor], Tensor]] | None  # what these are a function of, and the function
    scale: float
    cap: float | None

    @staticmethod
    def __new__(cls, parts: tuple[Tensor, Tensor, Tensor | None], dtype: torch.dtype) -> Logits:
        input, weight, _ = parts
        shape = (*input.shape[:-1], weight.shape[0])
        self = Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=input.device)
        self.parts, self.made, self.before, self.scale, self.cap = parts, None, None, 1.0, None
        self.versions = self.now()
        return self

    def now(self) -> list[tuple[int, int]]:
        """How often each part has changed, and how much memory it has: none, if FSDP2 has let it go."""
        return [(part._version, part.untyped_storage().size()) for part in self.parts if part is not None]

    def numbers(self) -> Tensor:
        """The logits as a plain tensor (..., C), always the same one."""
        if self.made is None:
            self.made = self.fresh()
        return self.made

    def fresh(self) -> Tensor:
        """The logits as a plain tensor that nobody has changed in place; not kept, for one that is a step to others."""
        if self.made is not None and self.made._version == 0:
            return self.made
        if self.now() != self.versions:
            changed = "the hidden states or the weight of the head have changed since the model was called"
            hint = "read them before optimizer.step(), or use accelerate(model, logits=True)"
            fail(RuntimeError, "accelerate", "logits", f"these were not made yet, and {changed}: {hint}")
        # whoever asks first, others may need the gradient; the dtype is that of the call, in autocast or not
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(self.device.type, enabled=False):
            if self.before is None:
                return _Numbers.apply(self)
            logits, function = self.before
            return function(logits.fresh())

    def then(self, function: Callable, *numbers: Any) -> Logits | None:
        """function(self, *numbers), without its numbers, if that is one of the things that a model may do."""
        scale, cap, dtype, known = self.scale, self.cap, self.dtype, True
        if function in _TANH and not numbers and cap is None:
            cap = 1.0
        elif function in _FACTORS and len(numbers) == 1 and type(numbers[0]) in (int, float) and 0 < numbers[0] < math.inf:
            factor = _FACTORS[function](numbers[0])
            scale, cap = (scale * factor, cap) if cap is None else (scale, cap * factor)
        elif function is Tensor.float and not numbers:
            dtype = torch.float32
        else:
            known = False
        return _Then.apply(self, lambda x: function(x, *numbers), scale, cap, dtype) if known else None

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        first = args[0] if args else None
        if isinstance(first, Logits) and first.made is None:
            if func in FACTS and not (first.before and func is Tensor.register_hook):
                with torch._C.DisableTorchFunctionSubclass():
                    return func(*args, **(kwargs or {}))
            if func is Tensor.float and first.dtype == torch.float32 or func is Tensor.contiguous:
                return first
            if torch.is_grad_enabled() and not kwargs and (result := first.then(func, *args[1:])) is not None:
                return result
        args, kwargs = tree_map_only(Logits, Logits.numbers, (args, kwargs or {}))
        return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        """What C++ calls, below autograd."""
        args, kwargs = tree_map_only(Logits, lambda logits: logits.numbers().detach(), (args, kwargs or {}))
        return func(*args, **kwargs)


class _Later(torch.autograd.Function):
    """linear in a dtype, whose result is made later."""

    @staticmethod
    def forward(ctx, dtype: torch.dtype, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(input, weight)
        return Logits((input.detach(), weight.detach(), None if bias is None else bias.detach()), dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = (saved.to(grad.dtype) for saved in ctx.saved_tensors)  # of autocast, another one
        _, *needs = ctx.needs_input_grad
        rows = grad.reshape(-1, grad.shape[-1])
        return (
            None,
            F.linear(grad, weight.t()) if needs[0] else None,
            matmul(rows.t(), input.reshape(-1, input.shape[-1])) if needs[1] else None,
            rows.sum(0) if needs[2] else None,
        )


class _Numbers(torch.autograd.Function):
    """The numbers of logits; their gradient is that of the logits."""

    @staticmethod
    def forward(ctx, logits: Logits) -> Tensor:
        return F.linear(*(None if part is None else part.to(logits.dtype) for part in logits.parts))

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


class _Then(torch.autograd.Function):
    """A function of logits that is made later. Its numbers know their own way back; this one is for who asks in C++."""

    @staticmethod
    def forward(ctx, logits: Logits, function: Callable, scale: float, cap: float | None, dtype: torch.dtype) -> Tensor:
        ctx.before = logits, function
        result = Logits(logits.parts, dtype)
        result.before, result.scale, result.cap, result.versions = ctx.before, scale, cap, logits.versions
        return result

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, function = ctx.before
        x, again = logits.fresh(), torch.is_grad_enabled()
        with torch.enable_grad():
            [gradient] = torch.autograd.grad(function(x), x, grad, create_graph=again)
        return gradient, None, None, None, None


def later(input: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype | None = None) -> Logits:
    """Logits of input (..., K), weight (C, K) and bias (C,), with parts that autograd knows; of their dtype, or another."""
    logits = _Later.apply(dtype or input.dtype, input, weight, bias)
    logits.parts = input, weight, bias
    return logits


class Head(nn.Linear):
    """A Linear whose result has its numbers when they are read: x (..., K) -> (..., C).

    Under autocast on a CPU too; on a GPU its 16-bit products are what one wants. torch.compile leaves the result outside its
    graph; with fullgraph=True, the logits are a part of the graph.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.waits(input):
            return F.linear(input, self.weight, self.bias)
        device = input.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        if torch.compiler.is_compiling():
            from scratchnet.accelerate.outside_graphs import later_outside

            return later_outside(input, self.weight, self.bias, dtype)
        return later(input, self.weight, self.bias, dtype)

    def waits(self, input: Tensor) -> bool:
        """Whether the result of this call can be made when it is read."""
        if not (torch.is_grad_enabled() and (input.requires_grad or self.weight.requires_grad)):
            return False
        if type(self) is not Head or type(self.weight) is not Parameter or type(input) is not Tensor:
            return False  # parametrized, or split by fully_shard
        if self._backward_hooks or self._backward_pre_hooks:
            return False
        if torch.is_autocast_enabled(input.device.type):
            if not input.is_cpu or input.dtype not in AUTOCAST or self.weight.dtype not in AUTOCAST:
                return False
        elif input.dtype != self.weight.dtype:
            return False
        if torch.compiler.is_dynamo_compiling():
            from scratchnet.accelerate.outside_graphs import may_leave

            return may_leave()
        return not recording()


def find(model: Module) -> Module | str:
    """The layer of a model of Transformers that makes its logits, or why it cannot do without them."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if head is None:
        return "the model names no head"
    if plain(type(head)) is not type(head):
        return "fully_shard has split the head"
    return head if type(head) in (nn.Linear, Head) else "the head is no plain Linear"
