"""What an answer does while it runs: which operators it calls, whose code it runs, and what it returns."""

from __future__ import annotations

import dis
import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Callable

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from scratchnet.checker import surroundings
from scratchnet.course.facts import told

PRODUCTS = {"mm", "bmm", "mv", "dot", "addmm", "addmv", "addbmm", "baddbmm", "linear", "matmul"}


class Calls(TorchDispatchMode):
    """Counts the operators that reach torch's dispatcher, ours among them: `names` is name -> how often.

    `largest` is the number of entries of the largest tensor that one of them returned.

    A name is that of the operator without what differs between variants: aten::_softmax and scratchnet::softmax_forward are
    "softmax", every product of matrices is "matmul", and an index that is a mask is "masked_select".
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names[_name(func, args)] += 1
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            self.largest = max(self.largest, value.numel() if isinstance(value, torch.Tensor) else 0)
        return result


def _name(func, args: tuple) -> str:
    name = func._schema.name.split("::")[1].strip("_").removeprefix("native_")
    name = name.removesuffix("_forward").removesuffix("_backward")
    if name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1]):
        return "masked_select"
    return "matmul" if name in PRODUCTS else name


class Products(TorchFunctionMode):
    """Notes the shapes of the factors of every matrix product as it is written, before torch melts axes together."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[tuple[tuple[int, ...], ...]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "").strip("_").removeprefix("r") in PRODUCTS | {"einsum", "tensordot"}:
            self.factors.append(tuple(tuple(x.shape) for x in args if isinstance(x, torch.Tensor)))
        return func(*args, **(kwargs or {}))


@contextmanager
def runs(solution: Callable, path: Path) -> Iterator[list[str]]:
    """Within it, a solution that runs is noted, with the file that its code is from; a copy of its text in `path` is not.

    Code is compared by value, so that the file of the solution may also have been read and compiled elsewhere.
    """
    functions = vars(solution).values() if isinstance(solution, type) else (solution,)
    codes = {function.__code__ for function in functions if isinstance(function, FunctionType)}
    noted: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in codes and frame.f_code.co_filename != str(path):
            noted.append(frame.f_code.co_filename)

    with surroundings.profiled(note):
        yield noted


class Watched:
    """A function that notes its arguments and results and, if asked to, which operators it calls. A class stays as it is."""

    def __init__(self, answer: Callable, count: bool):
        self.answer, self.calls = answer, Calls() if count else nullcontext()
        self.asked: list[str] = []
        self.returned: list[object] = []
        functools.update_wrapper(self, answer)

    def __call__(self, *args, **kwargs):
        asked = [told(value) for value in args] + [f"{name}={told(value)}" for name, value in kwargs.items()]
        with self.calls:
            result = self.answer(*args, **kwargs)
        self.asked.append(f"({', '.join(asked)})")
        self.returned.append(result)
        return result


def returns_a_value(answer: Callable) -> bool:
    """Whether a function has a `return` with something other than None behind it."""
    if not isinstance(answer, FunctionType):
        return True
    steps = list(dis.get_instructions(answer))
    ends = [(last, end) for last, end in zip(steps, steps[1:], strict=False) if end.opname.startswith("RETURN_")]
    constants = [end if end.opname == "RETURN_CONST" else last for last, end in ends]
    return any(step.opname not in ("LOAD_CONST", "RETURN_CONST") or step.argval is not None for step in constants)


def names_in(answer: Callable) -> set[str]:
    """The names of functions, methods and attributes in the code of an answer and of the helpers beside it in its file."""
    names, todo, done = set(), [getattr(answer, "__wrapped__", answer)], set()
    while todo:
        function = todo.pop()
        done.add(function)
        names |= _names_of(function.__code__)
        beside = (function.__globals__.get(name) for name in _names_of(function.__code__))
        todo += [
            f
            for f in beside
            if isinstance(f, FunctionType) and f not in done and f.__code__.co_filename == function.__code__.co_filename
        ]
    return names


def _names_of(code: CodeType) -> set[str]:
    """The names in a function and in the functions inside it."""
    inner = (_names_of(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)
