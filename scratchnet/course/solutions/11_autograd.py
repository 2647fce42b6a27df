"""Exercise 11: a chain rule by hand, exp and tanh for the scalar engine, and its backward."""

import math

from scratchnet.course import Value, task


def as_it_stands(by_hand):
    return {name: float(value) for name, value in by_hand().items()}


@task(
    facts=as_it_stands,
    hints=(
        "Forward first: s, then L. Then from L back: how fast does L move with s?",
        "L = s * s moves 2 s times as fast as s. y goes into s in two places: in the product and alone.",
        "dL/dx = dL/ds * y, and dL/dy = dL/ds * (x + 1)",
    ),
    reveal=False,
)
def by_hand():
    return {"s": 15.0, "L": 225.0, "dL/ds": 30.0, "dL/dx": 150.0, "dL/dy": 90.0}


@by_hand.mistake
def one_place_of_y():
    """y goes into s twice, in x * y and alone. You counted the product only; the second chain adds another 1 * dL/ds."""
    return by_hand() | {"dL/dy": 60.0}


@by_hand.mistake
def y_alone():
    """y goes into s twice. You counted only where it stands alone; in the product it is multiplied by x, and that adds x *
    dL/ds."""
    return by_hand() | {"dL/dy": 30.0}


@by_hand.mistake
def own_factor():
    """A product moves with one factor as fast as the *other* one is large: s moves y = 5 times as fast as x."""
    return by_hand() | {"dL/dx": 60.0}


@by_hand.mistake
def not_chained():
    """That is how fast s moves with x. L moves another 2 s = 30 times as fast as s: multiply along the chain."""
    return by_hand() | {"dL/dx": 5.0, "dL/dy": 3.0}


@by_hand.mistake
def one_factor_of_the_square():
    """s * s contains s twice, so both chains add up: 2 s = 30."""
    return by_hand() | {"dL/ds": 15.0, "dL/dx": 75.0, "dL/dy": 45.0}


def an_operation(name):
    """Facts of a new operation: its value, its derivative, and both inside a longer expression."""

    def facts(operation):
        x = Value(0.5, "x")
        y = operation(x)
        seen = {f"{name}(0.5) is a Value": isinstance(y, Value)}
        seen[f"the data of {name}(0.5)"] = getattr(y, "data", y)
        seen[f"what {name}(x) remembers"] = [parent.name for parent, _ in getattr(y, "parents", ())]
        (y * 1).backward()
        seen[f"the derivative of {name} at 0.5"] = x.grad
        x = Value(-1.5, "x")
        (operation(x * 2) * x).backward()
        return seen | {f"the derivative of {name}(2 x) * x at -1.5": x.grad}

    return facts


@task(
    facts=an_operation("exp"),
    hints=(
        "A Value needs three things: its data, its name, and its parents with the derivative with respect to each.",
        "There is one parent, x. The derivative of exp is exp itself: the result's own data.",
        'y = math.exp(x.data); return Value(y, "exp", ((x, y),))',
    ),
)
def exp(x):
    y = math.exp(x.data)
    return Value(y, "exp", ((x, y),))


@exp.mistake
def a_plain_number(x):
    """A plain number remembers nothing, and the graph ends there. Return a Value with x among its parents."""
    return math.exp(x.data)


@exp.mistake
def no_parents(x):
    """It has the right data but no parents, so nothing flows back to x. Give it ((x, derivative),)."""
    return Value(math.exp(x.data), "exp")


@exp.mistake
def power_rule(x):
    """x * exp(x - 1) is the rule for powers, where x is the base. Here x is the exponent: the derivative of exp is exp."""
    return Value(math.exp(x.data), "exp", ((x, x.data * math.exp(x.data - 1)),))


@exp.mistake
def derivative_one(x):
    """The number on the arrow is 1, as for a sum. exp moves exp(x) times as fast as x."""
    return Value(math.exp(x.data), "exp", ((x, 1.0),))


@task(
    facts=an_operation("tanh"),
    hints=(
        "Built like exp: data, name, and one parent with its derivative.",
        "Compute t first; it is used twice: as the data and in the derivative.",
        't = math.tanh(x.data); return Value(t, "tanh", ((x, 1 - t * t),))',
    ),
)
def tanh(x):
    t = math.tanh(x.data)
    return Value(t, "tanh", ((x, 1 - t * t),))


@tanh.mistake
def square_of_the_input(x):
    """1 - x * x uses the input. It is 1 - t * t, with the result t = tanh(x)."""
    return Value(math.tanh(x.data), "tanh", ((x, 1 - x.data**2),))


@tanh.mistake
def rule_of_the_sigmoid(x):
    """t * (1 - t) is the derivative of the sigmoid. That of tanh is 1 - t * t."""
    t = math.tanh(x.data)
    return Value(t, "tanh", ((x, t * (1 - t)),))


@tanh.mistake
def number_only(x):
    """A plain number remembers nothing, and the graph ends there. Return a Value with x among its parents."""
    return math.tanh(x.data)


@tanh.mistake
def not_squared(x):
    """1 - t lacks the square: at t = -1 the slope would be 2, and tanh is flat there."""
    t = math.tanh(x.data)
    return Value(t, "tanh", ((x, 1 - t),))


def gradients_of_a_graph(backward):
    x, y = Value(2.0, "x"), Value(3.0, "y")
    backward(x * y)
    seen = {"x.grad of x * y at x = 2, y = 3": x.grad, "y.grad of it": y.grad}
    x, y = Value(2.0, "x"), Value(3.0, "y")
    p = x * y
    s = p + x
    backward(s * p)  # 48: s = 8 with p = 6 inside it
    return seen | {"x.grad of (x * y + x) * (x * y)": x.grad, "y.grad of it": y.grad, "the grad of x * y in it": p.grad}


@task(
    facts=gradients_of_a_graph,
    hints=(
        "The result's grad is 1. Then each value hands its grad, times the number on the arrow, to its parents.",
        "Walk the history from its end, so that a value has received everything before it passes anything on. Parents add.",
        "result.grad = 1.0; for value in reversed(result.history()): parent.grad += derivative * value.grad for each parent",
    ),
)
def backward(result):
    result.grad = 1.0
    for value in reversed(result.history()):
        for parent, derivative in value.parents:
            parent.grad += derivative * value.grad


@backward.mistake
def last_chain_wins(result):
    """x and x * y are used in two places, and only one of the two arrived. Parents add what they receive: `+=`."""
    result.grad = 1.0
    for value in reversed(result.history()):
        for parent, derivative in value.parents:
            parent.grad = derivative * value.grad


@backward.mistake
def from_the_inputs(result):
    """You walked from the inputs to the result, so every value passed on its grad before receiving any. Begin at the end:
    reversed."""
    result.grad = 1.0
    for value in result.history():
        for parent, derivative in value.parents:
            parent.grad += derivative * value.grad


@backward.mistake
def never_started(result):
    """Every grad is still 0: the result's own must be set to 1 first. It moves as fast as itself."""
    for value in reversed(result.history()):
        for parent, derivative in value.parents:
            parent.grad += derivative * value.grad


@backward.mistake
def arrows_only(result):
    """The numbers on the arrows alone were added. Along a chain they multiply: derivative * value.grad."""
    result.grad = 1.0
    for value in reversed(result.history()):
        for parent, derivative in value.parents:
            parent.grad += derivative
