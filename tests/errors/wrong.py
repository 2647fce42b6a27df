"""A row of the tables in wrong_calls/: the function, what it is called with, the argument to blame and the words that help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

import torch
from torch import Tensor


@dataclass
class Wrong:
    """A call that must raise: for torch's functions the exception of torch's type, with a better message."""

    function: str  # "gather", "nn.functional.linear", "nn.LayerNorm", ...: a name below both torch and scratchnet
    args: tuple
    argument: str  # the one to blame
    words: str  # all of them, separated by " | ", stand in the message: what came, what is needed, the likely fix
    kwargs: dict[str, Any] = field(default_factory=dict)
    made_with: tuple | None = None  # for layers: the arguments of the constructor; args go to the call of the layer
    blames: str = ""  # the function that the message names, if it is another one
    error: type[Exception] | None = None  # where torch has no say: it lacks the function or option, or takes the call

    @property
    def start(self) -> str:
        """How the message begins."""
        return f"{self.blames or self.function.rpartition('.')[2]}(): argument '{self.argument}'"

    def __call__(self, library: object, inputs: tuple[tuple, dict]) -> Any:
        function = resolve(library, self.function)
        if self.made_with is not None:
            function = function(*self.made_with)
        args, kwargs = inputs
        return function(*args, **kwargs)


def resolve(library: object, name: str) -> Callable | None:
    """library.nn.functional.linear for "nn.functional.linear"; None if there is no such name."""
    for part in name.split("."):
        library = getattr(library, part, None)
    return library


def x(*shape: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    """Different numbers, none of them zero."""
    return torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float32).div(8).reshape(shape).to(dtype).to(device)


def i(*entries: Any, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor(entries, dtype=dtype)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor on another device than the CPU, on every machine."""
    return torch.empty(shape, dtype=dtype, device="meta")


F64, F16, BF16, C64, I64, I32, BOOL = (
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.complex64,
    torch.int64,
    torch.int32,
    torch.bool,
)
