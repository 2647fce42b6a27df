"""Automatic differentiation of single numbers: what torch.autograd does with tensors, on one page (lesson 11)."""

from __future__ import annotations


class Value:
    """A number that remembers what it was computed from.

    name: an input's name, or the operation of a result; parents: what it was computed from, each with the derivative of this
    value with respect to it; grad: the derivative of the result with respect to this value, after the result's `backward`.
    """

    def __init__(self, data: float, name: str = "", parents: tuple[tuple[Value, float], ...] = ()):
        self.data, self.name, self.parents = data, name, parents
        self.grad = 0.0

    def __add__(self, other: Value | float) -> Value:
        other = as_value(other)
        return Value(self.data + other.data, "+", ((self, 1.0), (other, 1.0)))

    def __mul__(self, other: Value | float) -> Value:
        other = as_value(other)
        return Value(self.data * other.data, "*", ((self, other.data), (other, self.data)))

    def __pow__(self, n: float) -> Value:
        return Value(self.data**n, f"** {n}", ((self, n * self.data ** (n - 1)),))

    def relu(self) -> Value:
        return Value(max(self.data, 0.0), "relu", ((self, 1.0 if self.data > 0 else 0.0),))

    def __sub__(self, other: Value | float) -> Value:
        return self + as_value(other) * -1

    def __truediv__(self, other: Value | float) -> Value:
        return self * as_value(other) ** -1

    def __rsub__(self, other: float) -> Value:
        return as_value(other) - self

    def __rtruediv__(self, other: float) -> Value:
        return as_value(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def history(self) -> list[Value]:
        """Every value that this one was computed from, each after its parents; this one is the last."""
        order, seen = [], set()

        def visit(value: Value) -> None:
            if value not in seen:
                seen.add(value)
                for parent, _ in value.parents:
                    visit(parent)
                order.append(value)

        visit(self)
        return order

    def backward(self) -> None:
        """Add the derivative of this value to the `grad` of every input that it was computed from."""
        history = self.history()
        for value in history:
            if value.parents:  # results start from 0; inputs keep what earlier calls added
                value.grad = 0.0
        self.grad = 1.0
        for value in reversed(history):
            for parent, derivative in value.parents:
                parent.grad += derivative * value.grad

    def __repr__(self) -> str:
        return f"{self.name or 'constant'} {self.data:g}, grad {self.grad:g}"


def as_value(number: Value | float) -> Value:
    """A plain number becomes a constant."""
    return number if isinstance(number, Value) else Value(float(number))
