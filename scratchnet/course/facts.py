"""Facts about an answer: when two are the same, and in which words they differ."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType

import numpy as np
import torch
from torch import Tensor

FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType)
Number = (int, float, np.integer, np.floating)
WHOLE = 8  # entries up to which a tensor is written out
SHOWN = 3  # entries of a larger one that are named


@dataclass(frozen=True, eq=False)
class Other:
    """What is known of an object in another process; `alike`: two of the same text are equal."""

    kind: str
    name: str
    shown: str
    alike: bool

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Other) and self.alike and other.alike and self.shown == other.shown

    def __hash__(self) -> int:
        return hash(self.shown)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.shown


def same(a: object, b: object) -> bool:
    """Whether two facts are equal: numbers up to rounding, a tuple of any kind as a tuple, exceptions by type and text."""
    if kind(a) != kind(b):
        return False
    if isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
    if isinstance(b, (Tensor, np.ndarray, *Number)) and not isinstance(b, bool):
        if isinstance(b, Number):
            a, b = float(a), float(b)
        try:
            torch.testing.assert_close(a, b, equal_nan=True)
        except (AssertionError, TypeError):
            return False
        return True
    return str(a) == str(b) if isinstance(b, BaseException) else bool(a == b)


def tells(value: object) -> bool:
    """Whether a fact says something about how it was computed: None, NaN, yes or no, and an exception fit many mistakes."""
    if value is None or isinstance(value, (bool, np.bool_, BaseException)):
        return False
    entries = _entries(value) if kind(value) != "dict" else {}
    return not entries or not all(isinstance(entry, Number) and math.isnan(entry) for entry in entries.values())


def kind(value: object) -> str:
    """What a value is, as the reader would say it."""
    if isinstance(value, Other):
        return value.kind
    for types, name in (
        ((bool, np.bool_), "True or False"),
        (Number, "a number"),
        (tuple, "a tuple"),
        (list, "a list"),
        (dict, "a dict"),
        (str, "a string"),
        (Tensor, "a tensor"),
        (np.ndarray, "an array"),
        (FUNCTIONS, "a function (are its parentheses missing?)"),
    ):
        if isinstance(value, types):
            return name
    return "None" if value is None else f"an object of type {type(value).__name__}"


def difference(seen: object, right: object, reveal: bool | str) -> str:
    """What the reader has and what it should be; with `reveal` a string or False, that text in place of the right value."""
    if isinstance(seen, str) and seen in (str(right), str(right).removeprefix("torch.")):
        return f"yours is right, but a string: write {right} without quotes"
    if kind(seen) != kind(right) and _same_numbers(seen, right):
        return f"the values are right, but yours is {kind(seen)}, {text(seen)}; it should be {kind(right)}"
    if reveal is not True:
        return f"yours is {text(seen)}; {_nearly(seen, right) or reveal or 'that is not it: run it and look'}"
    if kind(seen) != kind(right):
        return f"yours is {_with_kind(seen)}; it should be {_with_kind(right)}"
    if isinstance(right, (Tensor, np.ndarray)):
        if tuple(seen.shape) != tuple(right.shape):
            return f"yours has the shape {_shaped(seen)}; it should have {_shaped(right)}"
        if seen.dtype != right.dtype:
            return f"yours is {_dtype(seen)}; it should be {_dtype(right)}"
    if isinstance(right, (list, tuple)) and len(seen) == len(right):
        other = [place for place in range(len(right)) if kind(seen[place]) != kind(right[place])]
        if other:
            a, b = seen[other[0]], right[other[0]]
            return f"yours is {_with_kind(a)} at [{other[0]}]; it should be {_with_kind(b)}"
    mine, theirs = _entries(seen), _entries(right)
    if mine.keys() == theirs.keys() and len(theirs) > WHOLE:
        wrong = [place for place in theirs if not same(mine[place], theirs[place])]
        listed = "; ".join(
            f"at {list(place)} yours is {a}, it should be {b}"
            for place in wrong[:SHOWN]
            for a, b in [_apart(mine[place], theirs[place])]
        )
        return f"{len(wrong)} of {len(theirs)} entries are wrong: {listed}"
    a, b = _apart(seen, right)
    return f"yours is {a}; it should be {b}"


def text(value: object, digits: int = 4) -> str:
    """A fact in words, its numbers with a few digits."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}".partition("\n")[0].rstrip(".")
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, Number):
        return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.{digits}g}"
    if isinstance(value, (Tensor, np.ndarray)):
        if math.prod(value.shape) > WHOLE:
            return f"{kind(value)} of shape {tuple(value.shape)}"
        return text(value.tolist(), digits)
    if isinstance(value, (list, tuple)):
        inside = ", ".join(text(entry, digits) for entry in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {text(entry, digits)}" for key, entry in value.items()) + "}"
    return repr(value)


def told(value: object) -> str:
    """An argument of a call in words."""
    plain = isinstance(value, (Tensor, np.ndarray, list, tuple, *Number)) or value is None
    return text(value) if plain else kind(value)


def _apart(a: object, b: object) -> tuple[str, str]:
    """Both in as few digits as tell them apart, but at least 4."""
    for digits in range(4, 17):
        if text(a, digits) != text(b, digits):
            break
    return text(a, digits), text(b, digits)


def _nearly(seen: object, right: object) -> str:
    """A sentence for a number that was rounded, or nothing."""
    if kind(seen) != "a number" or kind(right) != "a number" or not right or not math.isfinite(right):
        return ""
    rounded = [digits for digits in range(3, 8) if float(f"{seen:.{digits}g}") == float(f"{right:.{digits}g}")]
    if not rounded or same(seen, right):
        return ""
    return (
        f"that is right to {rounded[-1]} digits, but rounded: write the formula, such as math.log(4) or 2 / 3, and let Python "
        "work it out"
    )


def _same_numbers(a: object, b: object) -> bool:
    """Whether a list, a tuple, an array, a tensor or a number holds the same entries as another of them."""
    mine, theirs = _entries(a), _entries(b)
    numbers = all(isinstance(entry, Number) for entry in (*mine.values(), *theirs.values()))
    return numbers and mine.keys() == theirs.keys() and all(math.isclose(mine[i], theirs[i], rel_tol=1e-6) for i in theirs)


def _with_kind(value: object) -> str:
    return kind(value) if value is None or isinstance(value, FUNCTIONS) else f"{kind(value)}, {text(value)}"


def _shaped(x: Tensor | np.ndarray) -> str:
    return str(tuple(x.shape)) + (f", {text(x)}" if 0 < math.prod(x.shape) <= WHOLE else "")


def _dtype(x: Tensor | np.ndarray) -> str:
    return str(x.dtype).removeprefix("torch.")


def _entries(value: object) -> dict[tuple[int, ...], object]:
    """Place -> entry of a tensor, an array, or lists in lists; () -> anything else."""
    if isinstance(value, (Tensor, np.ndarray)):
        places = itertools.product(*map(range, value.shape))
        return {place: value[place].item() for place in places}
    if isinstance(value, (list, tuple)):
        return {(i, *place): entry for i, part in enumerate(value) for place, entry in _entries(part).items()}
    return {(): value}
