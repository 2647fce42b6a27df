"""Right answers to exercise 11, in other styles than ours."""

import math

from scratchnet.course import Value


def by_hand__whole_numbers():
    """whole numbers"""
    return {"s": 15, "L": 225, "dL/ds": 30, "dL/dx": 150, "dL/dy": 90}


def by_hand__expressions():
    """expressions that Python works out"""
    x, y = 2, 5
    s = x * y + y
    return {"s": s, "L": s * s, "dL/ds": 2 * s, "dL/dx": 2 * s * y, "dL/dy": 2 * s * (x + 1)}


def by_hand__engine():
    """run through the engine"""
    x, y = Value(2.0), Value(5.0)
    s = x * y + y
    L = s * s
    L.backward()
    return {"s": s.data, "L": L.data, "dL/ds": s.grad, "dL/dx": x.grad, "dL/dy": y.grad}


def exp__list_of_parents(x):
    """a list of parents"""
    result = math.exp(x.data)
    return Value(result, name="e to the power", parents=[(x, result)])


def exp__power(x):
    """a power of e"""
    return Value(math.e**x.data, "exp", ((x, math.e**x.data),))


def exp__filled_later(x):
    """the parents filled in later"""
    result = Value(math.exp(x.data), "exp")
    result.parents = ((x, result.data),)
    return result


def tanh__squared(x):
    """1 - t ** 2"""
    t = math.tanh(x.data)
    return Value(t, "tanh", ((x, 1 - t**2),))


def tanh__cosh(x):
    """1 over the square of cosh"""
    return Value(math.tanh(x.data), "tanh", ((x, 1 / math.cosh(x.data) ** 2),))


def tanh__from_exp(x):
    """made of exp and the operations of Value"""
    e = exp__power(x * 2)
    return (e - 1) / (e + 1)


def backward__pairs(result):
    """[::-1] and parents by their index"""
    result.grad = 1
    for value in result.history()[::-1]:
        for pair in value.parents:
            pair[0].grad = pair[0].grad + pair[1] * value.grad


def backward__every_path(result):
    """every path from the result, by recursion"""

    def go(value, arriving):
        value.grad += arriving
        for parent, derivative in value.parents:
            go(parent, arriving * derivative)

    go(result, 1.0)


def backward__stack(result):
    """every path, with a stack"""
    waiting = [(result, 1.0)]
    while waiting:
        value, arriving = waiting.pop()
        value.grad += arriving
        waiting += [(parent, arriving * derivative) for parent, derivative in value.parents]


def backward__while(result):
    """a while loop from the end"""
    history, i = result.history(), -1
    result.grad = 1.0
    while -i <= len(history):
        for parent, derivative in history[i].parents:
            parent.grad += history[i].grad * derivative
        i -= 1
