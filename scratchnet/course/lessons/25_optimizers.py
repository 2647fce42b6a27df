# %% [markdown]
# # Lesson 25: An optimizer is a rule for the next step
#
# Concepts: 67, 68, 70. Builds on lessons 17 and 22.
#
# Gradient descent knows one thing: downhill is that way. It takes the same learning rate for every
# weight and forgets each step as soon as it is done. Optimizers add two ideas, a *memory* and a
# *scale for each weight*, and everything from momentum to AdamW is made from these two. After this
# lesson you can write each of them in a few lines, and you know what `zero_grad` and `step` really
# do.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("25")

# %%
import math

import numpy as np
import torch

import scratchnet.numpy
from scratchnet import nn, optim
from scratchnet.course import chart

# %% [markdown]
# ## A narrow valley
#
# Two weights, one loss. It rises slowly along the first weight and steeply across it:
#
#     loss = (a * a + 100 * b * b) / 2          gradient: (a, 100 b)
#
# **SGD**, stochastic gradient descent, is the rule you know: w -= lr * gradient. (*Stochastic*
# because in training each gradient comes from a random batch. Here it does not; the rule is the
# same.) What does a step do to each weight?
#
#     a -= lr * a            a is multiplied by 1 - lr
#     b -= lr * 100 b        b is multiplied by 1 - 100 lr
#
# For b to get smaller, 1 - 100 lr must stay above -1, so lr must stay below 0.02. And with such a
# small lr, a creeps: each step takes away less than 2 percent of it. The steep direction dictates
# the learning rate, and the flat one pays for it.


# %%
def loss_at(w):  # w (2,)
    return (w[0] ** 2 + 100 * w[1] ** 2) / 2


def walk(make_optimizer, steps=100):
    """The places (steps + 1, 2) that an optimizer visits from (10, 1)."""
    w = torch.tensor([10.0, 1.0], requires_grad=True)
    optimizer = make_optimizer([w])
    places = [w.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        loss_at(w).backward()
        optimizer.step()
        places.append(w.detach().clone())
    return torch.stack(places)


paths = {"SGD, lr 0.019": walk(lambda weights: optim.SGD(weights, lr=0.019))}
plain = paths["SGD, lr 0.019"]
too_far = walk(lambda weights: optim.SGD(weights, lr=0.021))
print("b, lr 0.019:", [f"{value:.2f}" for value in plain[:6, 1].tolist()], "jumps, but shrinks")
print("b, lr 0.021:", [f"{value:.2f}" for value in too_far[:6, 1].tolist()], "grows")
print(f"a, lr 0.019: from 10 to {plain[100, 0]:.2f} in 100 steps")

check("b is multiplied by 1 - 100 lr", torch.allclose(plain[1:, 1], -0.9 * plain[:-1, 1]))
check("a bit above 0.02 it diverges", too_far[-1, 1].abs() > 1000)
check("a is not even near 0 after 100 steps", plain[100, 0] > 1)

# %% [markdown]
# ## Momentum: a memory
#
# Instead of the gradient, step along a running sum of gradients in which older ones fade:
#
#     v = 0.9 * v + gradient
#     w -= lr * v
#
# Along b the gradients alternate, plus, minus, plus: in the sum they cancel. Along a they all point
# the same way: they pile up. With a gradient of 1 in every step, v is 1, 1.9, 2.71, ... and settles
# where v = 0.9 v + 1, at 10. So along a steady slope **momentum** goes ten times as far, like a
# ball that gathers speed. And like a ball it rolls past the lowest point and comes back.

# %%
v, speeds = 0.0, []
for _ in range(50):
    v = 0.9 * v + 1
    speeds.append(v)
print("v:", [f"{value:.2f}" for value in speeds[:5]], f"... {speeds[-1]:.2f}")

check("1, 1.9, 2.71", np.allclose(speeds[:3], [1, 1.9, 2.71]))
check("it settles at 1 / (1 - 0.9) = 10", 9.9 < speeds[-1] < 10)

paths["momentum"] = walk(lambda weights: optim.SGD(weights, lr=0.01, momentum=0.9))
turn = torch.linspace(0, 2 * math.pi, 60)
walks = {name: path[:40].T for name, path in paths.items()}
ring = torch.stack([turn.cos(), turn.sin() / 10])  # there the loss is 1/2
rings = {f"loss {loss}": (2 * loss) ** 0.5 * ring for loss in (10, 50)}
print(chart(rings | walks, height=19))
print("right is a, up is b; the start is at the top right, the goal in the middle")
print("on a ring the loss is everywhere the same: the straight way down is across the rings")

check("half the learning rate, and yet much closer", loss_at(paths["momentum"][-1]) < 1e-2)
check("on the way it rolls past the goal", paths["momentum"][:, 0].min() < -1)

# %% [markdown]
# ## Adam: a scale for each weight
#
# Why should the flat direction pay for the steep one? **RMSprop** keeps, for each weight, a running
# mean of its squared gradients, and divides the step by the root of it. Weights with large
# gradients are held back, weights with small ones pushed. **Adam** puts both ideas together:
#
#     m = 0.9   * m + 0.1   * g             running mean of the gradient: memory
#     s = 0.999 * s + 0.001 * g * g         running mean of its square: scale
#     m1 = m / (1 - 0.9 ** t)               t counts the steps: 1, 2, 3, ...
#     s1 = s / (1 - 0.999 ** t)
#     w -= lr * m1 / (sqrt(s1) + eps)       eps = 1e-8 prevents 0 / 0
#
# The two middle lines are the **bias correction**. Both means start at 0, so at first they are much
# too small: after one step m is only 0.1 g and s only 0.001 g * g. Divide by 0.1 and by 0.001, and
# they are g and g * g. Then the first step is lr * g / |g|: *every* weight moves by lr, whether its
# gradient is tiny or huge.

# %%
w = torch.zeros(3, requires_grad=True)
optimizer = optim.Adam([w], lr=0.01)
w.grad = torch.tensor([0.001, -1.0, 1000.0])
optimizer.step()
print("gradients 0.001, -1, 1000   first step:", w.tolist())

check("the first step of Adam is lr everywhere", torch.allclose(w.abs(), torch.tensor(0.01)))
uncorrected = 0.1 / 0.001**0.5
print(f"without the correction it would be {uncorrected:.2f} times as long")
check("without the correction: 0.1 / sqrt(0.001)", 3.1 < uncorrected < 3.2)

# %% [markdown]
# A run of Adam whose first step is not lr is wrong; it is the quickest test there is. And now the
# three of them in the valley. The height is the loss, and each line further down is smaller by the
# same factor.

# %%
paths["Adam"] = walk(lambda weights: optim.Adam(weights, lr=0.5))
losses = {name: [loss_at(w).item() for w in path] for name, path in paths.items()}
print(chart({name: (range(101), values) for name, values in losses.items()}, log=True))

last = {name: values[-1] for name, values in losses.items()}
check("momentum beats plain SGD here", last["momentum"] < last["SGD, lr 0.019"] / 10)
check("Adam too", last["Adam"] < last["SGD, lr 0.019"] / 10)

# %% [markdown]
# Do not conclude that one of them always wins. In a picture with two weights any of the three looks
# good with the right learning rate. In practice Adam needs little tuning and is the usual first
# choice (lr 0.001); SGD with momentum, well tuned, is often as good for images, and needs less
# memory: Adam keeps m and s, two more numbers for every weight.
#
# ## The same steps, bit for bit or nearly
#
# Each rule exists in `scratchnet.numpy` in two or three lines, in `scratchnet.optim` with all of
# torch's options, and in torch. Give all three the same start and the same 100 gradients.

# %%
torch.manual_seed(0)
start = torch.randn(20, dtype=torch.float64)
gradients = torch.randn(100, 20, dtype=torch.float64)
rules = {
    "SGD": (scratchnet.numpy.SGD, {}),
    "SGD, momentum": (scratchnet.numpy.SGD, {"momentum": 0.9}),
    "RMSprop": (scratchnet.numpy.RMSprop, {}),
    "Adam": (scratchnet.numpy.Adam, {}),
    "AdamW": (scratchnet.numpy.AdamW, {"weight_decay": 0.1}),
}
apart = {}
for rule, (in_numpy, options) in rules.items():
    array, state = start.numpy().copy(), {}
    for g in gradients.numpy():
        in_numpy(0.01, **options).update(array, g, state)
    ends = [torch.from_numpy(array)]
    for room in (optim, torch.optim):
        w = start.clone().requires_grad_()
        optimizer = getattr(room, in_numpy.__name__)([w], lr=0.01, **options)
        for g in gradients:
            w.grad = g
            optimizer.step()
        ends.append(w.detach())
    apart[rule] = max((end - ends[-1]).abs().max().item() for end in ends)
    print(f"{rule:14} after 100 steps the three are {apart[rule]:.0e} apart")

check("NumPy, scratchnet and torch agree", max(apart.values()) < 1e-12)

# %% [markdown]
# ## AdamW: decay that is not a gradient
#
# **Weight decay** pulls every weight a little towards 0, so that no weight grows large without a
# reason (as a penalty in the loss would: half of decay * w * w has the gradient decay * w). For
# plain SGD it makes no difference whether you add `decay * w` to the gradient or shrink the weight
# itself. For Adam it does: what is added to the gradient is *divided by the scale* along with it. A
# weight with large gradients then hardly decays at all. **AdamW** shrinks the weight directly:
#
#     w *= 1 - lr * decay          then a step of Adam, from the gradient alone
#
# Here are two weights whose gradients flip their sign in every step, of size 100 and of size 0.01.
# On balance they ask for nothing: without decay both end at 0.98 after 200 steps. With it, both
# should be smaller by (1 - 0.01 * 0.1) ** 200 = 0.82.

# %%
ends = {}
for rule in (optim.Adam, optim.AdamW):
    w = torch.ones(2, requires_grad=True)
    optimizer = rule([w], lr=0.01, weight_decay=0.1)
    for step in range(200):
        w.grad = torch.tensor([100.0, 0.01]) * (-1) ** step
        optimizer.step()
    ends[rule.__name__] = w.detach()
    print(f"{rule.__name__:6} gradients of 100: {w[0]:.2f}   gradients of 0.01: {w[1]:.2f}")

check("AdamW: both weights decay alike", torch.allclose(*ends["AdamW"].split(1)))
check("AdamW: 0.98 * 0.82", (ends["AdamW"] - 0.98 * 0.82).abs().max() < 0.01)
check("Adam: large gradients, no decay", ends["Adam"][0] > 0.95)
check("Adam: small gradients, far too much", ends["Adam"][1] < 0.1)

# %% [markdown]
# ## What zero_grad and step do, and do not
#
# An optimizer holds a list of parameters. `step()` looks at the `.grad` of each and moves it.
# `zero_grad()` sets each `.grad` to None. That is all: it knows no loss, no model, and computes no
# gradient. The classic mistakes follow from this, and three of the four raise no error.

# %%
model = nn.Linear(2, 1)
optimizer = optim.SGD(model.parameters(), lr=0.1)
x = torch.tensor([[1.0, 2.0]])

before = model.weight.detach().clone()
optimizer.step()  # before any backward
check("step before backward moves nothing", torch.equal(model.weight, before))

model(x).sum().backward()
once = model.weight.grad.clone()
model(x).sum().backward()
check("without zero_grad the gradients add up", torch.equal(model.weight.grad, 2 * once))

optimizer.zero_grad()
check("zero_grad leaves None, not zeros", model.weight.grad is None)

try:
    optim.SGD([], lr=0.1)
except ValueError as error:
    print(error)
    check("an empty list is an error", "empty parameter list" in str(error))

# %% [markdown]
# The empty list is what you get from a model that keeps its layers in a plain Python list, or its
# weights as plain tensors (lesson 14).
#
# None is not the same as zero, by the way. A parameter whose gradient is None is left alone. One
# whose gradient is 0 may still move, because the memory goes on: v and m take some steps to fade.
# Remember the rows of an embedding that do not occur in a batch (lesson 22):

# %%
table = nn.Embedding(3, 1)
start = table.weight.detach().clone()
optimizer = optim.Adam(table.parameters(), lr=0.1)
for words in ([0, 1], [0], [0]):  # word 1 occurs once, word 2 never
    optimizer.zero_grad()
    table(torch.tensor(words)).sum().backward()
    optimizer.step()
    moved = (table.weight - start).detach().flatten()
    print("words", words, " moved so far:", [f"{value:.2f}" for value in moved.tolist()])

check("word 1 moved on after its only step", moved[1] < -0.101)
check("word 2, always 0, never moved", moved[2] == 0)

# %% [markdown]
# ## Groups
#
# Not every parameter needs the same options. Give the optimizer a list of dictionaries, the
# **parameter groups**: each has its parameters and the options that should differ, and takes the
# rest from the defaults. Two common uses: a small learning rate for a part that is already trained,
# and weight decay for matrices only, not for biases and norms.

# %%
model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
groups = [
    {"params": model[0].parameters(), "lr": 1e-4},  # trained before: carefully
    {"params": [*model[1].parameters(), *model[2].parameters()]},
]
optimizer = optim.AdamW(groups, lr=1e-2)
for group in optimizer.param_groups:
    count = len(group["params"])
    print(f"lr {group['lr']:<6} weight_decay {group['weight_decay']}   {count} tensors")

before = [parameter.detach().clone() for parameter in model.parameters()]
model(torch.randn(16, 4)).square().mean().backward()
optimizer.step()
steps = [(p - b).abs().max().item() for p, b in zip(model.parameters(), before, strict=True)]
print("largest move of each tensor:", [f"{step:.4f}" for step in steps])

check("the first layer moved a hundredth as far", max(steps[:2]) < 3e-4 < 5e-3 < steps[-1])

# %% [markdown]
# ## What to keep
#
# - SGD: the steepest direction dictates the learning rate of all directions
# - momentum sums gradients: alternating ones cancel, steady ones go 10 times as far
# - Adam divides by the size of each weight's gradients; its first step is lr everywhere
# - bias correction makes up for running means that start at 0
# - AdamW shrinks the weight itself; in plain Adam the decay is divided by the scale too
# - zero_grad, backward, step: the optimizer sees nothing but `.grad`

# %% tags=["hide-input"]
check.done()
