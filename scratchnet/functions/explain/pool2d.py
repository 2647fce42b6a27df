"""Why a call of max_pool2d, avg_pool2d or adaptive_avg_pool2d is wrong."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from scratchnet.functions.checks import check_float, check_tensor, fail, scalar_name
from scratchnet.oracle.pool2d import output_size as count_windows

Pair = int | Sequence[int]  # one number for both axes, or (rows, columns)


def max_pool2d(input: Tensor, kernel_size: Pair, stride: Pair | None, padding: Pair, dilation: Pair, ceil_mode: bool) -> None:
    check_tensor("max_pool2d", "input", input)
    _check_window("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode)
    if input.dtype == torch.bool or input.is_complex():
        fail(NotImplementedError, "max_pool2d", "input", f"\"max_pool2d\" not implemented for '{scalar_name(input.dtype)}'")


def avg_pool2d(
    input: Tensor, kernel_size: Pair, stride: Pair | None, padding: Pair, ceil_mode: bool, divisor_override: int | None
) -> None:
    check_tensor("avg_pool2d", "input", input)
    if not isinstance(ceil_mode, bool):
        fail(TypeError, "avg_pool2d", "ceil_mode", f"must be bool, not {type(ceil_mode).__name__}")
    if divisor_override is not None and not isinstance(divisor_override, int):
        fail(TypeError, "avg_pool2d", "divisor_override", f"must be int, not {type(divisor_override).__name__}")
    if divisor_override == 0:
        fail(RuntimeError, "avg_pool2d", "divisor_override", "divisor must be not zero; None divides by the size of the window")
    _check_window("avg_pool2d", input, kernel_size, stride, padding, 1, ceil_mode)
    if input.dtype != torch.int64:
        check_float("avg_pool2d", "input", input)


def adaptive_avg_pool2d(input: Tensor, output_size: int | None | Sequence[int | None]) -> None:
    name = "adaptive_avg_pool2d"
    check_tensor(name, "input", input)
    wanted = (output_size, output_size) if isinstance(output_size, (int, torch.SymInt)) else output_size
    if isinstance(output_size, bool) or not isinstance(wanted, (tuple, list)):
        fail(TypeError, name, "output_size", f"must be tuple of ints, not {type(output_size).__name__}")
    if input.dim() <= len(wanted):
        least = f"Input dimension should be at least {len(wanted) + 1}, got {input.dim()}"
        error = ValueError if wanted is output_size else RuntimeError  # torch's own inconsistency
        fail(error, name, "input", f"{least}; give it the missing axes with unsqueeze(0)")
    for size in wanted:
        if size is not None and not is_int(size):
            fail(TypeError, name, "output_size", f"must be tuple of ints, but found an element of type {type(size).__name__}")
    if len(wanted) != 2:
        fail(RuntimeError, name, "output_size", f"output_size must be 2 numbers, rows and columns, got {tuple(wanted)}")
    sizes = [size if out is None else out for out, size in zip(wanted, input.shape[-2:], strict=True)]
    if min(sizes) < 0:
        problem = f"elements of output_size must be greater than or equal to 0 but received {tuple(wanted)}"
        fail(RuntimeError, name, "output_size", problem)
    if input.dim() not in (3, 4) and sizes != [1, 1]:
        fail(RuntimeError, name, "input", f"Expected 3D or 4D tensor, but got {list(input.shape)}")
    if sizes == [1, 1] and (input.is_complex() or 0 in input.shape[-2:]):  # torch's mean
        return
    if 0 in input.shape[-2:]:
        problem = "Expected input to have non-zero size for non-batch dimensions, but input has sizes"
        fail(RuntimeError, name, "input", f"{problem} {list(input.shape)}")
    check_float(name, "input", input)


def is_int(value: object) -> bool:
    return isinstance(value, (int, torch.SymInt)) and not isinstance(value, bool)


def _pair(name: str, argument: str, value: Pair) -> list[int]:
    """The numbers for rows and columns."""
    numbers = list(value) if isinstance(value, (tuple, list)) else [value]
    for number in numbers:
        if not is_int(number):
            fail(TypeError, name, argument, f"must be tuple of ints, not {type(number).__name__}")
    if len(numbers) not in (1, 2):
        problem = f"{argument} must either be a single int, or a tuple of two ints, got {tuple(numbers)}"
        fail(RuntimeError, name, argument, problem)
    return numbers * 2 if len(numbers) == 1 else numbers


def _check_window(name: str, input: Tensor, kernel_size, stride, padding, dilation, ceil_mode) -> None:
    """The windows fit the image."""
    kernel = _pair(name, "kernel_size", kernel_size)
    stride = kernel if stride is None or stride == () or stride == [] else _pair(name, "stride", stride)
    padding, dilation = _pair(name, "padding", padding), _pair(name, "dilation", dilation)
    words = {"kernel_size": "kernel size", "stride": "stride", "dilation": "dilation"}
    for argument, pair in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(pair) < 1:
            fail(RuntimeError, name, argument, f"{words[argument]} should be greater than zero, but got {tuple(pair)}")
    for pad, size, step in zip(padding, kernel, dilation, strict=True):
        if pad < 0:
            fail(RuntimeError, name, "padding", f"pad must be non-negative, but got pad: {pad}")
        if pad > (step * (size - 1) + 1) // 2:
            limit = "pad should be at most half of effective kernel size"
            fail(RuntimeError, name, "padding", f"{limit}, but got pad={pad}, kernel_size={size} and dilation={step}")
    expected = "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input"
    if input.dim() not in (3, 4):
        needs = "non-empty 3D or 4D (batch mode) tensor expected for input, (C, H, W) or (N, C, H, W)"
        error = IndexError if name == "avg_pool2d" and input.dim() < 3 else RuntimeError  # torch's own inconsistency
        fail(error, name, "input", f"{needs}, got {list(input.shape)}. {expected}")
    if 0 in input.shape[-3:]:
        fail(RuntimeError, name, "input", f"{expected}, but got:{list(input.shape)}")
    axes = list(zip(input.shape[-2:], kernel, stride, padding, dilation, strict=True))
    if min(out := [count_windows(*axis, ceil_mode) for axis in axes]) < 1:
        c, h, w = input.shape[-3:]
        sizes = f"Given input size: ({c}x{h}x{w}). Calculated output size: ({c}x{max(out[0], 0)}x{max(out[1], 0)})"
        fix = f"kernel_size {tuple(kernel)} is larger than the image, which earlier layers may have shrunk"
        fail(RuntimeError, name, "input", f"{sizes}. Output size is too small: {fix}")
    for (size, _, step, pad, gap), count in zip(axes, out, strict=True):
        # torch's maximum there is -infinity, and its gradient goes to some other entry
        if gap > 1 and any(start % gap >= size for start in range(-pad, min(0, count * step - pad), step)):
            problem = f"taps {gap} apart step over all {size} entries of an axis: a window would see nothing but padding"
            fail(RuntimeError, name, "dilation", f"{problem}; take a smaller dilation or no padding")
