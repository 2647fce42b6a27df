"""Argument checks: torch's exception types, and messages that name the function, the argument, what came and what is needed."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def fail(error: type[Exception], function: str, argument: str, problem: str) -> NoReturn:
    raise error(f"{function}(): argument '{argument}': {problem}")


def check_tensor(function: str, argument: str, value: object) -> None:
    if not isinstance(value, Tensor):
        mend = (
            "; convert it with torch.as_tensor(...)" if hasattr(value, "__array__") or isinstance(value, (list, tuple)) else ""
        )
        fail(TypeError, function, argument, f"must be Tensor, not {type(value).__name__}{mend}")


def check_float(function: str, argument: str, value: Tensor) -> None:
    check_tensor(function, argument, value)
    if value.dtype not in FLOATS:
        fail(
            RuntimeError, function, argument,
            f'"{function}" not implemented for \'{_scalar_name(value.dtype)}\'; it needs a floating-point tensor: call .float() on it',
        )  # fmt: skip


def check_shape(function: str, argument: str, value: Tensor, shape: tuple[int, ...], meaning: str) -> None:
    if tuple(value.shape) != tuple(shape):
        fail(RuntimeError, function, argument, f"expected shape {tuple(shape)} ({meaning}), got {tuple(value.shape)}")


def _scalar_name(dtype: torch.dtype) -> str:
    """torch's name of a dtype in its messages: Long for int64, ..."""
    names = {
        torch.float64: "Double", torch.float32: "Float", torch.bfloat16: "BFloat16", torch.float16: "Half",
        torch.int64: "Long", torch.int32: "Int", torch.int16: "Short", torch.int8: "Char", torch.uint8: "Byte", torch.bool: "Bool",
    }  # fmt: skip
    return names.get(dtype, str(dtype).removeprefix("torch."))
