"""Adam and AdamW with moments in 8 bits."""

from __future__ import annotations

from typing import Any, Iterable

import torch
from torch import Tensor

from scratchnet.functions.checks import fail, is_float
from scratchnet.ops.dropout import random_bits
from scratchnet.optim.adam import check_betas
from scratchnet.optim.rule import Rule, check_not_negative, number

BLOCK = 256  # numbers that share a scale
_DROPPED = 20  # bits of a float32 that a code lacks, 3 of its fraction are left; rounding draws the upper 16 of them
_ONE = 127 << 3  # the exponent and these 3 bits of 1.0
_LEAST = 1e-37  # of a scale, so that it has an inverse
_M, _V = (_ONE - 127, 127), (_ONE - 255, 255)  # exponent and fraction of code 0, and the largest code, that of 1.0


class Adam8bit(Rule):
    """Adam whose two moments are kept in a byte each: a quarter of the memory, and of the bytes that a step moves for them.

    Blocks of 256 numbers share a float32 scale, their largest magnitude; relative to it a number is an exponent and 3 bits of
    fraction. m has a sign and 16 powers of two, v has 32, and is never rounded to 0: a denominator too small would make a step
    too large. Rounding is random, with bits that depend on the step and the place alone, so that means are exact: to nearest, v
    would stand still, since a step of it moves less than half a code. Blocks begin anew in each parameter. The state is
    exp_avg and exp_avg_sq, uint8 of the parameter's shape, and scales (2, blocks).

    A gradient that is not finite, or whose square is not, makes its block NaN. Float64 parameters, other devices than the CPU,
    parameters with gaps and DTensors take the formula in plain operations. Of a DTensor, each process has the state of its own
    shard, whose blocks begin there: state_dict() would be one process's and raises RuntimeError.

    Dettmers et al.: 8-bit optimizers via block-wise quantization, https://arxiv.org/abs/2110.02861 (codes of another kind).
    ValueError for a negative option or a beta outside [0, 1); RuntimeError for a parameter that is not floating-point, and in
    step for sparse gradients.
    """

    operator = "adam8bit"
    _decoupled = False

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        check_not_negative(self, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(self, betas)
        super().__init__(params, lr=lr, betas=tuple(map(number, betas)), eps=eps, weight_decay=weight_decay, maximize=maximize)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups.pop()  # it comes back if nothing is wrong with it
        for param in group["params"]:
            if not is_float(param):
                problem = f"parameters must be floating-point, but one is {param.dtype}; optim.AdamW takes complex ones"
                fail(RuntimeError, type(self).__name__, "params", problem)
        self.param_groups.append(group)

    def state_dict(self) -> dict[str, Any]:
        """The state of all parameters. RuntimeError if one is sharded: tools that save would take one process's for all."""
        if any(_shard(param).shape != param.shape for group in self.param_groups for param in group["params"]):
            problem = "a parameter is sharded, and blocks of 256 numbers begin in each shard: no state of the whole one exists"
            hint = "use optim.AdamW with fully_shard or tensor parallelism, or save `optimizer.state` in each process"
            raise RuntimeError(f"{type(self).__name__}.state_dict(): {problem}; {hint}")
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state_dict; codes and scales keep their dtypes, whatever that of the parameters.

        RuntimeError for the state of a parameter of another shape, as of a whole one that is a shard here.
        """
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=False):
            for param, key in zip(group["params"], saved["params"], strict=False):
                codes, shape = state_dict["state"].get(key, {}).get("exp_avg"), tuple(_shard(param).shape)
                if codes is not None and tuple(codes.shape) != shape:
                    problem = f"parameter {key} has {shape} numbers here, and its state is of {tuple(codes.shape)}"
                    hint = "load it into the same model, before it is sharded"
                    fail(RuntimeError, f"{type(self).__name__}.load_state_dict", "state_dict", f"{problem}: {hint}")
        super().load_state_dict(state_dict)  # casts every state to the dtype of its parameter
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            for param, key in zip(group["params"], saved["params"], strict=True):
                for name in ("exp_avg", "exp_avg_sq", "scales"):
                    if key in state_dict["state"]:
                        self.state[param][name] = state_dict["state"][key][name].detach().clone().to(param.device)

    def update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.start(param, group)
        if hasattr(param, "to_local"):
            grad = grad.redistribute(param.device_mesh, param.placements)  # of tensor parallelism, it may be a part of a sum
            param, grad = param.to_local(), grad.to_local()
        lr, (beta1, beta2), weight_decay = number(group["lr"]), group["betas"], group["weight_decay"]
        state["step"] += 1
        t = state["step"] if torch.compiler.is_compiling() else state["step"].item()
        order = sorted(range(param.ndim), key=state["exp_avg"].stride, reverse=True)  # blocks follow the memory
        wide = torch.promote_types(param.dtype, torch.float32)
        p, g = (tensor.permute(order).reshape(-1).to(wide) for tensor in (param, grad))
        codes = [state[name].permute(order).reshape(-1) for name in ("exp_avg", "exp_avg_sq")]
        m, v = (decoded(*pair, signed).to(wide) for *pair, signed in zip(codes, state["scales"], (True, False), strict=True))

        if self._decoupled:
            p = p * (1 - lr * weight_decay)
        elif weight_decay != 0:
            g = g + weight_decay * p
        m = m.lerp(g, 1 - beta1)
        v = v * beta2 + (1 - beta2) * g * g
        p = p - lr / (1 - beta1**t) * m / (v.sqrt() / (1 - beta2**t) ** 0.5 + group["eps"])

        shape = [param.shape[axis] for axis in order]
        param.permute(order).copy_(p.view(shape))
        random = random_bits(state["step"].long().to(param.device), 1, len(p))[0]
        for row, (name, moment, chance) in enumerate([("exp_avg", m, random & 0xFFFF), ("exp_avg_sq", v, random >> 16)]):
            code, scales = encoded(moment.float(), chance, signed=row == 0)
            state[name].permute(order).copy_(code.view(shape))
            state["scales"][row] = scales

    def start(self, param: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state, param = self.state[param], _shard(param)
        if not state:
            state["step"] = self.new_step_count(param, group)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(param, dtype=torch.uint8, memory_format=torch.preserve_format)
            state["scales"] = torch.zeros(2, -(-param.numel() // BLOCK), device=param.device)
        return state

    def kernel_state(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return "step", "exp_avg", "exp_avg_sq", "scales"

    def kernel_options(self, group: dict[str, Any]) -> tuple:
        return group["lr"], *group["betas"], group["eps"], group["weight_decay"], self._decoupled, group["maximize"]


class AdamW8bit(Adam8bit):
    """Adam8bit with decoupled weight decay, as AdamW is Adam: param *= 1 - lr * weight_decay.

    ValueError for a negative option or a beta outside [0, 1); RuntimeError for a parameter that is not floating-point, and in
    step for sparse gradients.
    """

    _decoupled = True

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize)


def _shard(tensor: Tensor) -> Tensor:
    """What this process has of a DTensor; any other tensor as it is."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def decoded(codes: Tensor, scales: Tensor, signed: bool) -> Tensor:
    """The float32 numbers of uint8 codes (N) and the scales (blocks) of their blocks; csrc/cpu/optim/codes.h."""
    codes, (base, most) = codes.int(), _M if signed else _V
    size = ((codes & most) + base) << _DROPPED
    numbers = size.view(torch.float32)
    if signed:
        numbers = torch.where(codes & most == 0, 0.0, torch.where(codes > most, -numbers, numbers))
    return numbers * scales.repeat_interleave(BLOCK)[: len(codes)]


def encoded(numbers: Tensor, chance: Tensor, signed: bool) -> tuple[Tensor, Tensor]:
    """uint8 codes (N) of float32 numbers (N) and the scales (blocks); rounds up where `chance`, in 16 bits, carries."""
    base, most = _M if signed else _V
    largest = torch.nn.functional.pad(numbers.abs(), (0, -len(numbers) % BLOCK)).view(-(-len(numbers) // BLOCK), BLOCK).amax(1)
    scales = torch.where(largest.isfinite(), largest, torch.nan)
    inverse = (1 + 2**-22) / largest.clamp(min=_LEAST)  # times that the largest is never below 1
    relative = numbers * inverse.repeat_interleave(BLOCK)[: len(numbers)]
    bits = (relative.abs().view(torch.int32) + (chance.int() << (_DROPPED - 16))) >> _DROPPED
    codes = (bits - base).clamp(0, most)
    if signed:
        codes = codes | relative.signbit().int() << 7
    return codes.to(torch.uint8), scales
