"""The head of a language model without its logits: they are made when somebody reads them, and its loss does not."""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.utils._pytree import tree_map_only

from scratchnet import nn
from scratchnet.accelerate.wrapped import plain
from scratchnet.functions.checks import fail
from scratchnet.functions.matmul import matmul
from scratchnet.nn import functional as F
from scratchnet.torch_private import tracing, transforming

# What is known of a tensor without its numbers: properties and methods. A hook waits for the gradient of the numbers.
_PROPERTIES = "shape dtype device layout ndim requires_grad is_cpu is_cuda is_meta is_sparse is_nested is_quantized".split()
_METHODS = "size dim numel nelement element_size is_floating_point is_complex register_hook".split()
FACTS = {getattr(Tensor, name).__get__ for name in _PROPERTIES} | {getattr(Tensor, name) for name in _METHODS}


class Logits(Tensor):
    """linear(input, weight, bias) (..., C) of input (..., K) and weight (C, K), computed when its numbers are first needed.

    Any function of torch gets the numbers in its place, with their gradient; `next_token_loss` takes input and weight. Made by
    `later`. RuntimeError for numbers that are needed after input or weight have changed, as by an optimizer's step.
    """

    parts: tuple[Tensor, Tensor, Tensor | None]
    made: Tensor | None

    @staticmethod
    def __new__(cls, input: Tensor, weight: Tensor, bias: Tensor | None) -> Logits:
        shape = (*input.shape[:-1], weight.shape[0])
        self = Tensor._make_wrapper_subclass(cls, shape, dtype=input.dtype, device=input.device)
        self.parts, self.made = (input, weight, bias), None
        self.versions = self.now()
        return self

    def now(self) -> list[tuple[int, int]]:
        """How often each part has changed, and how much memory it has: none, if FSDP2 has let it go."""
        return [(part._version, part.untyped_storage().size()) for part in self.parts if part is not None]

    def numbers(self) -> Tensor:
        """The logits as a plain tensor (..., C), always the same one."""
        if self.made is None:
            if self.now() != self.versions:
                changed = "the hidden states or the weight of the head have changed since the model was called"
                hint = "read them before optimizer.step(), or use accelerate(model, logits=True)"
                fail(RuntimeError, "accelerate", "logits", f"these were not made yet, and {changed}: {hint}")
            with torch.inference_mode(False), torch.enable_grad():  # whoever asks first, others may need the gradient
                self.made = _Numbers.apply(self)
        return self.made

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        first = args[0] if args else None
        if isinstance(first, Logits) and first.made is None:
            if func in FACTS:
                with torch._C.DisableTorchFunctionSubclass():
                    return func(*args, **(kwargs or {}))
            if func is Tensor.float and first.dtype == torch.float32 or func is Tensor.contiguous:
                return first
        args, kwargs = tree_map_only(Logits, Logits.numbers, (args, kwargs or {}))
        return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        """What C++ calls, below autograd."""
        args, kwargs = tree_map_only(Logits, lambda logits: logits.numbers().detach(), (args, kwargs or {}))
        return func(*args, **kwargs)


class _Later(torch.autograd.Function):
    """linear, whose result is made later."""

    @staticmethod
    def forward(ctx, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(input, weight)
        return Logits(input.detach(), weight.detach(), None if bias is None else bias.detach())

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        needs, rows = ctx.needs_input_grad, grad.reshape(-1, grad.shape[-1])
        return (
            F.linear(grad, weight.t()) if needs[0] else None,
            matmul(rows.t(), input.reshape(-1, input.shape[-1])) if needs[1] else None,
            rows.sum(0) if needs[2] else None,
        )


class _Numbers(torch.autograd.Function):
    """The numbers of logits; their gradient is that of the logits."""

    @staticmethod
    def forward(ctx, logits: Logits) -> Tensor:
        return F.linear(*logits.parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def later(input: Tensor, weight: Tensor, bias: Tensor | None) -> Logits:
    """Logits of input (..., K), weight (C, K) and bias (C,), with parts that autograd knows."""
    logits = _Later.apply(input, weight, bias)
    logits.parts = input, weight, bias
    return logits


class Head(nn.Linear):
    """A Linear whose result has its numbers when they are read: x (..., K) -> (..., C)."""

    def forward(self, input: Tensor) -> Tensor:
        if (
            torch.is_grad_enabled()
            and type(self) is Head  # neither parametrized nor split by fully_shard
            and type(input) is Tensor
            and type(self.weight) is Parameter
            and input.dtype == self.weight.dtype
            and (input.requires_grad or self.weight.requires_grad)
            and not (self._backward_hooks or self._backward_pre_hooks)
            and not (torch.compiler.is_compiling() or transforming() or tracing())
            and not torch.is_autocast_enabled(input.device.type)
        ):
            return later(input, self.weight, self.bias)
        return F.linear(input, self.weight, self.bias)


def find(model: Module) -> Module | str:
    """The layer of a model of Transformers that makes its logits, or why it cannot do without them."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if head is None:
        return "the model names no head"
    if plain(type(head)) is not type(head):
        return "fully_shard has split the head"
    return head if type(head) in (nn.Linear, Head) else "the head is no plain Linear"
