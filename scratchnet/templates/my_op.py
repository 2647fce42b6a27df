"""my_op(x) = x sigmoid(x): one operator for CPU (C++) and GPU (Triton) that autograd and torch.compile know.

The same formula is in my_op_oracle.py, my_op.cpp and my_op_triton.py. Change it in all of them, then run `pytest`.
"""

import ctypes
import functools
from pathlib import Path

import torch
from torch import Tensor

from scratchnet.checker.compiler import shared_library

C_NAMES = {torch.float32: "float", torch.float64: "double"}


@functools.cache
def library() -> ctypes.CDLL:
    """my_op.cpp, compiled if it is newer than the last build."""
    source, target = Path(__file__).with_suffix(".cpp"), Path(__file__).with_name("libmy_op.so")
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        shared_library(source, target)
    return ctypes.CDLL(str(target))


def run(direction: str, *inputs: Tensor) -> Tensor:
    """Call a C++ kernel with contiguous inputs of one shape, memory for the result, and the number of elements."""
    inputs = [t.contiguous() for t in inputs]
    if inputs[0].dtype not in C_NAMES:
        raise NotImplementedError(f"my_op: float32 or float64, got {inputs[0].dtype}: call .float()")
    result = torch.empty_like(inputs[0])
    kernel = getattr(library(), f"{direction}_{C_NAMES[result.dtype]}")
    kernel(*[ctypes.c_void_p(t.data_ptr()) for t in (*inputs, result)], ctypes.c_int64(result.numel()))
    return result


@torch.library.custom_op("my_op::forward", mutates_args=(), device_types="cpu")
def my_op(x: Tensor) -> Tensor:
    """x sigmoid(x), elementwise."""
    return run("forward", x)


@torch.library.custom_op("my_op::backward", mutates_args=(), device_types="cpu")
def my_op_backward(grad: Tensor, x: Tensor) -> Tensor:
    """grad times the derivative at x."""
    return run("backward", grad, x)


@my_op.register_kernel("cuda")
def _(x):
    import my_op_triton

    return my_op_triton.my_op_forward(x)


@my_op_backward.register_kernel("cuda")
def _(grad, x):
    import my_op_triton

    return my_op_triton.my_op_backward(grad, x)


@my_op.register_fake
def _(x):  # shape, dtype and strides of the result, for torch.compile
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@my_op_backward.register_fake
def _(grad, x):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _save(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


my_op.register_autograd(lambda ctx, grad: my_op_backward(grad, *ctx.saved_tensors), setup_context=_save)
