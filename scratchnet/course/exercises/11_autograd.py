"""Exercise 11: derivatives by hand, two more operations for the engine, and its backward.

Each `...` is a blank for you to fill in. Then: scratchnet check 11
"""

import math

from scratchnet.course import Value


def by_hand() -> dict[str, float]:
    """s = x * y + y and L = s * s at x = 2, y = 5: all the numbers, computed with a pencil."""
    return {"s": ..., "L": ..., "dL/ds": ..., "dL/dx": ..., "dL/dy": ...}


def exp(x: Value) -> Value:
    """e to the power of x, as a Value that remembers x. math.exp works on plain numbers."""
    return Value(..., "exp", ...)


def tanh(x: Value) -> Value:
    """The hyperbolic tangent of x, as a Value. With t = tanh(x), its derivative is 1 - t * t."""
    t = math.tanh(x.data)
    return Value(t, "tanh", ...)


def backward(result: Value) -> None:
    """What result.backward() does, written out, for inputs whose grad is 0: every value it was computed from gets its `grad`.

    result.history() lists them all, each after its parents; value.parents are pairs (parent, derivative).
    """
    ...
