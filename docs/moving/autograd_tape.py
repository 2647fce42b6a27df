"""A typed expression and its tape. The script computes; scratchnet/course/scalar.py says what has to come out."""

import math
from functools import partial
from importlib import import_module
from typing import Any

from scratchnet.course.scalar import Value, as_value

_lesson = import_module("scratchnet.course.solutions.11_autograd")


def _log(x: Value) -> Value:
    return Value(math.log(x.data), "log", ((x, 1 / x.data),))


FUNCTIONS = {"exp": _lesson.exp, "log": _log, "relu": Value.relu, "tanh": _lesson.tanh}
EXAMPLES = (
    ("x * y + x", {"x": 2.0, "y": 3.0}),
    ("tanh(w * x + b)", {"w": 0.5, "x": 2.0, "b": -0.5}),
    ("(w * x - y) ** 2", {"w": 1.5, "x": 2.0, "y": 4.0}),
    ("x / (1 + exp(-1 * x))", {"x": 1.0}),
    ("log(exp(x) + exp(y)) - x", {"x": 1.0, "y": 2.0}),
    ("relu(x) * relu(y - x)", {"x": 2.0, "y": 1.0}),
)


def result(text: str, values: dict[str, float]) -> Value:
    """The expression as Python computes it with values that remember."""
    functions = {name: partial(lambda f, x: f(as_value(x)), f) for name, f in FUNCTIONS.items()}
    leaves = {name: Value(value, name) for name, value in values.items()}
    return as_value(eval(text, {"__builtins__": {}}, functions | leaves))


def steps(root: Value) -> list[dict[str, list[float | None]]]:
    """What is known at each step: the inputs; one more result each; the result's grad, 1; one more value handed on each."""
    history = root.history()
    inputs = [None if value.parents else value.data for value in history]
    shown: list[dict[str, list[float | None]]] = [{"data": list(inputs), "grad": [None] * len(history)}]
    for i, value in enumerate(history):
        if value.parents:
            inputs[i] = value.data
            shown.append({"data": list(inputs), "grad": [None] * len(history)})
    grads = {value: 0.0 for value in history} | {root: 1.0}
    shown.append({"data": inputs, "grad": list(grads.values())})
    for value in reversed(history):
        for parent, derivative in value.parents:
            grads[parent] += derivative * grads[value]
        if value.parents:
            shown.append({"data": inputs, "grad": list(grads.values())})
    root.backward()
    shown[-1]["grad"] = [value.grad for value in history]  # the package's own
    return shown


def data() -> dict[str, Any]:
    """The examples, and the names of the functions."""
    return {"functions": list(FUNCTIONS), "examples": [{"text": text, "values": values} for text, values in EXAMPLES]}


def expected() -> list[dict[str, Any]]:
    """The steps of the first example, which the figure begins with."""
    return steps(result(*EXAMPLES[0]))


def still() -> str:
    """The tape of the first example after backward."""
    text, values = EXAMPLES[0]
    root = result(text, values)
    root.backward()
    rows = "".join(
        f'<rect x="4" y="{34 + 30 * i}" width="358" height="26"/>'
        f'<text class="left" x="12" y="{52 + 30 * i}">{value.name}</text>'
        f'<text x="180" y="{52 + 30 * i}">{value.data:g}</text><text x="290" y="{52 + 30 * i}">{value.grad:g}</text>'
        for i, value in enumerate(root.history())
    )
    heads = f'<text class="left" x="12" y="22">{text}</text><text x="180" y="22">value</text><text x="290" y="22">grad</text>'
    label = f"The tape of {text}: every value with its gradient"
    return f'<svg viewBox="0 0 366 {40 + 30 * len(root.history())}" role="img" aria-label="{label}">{heads}{rows}</svg>'
