"""What every update rule shares: checks, the closure, the walk over the parameters."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Iterable

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim import Optimizer

from scratchnet import backends
from scratchnet.functions.checks import fail, teach
from scratchnet.nn.utils import clip_factor, get_total_norm
from scratchnet.optim import compiled

_OFF = {"foreach": None, "fused": None, "momentum": 0}  # what a checkpoint without the option means; other options: False


class Rule(Optimizer):
    """torch's Optimizer whose step updates a group in one compiled pass, or calls `update` for each parameter.

    `update` is the formula in plain operations. It runs where a rule has no kernel, off the CPU, under torch.compile, with
    differentiable, capturable or fused=False, and `with scratchnet.backend("reference")`. The kernel `operator` computes the
    same. `with scratchnet.backend("torch")` torch's own step runs. foreach chooses among torch's implementations only.
    """

    operator: str | None = None  # the compiled step, a key of compiled.SCHEMAS; None: the formula is all there is
    grad_norm: Tensor | None = None  # of the last step that was given max_norm, before clipping
    _zeroed = _moved = False  # whether zero_grad was called since the last step; whether a step found a gradient or warned

    def __init__(self, params: Iterable, **options: Any) -> None:
        name = type(self).__name__
        if not isinstance(params, Tensor):
            params = list(params)
            if not params:
                problem = (
                    "optimizer got an empty parameter list; it needs model.parameters() of a model that has parameters (plain "
                    "tensors and lists as attributes do not count: use nn.Parameter, nn.ModuleList); a generator that was read "
                    "before is empty too (keep it as list(model.parameters()))"
                )
                fail(ValueError, name, "params", problem)
        if options.get("fused") and options["differentiable"]:
            fail(RuntimeError, name, "fused", "`fused` does not support `differentiable`; leave one of them out")
        if options.get("fused") and options["foreach"]:
            fail(RuntimeError, name, "fused", "`fused` and `foreach` cannot be `True` together; leave both out")
        Optimizer.__init__(self, params, options)  # not super(): torch's optimizer of the same name comes first

    # A GradScaler leaves unscaling to torch's fused steps, whose instances say so; `accelerate` makes those instances ours.
    _step_supports_amp_scaling = property(lambda self: False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients: until the next backward they are None, or zeros."""
        super().zero_grad(set_to_none)
        self._zeroed = True

    def step(self, closure: Callable[[], Any] | None = None, *, max_norm: float | None = None) -> Any:
        """Update every parameter once; `closure` recomputes the loss first, and its value is returned.

        max_norm: what clip_grad_norm_ of all its parameters and then step would do, without another pass over the gradients,
        which stay as they are; `grad_norm` is their norm. ValueError for a negative one, RuntimeError with differentiable.
        """
        if max_norm is None and backends.current() == backends.TORCH:
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            work = [(group, [param for param in group["params"] if param.grad is not None]) for group in self.param_groups]
            if not torch.compiler.is_compiling() and not self._moved:
                self._look_for_gradients(work)
            for group, params in work:  # before anything is written
                if any([param.grad.is_sparse for param in params]):
                    self.check_sparse(group)
            factor = None if max_norm is None else self._clip_factor(max_norm, [p.grad for _, params in work for p in params])
            if backends.current() == backends.TORCH:
                self._step_of_torch(work, factor)
                return loss
            for group, params in work:
                for param in self._compiled_step(group, params, factor):
                    grad = param.grad if factor is None else param.grad * factor.to(param.grad.device)
                    self.update(param, -grad if group.get("maximize") else grad, group)
        return loss

    def _clip_factor(self, max_norm: float, grads: list[Tensor]) -> Tensor:
        name = type(self).__name__
        if self.defaults.get("differentiable"):
            problem = "`max_norm` does not support `differentiable`: the norm has no gradient; clip before the step"
            fail(RuntimeError, f"{name}.step", "max_norm", problem)
        if not max_norm >= 0:
            fail(ValueError, f"{name}.step", "max_norm", f"must be 0 or larger, but is {max_norm}; None clips nothing")
        self.grad_norm = get_total_norm(grads)
        return clip_factor(max_norm, self.grad_norm)

    def _step_of_torch(self, work: list[tuple[dict[str, Any], list[Tensor]]], factor: Tensor | None) -> None:
        """torch's own step with the gradients times the factor, which are back afterwards."""
        grads = [(param, param.grad) for _, params in work for param in params]
        for param, grad in grads:
            param.grad = grad if factor is None else grad * factor.to(grad.device)
        try:
            super().step()
        finally:
            for param, grad in grads:
                param.grad = grad

    def _look_for_gradients(self, work: list[tuple[dict[str, Any], list[Tensor]]]) -> None:
        """A TeachingWarning if zero_grad was called but no backward; code that tries out a schedule calls step alone."""
        found = any(params for _, params in work)
        trained = any(param.requires_grad for group, _ in work for param in group["params"])
        if self._zeroed and trained and not found:
            problem = "step() has found no gradient for any parameter and changes nothing"
            teach(f"{type(self).__name__}: {problem}. The order is zero_grad(), forward, loss.backward(), step().")
        self._moved, self._zeroed = found or self._zeroed, False

    def _compiled_step(self, group: dict[str, Any], params: list[Tensor], factor: Tensor | None) -> list[Tensor]:
        """Update in one pass what the kernel can update, and return the other parameters."""
        kernel = None if self.operator is None else compiled.kernel(self.operator)
        if kernel is None or group.get("differentiable") or group.get("capturable") or group.get("fused") is False:
            return params
        names, states = self.kernel_state(group), []
        ready, others = [], []
        for param in params:
            state = self.start(param, group) if compiled.takes(param) else None
            if state is None:
                others.append(param)
            else:
                ready.append(param)
                states.append(state)
        if ready:
            columns = [[state[name] for state in states] if name else [] for name in names]
            options = [*map(number, self.kernel_options(group)), 1.0 if factor is None else factor.item()]
            left = kernel(ready, [param.grad for param in ready], *columns, *options)
            increment_version([*ready, *(tensor for column in columns for tensor in column)])
            others += [ready[i] for i in left]
        return others

    def start(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor] | None:
        """The parameter's state, created in its first step; None: the formula has to take this step."""
        raise NotImplementedError

    def kernel_state(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        """The names of the state tensors in the order of the kernel's schema; None for one that the options do not need."""
        raise NotImplementedError

    def kernel_options(self, group: dict[str, Any]) -> tuple:
        """The options in the order of the kernel's schema."""
        raise NotImplementedError

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        """Update one parameter in place; `grad` points uphill."""
        raise NotImplementedError

    def check_sparse(self, group: dict[str, Any]) -> None:
        """RuntimeError where the rule has no formula for sparse gradients."""
        raise RuntimeError(
            f"{type(self).__name__} does not support sparse gradients: use Embedding(sparse=False), or SGD without momentum"
        )

    def new_step_count(self, param: Tensor, group: dict[str, Any]) -> Tensor:
        """0, in the dtype and on the device where torch counts: float32 holds every count below 2^24 exactly."""
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        device = param.device if group.get("capturable") or group.get("fused") else "cpu"
        return torch.zeros((), dtype=torch.float32 if group.get("fused") else dtype, device=device)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Optimizer.__setstate__(self, state)
        options = self.defaults.keys() & inspect.signature(type(self)).parameters.keys()  # torch adds "differentiable" to all
        for group in self.param_groups:  # a checkpoint of an older torch lacks the newer options: switch them off
            for name in options:
                group.setdefault(name, _OFF.get(name, False))
            for param in group["params"]:  # and its step count is a plain number
                step = self.state.get(param, {}).get("step")
                if step is not None and not isinstance(step, Tensor):
                    self.state[param]["step"] = self.new_step_count(param, group) + float(step)


def check_not_negative(optimizer: Rule, **options: float | Tensor) -> None:
    """ValueError, in torch's words, for a negative or NaN option."""
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            fail(ValueError, type(optimizer).__name__, name, f"Tensor {name} must be 1-element, got shape {tuple(value.shape)}")
        if not value >= 0:
            words = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            fail(ValueError, type(optimizer).__name__, name, f"Invalid {words}: {value}; it must be 0 or larger")


def scalar(option: float | Tensor) -> float | Tensor:
    """A number as it is; a one-element tensor without its axes, so that it broadcasts against any parameter."""
    return option.squeeze() if isinstance(option, Tensor) else option


def number(option: float | Tensor) -> float:
    """An option as the plain number that a kernel takes."""
    return option.item() if isinstance(option, Tensor) else option


def add_scaled(a: Tensor, b: Tensor, scale: float | Tensor) -> Tensor:
    """a + scale * b; a scale that requires grad gets its gradient, and b may change in place afterwards."""
    if isinstance(scale, Tensor) and scale.requires_grad:
        return torch.addcmul(a, b.clone(), scale)
    return a.add(b, alpha=scale)


def real_views(param: Tensor, *tensors: Tensor | None) -> list[Tensor | None]:
    """The same tensors, viewed as real if the parameter is complex: its real and imaginary parts are two parameters."""
    if not param.is_complex():
        return [param, *tensors]
    return [None if tensor is None else torch.view_as_real(tensor) for tensor in (param, *tensors)]


def descend(param: Tensor, lr: float | Tensor, move: Tensor, size: Tensor | None = None) -> None:
    """param -= lr * move / size, in place; an lr that requires grad gets its gradient."""
    if isinstance(lr, Tensor) and lr.requires_grad:
        move, lr = lr * move, 1
    if size is None:
        param.add_(move, alpha=-lr)
    else:
        param.addcdiv_(move, size, value=-lr)
