"""Argument checks: torch's exception types, and messages that name the function, the argument, what came and what is needed."""

from __future__ import annotations

import sys
import warnings
from typing import NoReturn

import torch
from torch import Tensor
from torch.nn import Module

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
HALVES = (torch.bfloat16, torch.float16)
AUTOCAST = (torch.float32, torch.bfloat16, torch.float16)  # what autocast brings to one dtype


def is_float(value: object) -> bool:
    """Whether this is a tensor of one of the four floating dtypes."""
    return isinstance(value, Tensor) and value.dtype in FLOATS


def fail(error: type[Exception], function: str, argument: str, problem: str) -> NoReturn:
    """Raise `error` about an argument of a function; inside a model's forward, with the layer that called it."""
    raise error(f"{function}(): argument '{argument}': {problem}{_layer_at_work()}")


def _layer_at_work() -> str:
    """The innermost module whose forward is on the stack, and its name in the outermost: "; in layer 'body.2', Linear(...)"."""
    modules, frame = [], None if torch.compiler.is_compiling() else sys._getframe(2)
    while frame:
        if frame.f_code.co_name == "forward" and isinstance(module := frame.f_locals.get("self"), Module):
            modules.append(module)
        frame = frame.f_back
    if not modules:
        return ""
    layer, model = modules[0], modules[-1]
    name = next((f"layer '{name}', " for name, module in model.named_modules() if name and module is layer), "")
    return f"; in {name}{type(layer).__name__}({layer.extra_repr()})"


class TeachingWarning(UserWarning):
    """A call that runs, in torch without a warning, but is hardly what was meant.

    Off: `warnings.simplefilter("ignore", scratchnet.TeachingWarning)`.
    """


def teach(message: str) -> None:
    """A TeachingWarning at the innermost line of a program that is neither ours nor torch's; not inside torch.compile."""
    if torch.compiler.is_compiling():
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("scratchnet", "torch"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, TeachingWarning, stacklevel=level)


def warn(message: str, stacklevel: int) -> None:
    """warnings.warn, where `stacklevel` counts from the caller; not inside torch.compile, which would stop at it."""
    if not torch.compiler.is_compiling():
        warnings.warn(message, stacklevel=stacklevel + 1)


def check_tensor(function: str, argument: str, value: object) -> None:
    """TypeError for anything but a tensor."""
    if not isinstance(value, Tensor):
        numbers = hasattr(value, "__array__") or isinstance(value, (list, tuple))
        fix = "; convert it with torch.as_tensor(...)" if numbers else ""
        fail(TypeError, function, argument, f"must be Tensor, not {type(value).__name__}{fix}")


def check_float(function: str, argument: str, value: Tensor) -> None:
    """TypeError for anything but a tensor, NotImplementedError for one of another dtype than the four floats."""
    check_tensor(function, argument, value)
    if value.dtype not in FLOATS:
        fix = "" if value.is_complex() else ": call .float() on it"
        problem = f"\"{function}\" not implemented for '{scalar_name(value.dtype)}'; it needs a floating-point tensor{fix}"
        fail(NotImplementedError, function, argument, problem)


def check_shape(function: str, argument: str, value: Tensor, shape: tuple[int, ...], meaning: str) -> None:
    """RuntimeError for another shape; `meaning` says why it has to be this one."""
    if tuple(value.shape) != tuple(shape):
        fail(RuntimeError, function, argument, f"expected shape {tuple(shape)} ({meaning}), got {tuple(value.shape)}")


def check_device(function: str, argument: str, value: Tensor, other_argument: str, other: Tensor) -> None:
    """RuntimeError, as from torch, for two tensors on two devices."""
    if value.device != other.device:
        devices = f"{argument} is on {value.device}, different from {other_argument} on {other.device}"
        problem = f"Expected all tensors to be on the same device, but got {devices}"
        fail(RuntimeError, function, argument, f"{problem}; move it with {argument}.to({other_argument}.device)")


def reduction_name(size_average: bool | None, reduce: bool | None, reduction: str, stacklevel: int = 3) -> str:
    """The reduction that torch's two deprecated flags stand for, with its warning; `reduction` itself when neither is given.

    stacklevel: where the warning points, as for `warnings.warn`: 3 is the caller's caller.
    """
    if size_average is None and reduce is None:
        return reduction
    name = "none" if reduce is False else "sum" if size_average is False else "mean"
    warn(f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.", stacklevel=stacklevel)
    return name


def same_dtype(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have one dtype, or autocast will bring them to one."""
    if a.dtype == b.dtype:
        return True
    device = a.device.type
    return a.dtype in AUTOCAST and b.dtype in AUTOCAST and device in ("cpu", "cuda") and torch.is_autocast_enabled(device)


def alike(first: object, *others: object) -> bool:
    """Whether these are tensors on one device of one dtype, which is not bool, or of some that autocast brings to one."""
    if not isinstance(first, Tensor) or (dtype := first.dtype) is torch.bool:
        return False
    device = first.device
    for other in others:
        if not (isinstance(other, Tensor) and (other.dtype is dtype or same_dtype(first, other)) and other.device == device):
            return False
    return True


def check_dtypes(function: str, name_a: str, a: Tensor, name_b: str, b: Tensor) -> None:
    """RuntimeError, as from torch's matrix products, for two dtypes, unless autocast will bring them to one."""
    if same_dtype(a, b):
        return
    blame_b = _rarity(b.dtype) > _rarity(a.dtype)
    argument, other, dtype = (name_b, name_a, b.dtype) if blame_b else (name_a, name_b, a.dtype)
    fix = f"call {argument}.to({other}.dtype)"
    if {a.dtype, b.dtype} == {torch.float32, torch.float64}:
        fix = f"float64 is what NumPy makes: call {argument}.float()"
    elif not dtype.is_floating_point:
        fix += "; ids, if that is what it holds, belong in an embedding"
    kinds = " != ".join(_C_NAMES.get(t.dtype, str(t.dtype).removeprefix("torch.")) for t in (a, b))
    problem = f"expected m1 and m2 to have the same dtype, but got: {kinds} ({name_a} {a.dtype}, {name_b} {b.dtype})"
    fail(RuntimeError, function, argument, f"{problem}; {fix}")


def _rarity(dtype: torch.dtype) -> int:
    """A larger number for a dtype that is more likely the mistake."""
    return 2 if not dtype.is_floating_point else 1 if dtype == torch.float64 else 0


_C_NAMES = {torch.float32: "float", torch.float64: "double", torch.int64: "long int", torch.int32: "int", torch.bool: "bool"}
_SCALARS = {
    torch.float32: "Float", torch.float64: "Double", torch.bfloat16: "BFloat16", torch.float16: "Half",
    torch.int64: "Long", torch.int32: "Int", torch.int16: "Short", torch.int8: "Char", torch.uint8: "Byte", torch.bool: "Bool",
    torch.complex64: "ComplexFloat", torch.complex128: "ComplexDouble",
}  # fmt: skip


def scalar_name(dtype: torch.dtype) -> str:
    """torch's name of a dtype in its messages: Long for int64, ..."""
    return _SCALARS.get(dtype, str(dtype).removeprefix("torch."))
