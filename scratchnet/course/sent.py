"""Values as text from one process to another: nothing that a reader's process sends is run where it is read."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from torch import Tensor

from scratchnet.course.facts import FUNCTIONS, Number, Other, kind
from scratchnet.course.raised import explain, line

SPOKEN = "something else than the grader has spoken in its place"  # where `read` finds no value
NAMES = (type, torch.dtype, torch.layout, torch.memory_format, type(...))  # of these there is one with a name


def written(value: object, path: Path | None = None) -> bytes:
    """Numbers, texts, tensors, arrays, tuples, lists, dicts and exceptions (from the reader's file `path`), of others words."""
    return json.dumps(_plain(value, path)).encode()


def read(data: bytes) -> object:
    """The value that was written; ValueError if that is no such text."""
    try:
        return _value(json.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise ValueError(f"this is no value: {error}") from None


def _plain(value: object, path: Path | None) -> object:
    """A value in what JSON has: a dict has one key, which says what it is."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Number):
        return int(value) if isinstance(value, (int, np.integer)) else float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (tuple, list)):
        return {"tuple" if isinstance(value, tuple) else "list": [_plain(entry, path) for entry in value]}
    if isinstance(value, dict):
        return {"dict": [[_plain(key, path), _plain(entry, path)] for key, entry in value.items()]}
    if isinstance(value, BaseException):
        told = {"name": type(value).__name__, "text": str(value), "ordinary": isinstance(value, Exception)}
        return {"error": told | {"line": line(value, path), "explained": explain(value, path)}}
    if isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu":
        own = value.detach().as_subclass(Tensor).resolve_conj().resolve_neg().contiguous()
        flat = own.as_strided((own.numel(),), (1,))  # one entry may have any stride
        return {"tensor": _bytes(str(own.dtype).removeprefix("torch."), own.shape, flat.view(torch.uint8).numpy())}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return {"array": _bytes(str(value.dtype), value.shape, np.asarray(value))}
    alike = not isinstance(value, FUNCTIONS) and (type(value).__eq__ is not object.__eq__ or isinstance(value, NAMES))
    return {"other": {"kind": kind(value), "name": _word(str, value), "shown": _word(repr, value), "alike": alike}}


def _word(say: Callable[[object], str], value: object) -> str:
    try:
        return say(value)
    except Exception:  # the reader's own
        return f"<{type(value).__name__}>"


def _bytes(dtype: str, shape: tuple[int, ...], data: np.ndarray) -> dict:
    return {"dtype": dtype, "shape": list(shape), "bytes": base64.b64encode(data.tobytes()).decode()}


def _value(told: object) -> object:
    if not isinstance(told, dict):
        return told
    ((what, inside),) = told.items()
    return READ[what](inside)


def _error(told: dict) -> BaseException:
    error = type(told["name"], (Exception if told["ordinary"] else BaseException,), {})(told["text"])
    error.line, error.explained = str(told["line"]), str(told["explained"])
    return error


def _tensor(told: dict) -> Tensor:
    dtype, data = getattr(torch, told["dtype"]), bytearray(base64.b64decode(told["bytes"]))
    whole = torch.frombuffer(data, dtype=torch.uint8).view(dtype) if data else torch.empty(0, dtype=dtype)
    return whole.reshape(told["shape"])


READ = {
    "tuple": lambda inside: tuple(map(_value, inside)),
    "list": lambda inside: list(map(_value, inside)),
    "dict": lambda inside: {_value(key): _value(value) for key, value in inside},
    "error": _error,
    "tensor": _tensor,
    "array": lambda told: np.frombuffer(bytearray(base64.b64decode(told["bytes"])), told["dtype"]).reshape(told["shape"]),
    "other": lambda told: Other(**told),
}
