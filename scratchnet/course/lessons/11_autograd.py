# %% [markdown]
# # Lesson 11: A computation that remembers its steps can be run backwards
#
# Concepts: 31, 32, 33. Builds on lessons 04 and 10.
#
# A network has millions of weights and one loss. To train it, we must know for *each* weight: if it
# grows a little, how far does the loss move? Libraries answer all these questions at once, in about
# the time that two more forward passes would take, and it looks like magic. It is one rule from
# school and some bookkeeping, less than a hundred lines of plain Python. You will read the heart of
# it, watch it work, and check it against torch.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("11")

# %%
import inspect

import torch

from scratchnet.course import Value, picture, tree

# %% [markdown]
# ## How fast does it move?
#
# Nudge the input of a function and watch the output. The ratio of the two movements is the
# **derivative**: with f(x) = x * x at x = 3, the output moves 6 times as far as the input. The
# nudge should be small. And it is better to step a little to *both* sides and take the difference;
# then the errors of the two sides nearly cancel. This is the **central difference**.

# %%


def slope(f, x, step=1e-4):
    """The derivative of f at x, measured with a nudge."""
    return (f(x + step) - f(x - step)) / (2 * step)


def square(x):
    return x * x


print("one side: ", (square(3 + 1e-4) - square(3)) / 1e-4)
print("two sides:", slope(square, 3))

check("x * x at 3 moves 6 times as far", abs(slope(square, 3) - 6) < 1e-6)

# %% [markdown]
# ## The chain rule
#
# Think of gear wheels. If the second wheel turns 3 times as fast as the first, and the third 2
# times as fast as the second, the third turns 6 times as fast as the first. Along a chain,
# derivatives **multiply**. And if the first wheel drives the last one through two different chains,
# both movements arrive: they **add**. That is the whole chain rule.
#
# Take z = x * y + x at x = 2, y = 3. In between is p = x * y. The number on every arrow says how
# fast its target moves with its source. For a product that is the *other* factor; for a sum it is
# 1.
#
#     x = 2 ------ 3 -----> p = 6 ------ 1 -----> z = 8
#       |                     ^                     ^
#       |      y = 3 --- 2 ---+                     |
#       |                                           |
#       +-------------------- 1 --------------------+
#
#     from x to z:   3 * 1  via p     plus    1  directly    =  4
#     from y to z:   2 * 1  via p                            =  2

# %%
print("x:", slope(lambda x: x * 3 + x, 2), "  y:", slope(lambda y: 2 * y + 2, 3))

check("two chains lead from x to z: 3 * 1 + 1", abs(slope(lambda x: x * 3 + x, 2) - 4) < 1e-6)
check("one chain leads from y to z: 2 * 1", abs(slope(lambda y: 2 * y + 2, 3) - 2) < 1e-6)

# %% [markdown]
# ## A number that remembers
#
# To let a program do this, let every number remember what it was computed from, together with the
# numbers on the arrows. That is a `Value`. Its **parents** are pairs: a value, and how fast we move
# with it. Here is how it is made, and what `+` and `*` do. (The other operations work the same way;
# all of them are in `scratchnet/course/scalar.py`.)

# %%
for method in (Value.__init__, Value.__add__, Value.__mul__):
    print(inspect.getsource(method))

# %% [markdown]
# So `x * y` computes the product as usual, and also writes down: one arrow from x, labelled with
# the data of y; one from y, labelled with the data of x. The arrows are known as soon as the
# product is, in the **forward pass**. Together they make the **computation graph**. Below it is
# drawn from the result down to the inputs.

# %%
x, y = Value(2.0, "x"), Value(3.0, "y")
p = x * y
z = p + x


def parents(value):
    return [parent for parent, _ in value.parents]


print(tree(z, parents))

check("the product is computed as usual", p.data == 6)
check("p remembers x and y, and the other factor of each", p.parents == ((x, 3.0), (y, 2.0)))
check("nothing is known about derivatives yet", x.grad == 0)

# %% [markdown]
# ## Backward
#
# Now go from the result back to the inputs. The result moves as fast as itself: its `grad` is 1.
# Then every value hands each parent its own grad times the number on the arrow between them. The
# parent *adds* what it receives, because it may stand at the end of several chains.
#
# The order matters. A value may pass its grad on only when it has received everything. So all
# values are put into an order in which each stands after its parents, and the list is walked from
# its end. The program is no longer than its description:

# %%
for method in (Value.history, Value.backward):
    print(inspect.getsource(method))

# %%
print("from the result backwards:")
print("  z.grad = 1")
for value in reversed(z.history()):
    for parent, derivative in value.parents:
        print(f"  {value.name} hands {derivative:g} times its grad to {parent.name}")
z.backward()
print(f"x.grad = {x.grad:g}, y.grad = {y.grad:g}")
picture.graph("11_graph", z, {"p": p, "z": z})

check("each value stands after its parents", z.history() == [x, y, p, z])
check("x receives 1 directly and 3 via p", x.grad == 1 + 3)
check("y receives 2 via p", y.grad == 2)

# %% [markdown]
# The picture shows the whole graph with its gradients, the inputs on the left.
#
# What if `+=` were a plain `=`? Then the last of two chains would win, and x.grad would be 3. You
# met this mistake in lesson 04 as "the last one wins". It is the same one: a number that is used
# twice is a copy, and gradients of copies are added.
#
# ## The same in torch
#
# torch does exactly this. A tensor made with `requires_grad=True` is an input; every operation on
# it leaves a note in the result, its `grad_fn`: a function that knows the way back through this one
# operation. The notes are linked by `next_functions`, so the graph can be walked from the result,
# as ours can.

# %%
tx, ty = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
tz = tx * ty + tx


def next_functions(node):
    return [following for following, _ in node.next_functions if following is not None]


print(tree(tz.grad_fn, next_functions, lambda node: type(node).__name__))
tz.backward()
print(f"x.grad = {tx.grad}, y.grad = {ty.grad}")

check("the same gradients as ours", (tx.grad, ty.grad) == (x.grad, y.grad))
check("a result has a grad_fn, an input none", tx.grad_fn is None and tz.grad_fn is not None)
check("the last step was an addition", type(tz.grad_fn).__name__ == "AddBackward0")

# %% [markdown]
# `AccumulateGrad` is where an input is reached: "accumulate" is the `+=`. And there is one
# difference that makes torch fast. Its values are whole tensors, so one note stands for millions of
# multiplications. You know from lesson 07, for instance, what a matrix product hands back: `G @
# B.T` to the one side, `A.T @ G` to the other.
#
# ## The graph is built afresh each time
#
# Nobody declares the graph. It is a trace of what was computed. So Python's own `if` and `while`
# may decide what is computed, and the gradient is that of the path taken. Here a number is doubled
# until it exceeds 100. How often depends on the number, and so does the derivative.

# %%


def double_until_100(x):
    while x.data <= 100:
        x = x * 2
    return x


for start in (60.0, 5.0):
    x = Value(start, "x")
    result = double_until_100(x)
    result.backward()
    print(f"from {start:g} to {result.data:g}: the derivative is {x.grad:g}")

check("5 was doubled five times: 2 ** 5", x.grad == 2**5)

# %% [markdown]
# You can even take the derivative of an *algorithm*. The ancient way to compute a square root:
# guess, divide, take the mean of both, repeat. Nobody told the engine that this is a root, and yet
# the derivative comes out as that of the root, 1 / (2 sqrt(x)).

# %%
x = Value(2.0, "x")
guess = Value(1.0, "guess")
for _ in range(6):
    guess = (guess + x / guess) * 0.5
guess.backward()
print(f"root {guess.data:.6f}, its derivative {x.grad:.6f}")
print(f"the graph has {len(guess.history())} values")

check("the algorithm finds the root of 2", abs(guess.data - 2**0.5) < 1e-12)
check("backward finds the derivative of the root", abs(x.grad - 1 / (2 * 2**0.5)) < 1e-9)

# %% [markdown]
# Sometimes there is no derivative. `relu(x)`, the larger of x and 0, has a corner at 0: slope 0 on
# the left, 1 on the right. Every library has to choose one; ours and torch's take 0. The central
# difference takes the middle. So do not be alarmed when the two disagree *at* a corner, and do not
# test there.

# %%
corner = Value(0.0, "x")
corner.relu().backward()
t = torch.tensor(0.0, requires_grad=True)
t.relu().backward()
tried = slope(lambda x: max(x, 0.0), 0.0)
print("at the corner: ours", corner.grad, " torch", t.grad.item(), " nudged", tried)

check("ours and torch's choose 0 at the corner", corner.grad == t.grad == 0)
check("nudging gives the middle", abs(tried - 0.5) < 1e-9)

# %% [markdown]
# ## Why backwards?
#
# One could also nudge every input and compute the result again. That is right, and hopeless: a
# million weights would need a million forward passes for a single step. Backward visits every arrow
# once, no matter how many inputs there are. An operation with two operands has two arrows, and each
# costs one multiplication: so backward takes about twice the work of forward, not a million times.

# %%
weights = [Value(0.01 * k, f"w{k}") for k in range(200)]
loss = Value(0.0)
for w in weights:
    loss = loss + (w - 1) ** 2
loss.backward()
operations = sum(len(value.parents) > 0 for value in loss.history())
arrows = sum(len(value.parents) for value in loss.history())
print(f"forward: {operations} operations; backward: {arrows} arrows for 200 gradients")

right = all(abs(w.grad - 2 * (w.data - 1)) < 1e-12 for w in weights)
check("one walk finds all 200 gradients, 2 (w - 1)", right)
check("at most two arrows for each operation", arrows <= 2 * operations)

# %% [markdown]
# ## What it is good for
#
# A gradient says which way is up. So take a small step down, and repeat. Here a line w * x + b,
# which knows nothing, meets four points of y = 2 x + 1. The loss is the mean of the squared errors.
# Fifty steps, and you have trained your first model, with an engine that you understand down to the
# last line.

# %%
points = [(-1.0, -1.0), (0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]
w, b = Value(0.0, "w"), Value(0.0, "b")
losses = []
for step in range(50):
    loss = sum((w * x + b - y) ** 2 for x, y in points) / len(points)
    loss.backward()
    losses.append(loss.data)
    if step % 10 == 0:
        print(f"step {step:2}  loss {loss.data:8.5f}  w {w.data:.3f}  b {b.data:.3f}")
    w, b = Value(w.data - 0.2 * w.grad, "w"), Value(b.data - 0.2 * b.grad, "b")

check("the loss falls to less than a thousandth", losses[-1] < losses[0] / 1000)
check("the line is found: 2 x + 1", abs(w.data - 2) < 0.05 and abs(b.data - 1) < 0.05)

# %% [markdown]
# ## What to keep
#
# - a derivative says how far the result moves when an input is nudged
# - the chain rule: multiply along a path, add up the paths
# - forward writes down the graph with the number on each arrow; backward walks it once, from the end
# - the graph is a trace: `if`, `for` and `while` are welcome
# - torch's notes are `grad_fn` and `next_functions`, and its inputs end in `AccumulateGrad`

# %% tags=["hide-input"]
check.done()
