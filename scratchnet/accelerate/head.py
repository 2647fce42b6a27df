"""The head of a language model without its logits: they are made when somebody reads them, and its loss does not."""

from __future__ import annotations

import inspect
import math
from typing import Any, Callable

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.utils._pytree import tree_map_only

from scratchnet import nn
from scratchnet.accelerate.wrapped import plain
from scratchnet.functions.checks import AUTOCAST, fail
from scratchnet.functions.dispatch import wanted
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
_CROSS_ENTROPY = inspect.signature(torch.nn.functional.cross_entropy)
_SHAPES = {Tensor.view, Tensor.reshape, torch.reshape, Tensor.flatten, torch.flatten}


class Logits(Tensor):
    """linear(input, weight, bias) (..., C) of input (..., K) and weight (C, K), computed when its numbers are first needed.

    Any function of torch gets the numbers in its place, with their gradient, but for torch's cross_entropy, which takes input
    and weight. A model may multiply them by numbers, and cap them by a tanh: the result waits too, and is scale * linear(...),
    or, with a cap, cap * tanh(scale * linear(...)); so does a view of whole rows. Made by `later`. RuntimeError for numbers
    that are needed after input or weight have changed, as by an optimizer's step.
    """

    parts: tuple[Tensor, Tensor, Tensor | None]
    made: Tensor | None
    before: tuple[Logits, Callable[[Tensor], Tensor]] | None  # what these are a function of, and the function
    alias: bool  # of what is before: what changes the numbers of one in place, changes those of both
    scale: float
    cap: float | None

    @staticmethod
    def __new__(cls, parts: tuple[Tensor, Tensor, Tensor | None], dtype: torch.dtype) -> Logits:
        input, weight, _ = parts
        shape = (*input.shape[:-1], weight.shape[0])
        self = Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=input.device)
        self.parts, self.made, self.before, self.alias, self.scale, self.cap = parts, None, None, False, 1.0, None
        self.versions = self.now()
        return self

    def now(self) -> list[tuple[int, int]]:
        """How often each part has changed, and how much memory it has: none, if FSDP2 has let it go."""
        return [(part._version, part.untyped_storage().size()) for part in self.parts if part is not None]

    def wait(self) -> bool:
        """Whether nobody has read them, hence nobody can have changed them."""
        return self.made is None and not (self.alias and self.before and not self.before[0].wait())

    def numbers(self) -> Tensor:
        """The logits as a plain tensor (..., C), always the same one."""
        if self.made is None and self.alias and self.before:
            logits, function = self.before
            with torch.inference_mode(False), torch.enable_grad():
                self.made = function(logits.numbers())
        elif self.made is None:
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

    def then(self, function: Callable, *arguments: Any) -> Logits | None:
        """function(self, *arguments), without its numbers, if that is one of the things that a model may do."""
        scale, cap, dtype, parts = self.scale, self.cap, self.dtype, self.parts
        if function in _TANH and not arguments and cap is None:
            cap = 1.0
        elif (
            function in _FACTORS and len(arguments) == 1 and type(arguments[0]) in (int, float) and 0 < arguments[0] < math.inf
        ):
            factor = _FACTORS[function](arguments[0])
            scale, cap = (scale * factor, cap) if cap is None else (scale, cap * factor)
        elif function in (Tensor.float, Tensor.contiguous) and not arguments:
            dtype = torch.float32 if function is Tensor.float else dtype
        elif (rows := self.rows(function, *arguments)) is not None:
            parts = rows, *parts[1:]
        else:
            return None
        result = _Then.apply(self, lambda x: function(x, *arguments), parts, scale, cap, dtype)
        result.alias = parts is not self.parts
        result.versions = result.now() if result.alias else self.versions
        return result

    def rows(self, function: Callable, *arguments: Any) -> Tensor | None:
        """The hidden states of function(self, *arguments), if that is a view of whole rows."""
        input, width = self.parts[0], self.shape[-1]
        if self.now() != self.versions:
            return None
        if function in _SHAPES and all(isinstance(size, (int, tuple, list)) for size in arguments):  # a view may be of a dtype
            shape = function(torch.empty(self.shape, device="meta"), *arguments).shape
            return input.reshape(*shape[:-1], input.shape[-1]) if shape[-1:] == (width,) else None
        if function is not Tensor.__getitem__:
            return None
        index = arguments[0] if type(arguments[0]) is tuple else arguments
        if not all(part is Ellipsis or type(part) is slice for part in index) or index.count(Ellipsis) > 1:
            return None
        index = index if Ellipsis in index else (*index, Ellipsis)
        whole = len(index) <= self.dim() if index[-1] is Ellipsis else index[-1] == slice(None)
        return input[index] if whole else None

    def cross_entropy(self, *args: Any, **kwargs: Any) -> Tensor | None:
        """torch.nn.functional.cross_entropy(self, *args, **kwargs) of rows (N, C) and classes (N,), without the numbers.

        None if they are needed, or if the arguments are not torch's, which says what is wrong with them.
        """
        try:
            options = _CROSS_ENTROPY.bind(self, *args, **kwargs).arguments
        except TypeError:
            return None
        target, more = options["target"], [options.pop(name, None) for name in ("weight", "size_average", "reduce")]
        classes = isinstance(target, Tensor) and target.dtype == torch.int64 and target.shape == self.shape[:1]
        if not classes or self.dim() != 2 or any(option is not None for option in more) or self.now() != self.versions:
            return None
        wide = torch.promote_types(self.dtype, torch.float32)  # of 16 bits, the loss would be rounded to them
        rows, weight, bias = (None if part is None else part.to(wide) for part in self.parts)
        factor = self.scale * (self.cap or 1.0)  # cap * tanh(scale * x) = softcapped(factor * x, cap)
        if not math.isclose(factor, 1.0, rel_tol=1e-12):
            rows, bias = rows * factor, None if bias is None else bias * factor
        options |= {"input": rows, "linear_weight": weight, "linear_bias": bias, "softcap": self.cap}
        loss = F.linear_cross_entropy(**options)
        return loss.to(torch.float32 if torch.is_autocast_enabled(self.device.type) else self.dtype)

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        first = args[0] if args else None
        if isinstance(first, Logits) and first.wait():
            if func in FACTS and not (first.before and func is Tensor.register_hook):
                with torch._C.DisableTorchFunctionSubclass():
                    return func(*args, **(kwargs or {}))
            if func is Tensor.float and first.dtype == torch.float32:
                return first
            if func is Tensor.contiguous and (not first.alias or first.parts[0].is_contiguous()):
                return first
            if torch.is_grad_enabled():
                if func is torch.nn.functional.cross_entropy:
                    result = first.cross_entropy(*args[1:], **(kwargs or {}))
                else:
                    result = None if kwargs else first.then(func, *args[1:])
                if result is not None:
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
        _, *needs = wanted(ctx)
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
    def forward(
        ctx, logits: Logits, function: Callable, parts: tuple, scale: float, cap: float | None, dtype: torch.dtype
    ) -> Tensor:
        ctx.before = logits, function
        result = Logits(parts, dtype)
        result.before, result.scale, result.cap = ctx.before, scale, cap
        return result

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, function = ctx.before
        x, again = logits.fresh(), torch.is_grad_enabled()
        with torch.enable_grad():
            [gradient] = torch.autograd.grad(function(x), x, grad, create_graph=again)
        return gradient, None, None, None, None, None


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
