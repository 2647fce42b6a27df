"""Exercise 11: a chain rule by hand, exp and tanh for the scalar engine, and its backward."""

import math

from scratchnet.course import Value, drawn, task


def as_it_stands(by_hand):
    return by_hand()


@task(
    facts=as_it_stands,
    hints=(
        "Forward first: s, then L. Then from L back: how fast does L move with s?",
        "L = s * s moves 2 s times as fast as s. y goes into s in two places: in the product and alone.",
        "dL/dx = dL/ds * y, and dL/dy = dL/ds * (x + 1)",
    ),
    reveal="work it out once more with a pencil: forward first, s and then L, then from L back",
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


@by_hand.mistake
def doubled():
    """L = s * s is s squared, 225: the two s are multiplied, not added."""
    return by_hand() | {"L": 30.0}


@by_hand.mistake
def s_without_the_sum():
    """s is x * y + y: the product 10 and 5 more."""
    return by_hand() | {"s": 10.0}


@by_hand.mistake
def derivative_of_s_with_y():
    """That is how fast s moves with y, x + 1. L moves another 30 times as fast as s: multiply along the chain."""
    return by_hand() | {"dL/dy": 3.0}


@by_hand.mistake
def y_plus_one():
    """180 is 6 times 30. But s moves only y = 5 times as fast as x: the y that stands alone does not move with x."""
    return by_hand() | {"dL/dx": 180.0}


def an_operation(name):
    """Facts of a new operation: its value, its derivative, and both inside a longer expression."""

    def facts(operation):
        x = Value(drawn(0.5), "x")
        y = operation(x)
        seen = {f"what {name} returns": type(y).__name__, f"the data of {name}(0.5)": getattr(y, "data", y)}
        if not isinstance(y, Value):
            return seen
        (y * 1).backward()
        seen[f"the derivative of {name} at 0.5"] = x.grad
        x = Value(drawn(-1.5), "x")
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


@exp.mistake
def of_the_input(x):
    """The number on the arrow is x itself. The derivative of exp is exp: the result's own data, e to the power of x."""
    return Value(math.exp(x.data), "exp", ((x, x.data),))


@exp.mistake
def data_of_the_input(x):
    """The data is that of x. The Value holds the result: math.exp(x.data)."""
    return Value(x.data, "exp", ((x, math.exp(x.data)),))


@exp.mistake
def parent_as_a_number(x):
    """The parent is x itself, a Value, not its number x.data: only a Value has a grad that something can flow into."""
    return Value(math.exp(x.data), "exp", ((x.data, math.exp(x.data)),))


@exp.mistake
def a_pair_of_its_own(x):
    """parents is a tuple of pairs. One pair alone needs another pair of brackets and a comma: ((x, derivative),)."""
    return Value(math.exp(x.data), "exp", (x, math.exp(x.data)))


@exp.mistake
def of_the_value(x):
    """math.exp works on plain numbers: give it x.data."""
    return Value(math.exp(x), "exp", ((x, math.exp(x)),))


@exp.mistake
def no_derivative(x):
    """A parent comes with the derivative: pairs (parent, derivative) in a tuple, ((x, derivative),)."""
    return Value(math.exp(x.data), "exp", ((x,),))


@exp.mistake
def times_x(x):
    """There is an x too many: the derivative of exp is exp, without a factor."""
    y = math.exp(x.data)
    return Value(y, "exp", ((x, x.data * y),))


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


@tanh.mistake
def no_parents_at_all(x):
    """It has the right data, but nothing flows back to x. Give it the parent with its derivative, ((x, 1 - t * t),)."""
    return Value(math.tanh(x.data), "tanh")


@tanh.mistake
def the_result_itself(x):
    """The number on the arrow is t. That is the value; the derivative of tanh is 1 - t * t."""
    t = math.tanh(x.data)
    return Value(t, "tanh", ((x, t),))


@tanh.mistake
def sign_turned(x):
    """t * t - 1 is negative, and tanh rises everywhere: 1 - t * t."""
    t = math.tanh(x.data)
    return Value(t, "tanh", ((x, t * t - 1),))


@tanh.mistake
def one_pair(x):
    """parents is a tuple of pairs. One pair alone needs another pair of brackets and a comma: ((x, derivative),)."""
    t = math.tanh(x.data)
    return Value(t, "tanh", (x, 1 - t * t))


@tanh.mistake
def twice_t(x):
    """2 t is not the square of t: 1 - t * t."""
    t = math.tanh(x.data)
    return Value(t, "tanh", ((x, 1 - 2 * t),))


def gradients_of_a_graph(backward):
    called, finished = [], Value.backward
    Value.backward = lambda value: called.append(value) or finished(value)  # notes whoever calls it
    try:
        x, y = Value(drawn(2.0), "x"), Value(drawn(3.0), "y")
        product = x * y
        backward(product)
        seen = {"x.grad of x * y at x = 2, y = 3": x.grad, "y.grad of it": y.grad, "the result's own grad": product.grad}
        x, y = Value(drawn(2.0), "x"), Value(drawn(3.0), "y")
        p = x * y
        backward((p + x) * p)  # 48: x * y + x is 8, and the 6 is in it
        seen |= {"x.grad of (x * y + x) * (x * y)": x.grad, "its y.grad": y.grad, "the grad of x * y in it": p.grad}
    finally:
        Value.backward = finished
    return seen | {"calls of the finished backward": len(called)}


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
    """Only what the result was computed from directly got its grad. Either one level was done and not the whole history, or you
    walked from the inputs, so that every value passed on its grad before it received any. Begin at the end:
    reversed(result.history())."""
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


@backward.mistake
def the_finished_one(result):
    """The numbers are right, but result.backward() did the work. The task is to write what it does."""
    result.backward()


@backward.mistake
def own_data(result):
    """Each grad was multiplied by the parent's data. The number on the arrow is the derivative: derivative * value.grad."""
    result.grad = 1.0
    for value in reversed(result.history()):
        for parent, _ in value.parents:
            parent.grad += parent.data * value.grad


@backward.mistake
def added_along_the_chain(result):
    """Along a chain derivatives are multiplied, not added: derivative * value.grad."""
    result.grad = 1.0
    for value in reversed(result.history()):
        for parent, derivative in value.parents:
            parent.grad += derivative + value.grad


@backward.mistake
def passed_on_twice(result):
    """A value that is used in two places passed on its grad twice, the second time with what it had passed on before. Each
    value passes on once, after it has received everything: walk through reversed(result.history())."""
    result.grad = 1.0

    def go(value):
        for parent, derivative in value.parents:
            parent.grad += derivative * value.grad
            go(parent)

    go(result)


@backward.mistake
def pairs_not_unpacked(result):
    """value.parents are pairs: `for parent, derivative in value.parents`."""
    result.grad = 1.0
    for value in reversed(result.history()):
        for parent in value.parents:
            parent.grad += value.grad
