"""Wrong answers to exercise 11, each with words of what it must be told."""

import math

from scratchnet.course import Value


def by_hand__two_at_once():
    """dL/ds: yours is 15; work it out once more with a pencil"""
    return {"s": 15, "L": 225, "dL/ds": 15, "dL/dx": 5, "dL/dy": 60}


def by_hand__one_chain():
    """y goes into s twice"""
    return {"s": 15, "L": 225, "dL/ds": 30, "dL/dx": 150, "dL/dy": 60}


def exp__parent_alone(x):
    """another pair of brackets and a comma"""
    return Value(math.exp(x.data), "exp", [x])


def tanh__a_tuple(x):
    """what tanh returns: yours is 'tuple'; it should be 'Value'"""
    t = math.tanh(x.data)
    return t, 1 - t * t


def backward__one_level(result):
    """Either one level was done and not the whole history, or you walked from the inputs"""
    result.grad = 1.0
    for parent, derivative in result.parents:
        parent.grad += derivative * result.grad


def backward__arrows_without_a_start(result):
    """the result's own grad: yours is 0; it should be 1"""
    for value in reversed(result.history()):
        for parent, derivative in value.parents:
            parent.grad += derivative


def backward__of_the_class(result):
    """result.backward() did the work"""
    Value.backward(result)


def backward__reverse_in_place(result):
    """some methods that work in place"""
    result.grad = 1.0
    for value in result.history().reverse():
        for parent, derivative in value.parents:
            parent.grad += derivative * value.grad
