# %% [markdown]
# # Lesson 17: The learning rate decides between crawling, arriving and exploding
#
# Concepts: 65, 66. Builds on lesson 16.
#
# Gradient descent has one number that you must choose yourself, the **learning rate**: how far a
# step goes. Ten times too small, and you wait all night. Three times too large, and the loss is NaN
# after a minute. Neither is bad luck. There is an exact limit, and this lesson finds it: first with
# one number, then with two, then for the houses. At the end you know what to try for a network, and
# how to see early that a run is lost.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("17")

# %%
import inspect
import math

import numpy as np
import torch

import scratchnet.numpy
from scratchnet import data, nn, optim, training
from scratchnet.course import chart

# %% [markdown]
# ## One number
#
# Take the simplest loss that has a bottom, `(w - 3)^2`. Its gradient is `2 (w - 3)`: negative on
# the left of 3, positive on the right, larger the farther away. Start at 0 with learning rate 0.1,
# and compute the first two steps in your head.


# %%
def path(lr, steps, w=0.0):
    """All the places that gradient descent visits."""
    visited = [w]
    for _ in range(steps):
        gradient = 2 * (w - 3)
        w = w - lr * gradient
        visited.append(w)
    return visited


print("w:            ", [f"{w:.3f}" for w in path(0.1, 6)])
print("distance to 3:", [f"{3 - w:.3f}" for w in path(0.1, 6)])

check("the first step: 0 - 0.1 * 2 * (0 - 3)", math.isclose(path(0.1, 1)[-1], 0.6))
check("every step leaves 0.8 of the distance", math.isclose(3 - path(0.1, 6)[-1], 3 * 0.8**6))

# %% [markdown]
# Where does the 0.8 come from? Subtract 3 from both sides of the step:
#
#     w - lr * 2 (w - 3)  -  3   =   (1 - 2 lr) (w - 3)
#
# Every step multiplies the distance by `1 - 2 lr`. That one factor tells the whole story:
#
# | lr | factor | what happens |
# |---|---|---|
# | 0.01 | 0.98 | crawls |
# | 0.1 | 0.8 | arrives |
# | 0.5 | 0 | lands in one step |
# | 0.9 | -0.8 | jumps across the bottom each time, and still arrives |
# | 1.0 | -1 | jumps back and forth for ever |
# | 1.1 | -1.2 | jumps farther each time: **diverges** |

# %%
rates = {"0.01 crawls": 0.01, "0.1 arrives": 0.1, "0.8 jumps across": 0.8, "1.1 diverges": 1.1}
losses = {name: [(w - 3) ** 2 for w in path(lr, 25)] for name, lr in rates.items()}
print(chart({name: (range(26), line) for name, line in losses.items()}, log=True, top=1000))

check("0.5 lands in one step", path(0.5, 1)[-1] == 3)
check("1.0 comes back to where it was", path(1.0, 2) == [0, 6, 0])
slow, jumping = path(0.1, 25)[-1] - 3, path(0.9, 25)[-1] - 3
check("0.1 and 0.9 are equally near, on opposite sides", math.isclose(slow, -jumping))
exploded = losses["1.1 diverges"]
check("1.1 is farther away after every step", exploded == sorted(exploded))

# %% [markdown]
# The 2 in `1 - 2 lr` is the **curvature** of the loss: by how much its slope changes when `w` moves
# by 1. A valley with steep walls has a large one. As long as the factor is between -1 and 1 we
# arrive, and that is the rule:
#
#     lr  <  2 / curvature         and the best is  1 / curvature
#
# ## Two numbers
#
# With two numbers the valley may be steep in one direction and flat in the other. Here the
# curvatures are 1 and 25. The learning rate is the same for both, so the *steep* direction sets the
# limit, 2 / 25, and the *flat* one has to wait.
#
# We take the steps with the optimizer from scratchnet's NumPy part. This is all of it (the momentum
# part is for lesson 25):

# %%
print(inspect.getsource(scratchnet.numpy.SGD.update))

curvature = np.array([1.0, 25.0])


def valley(lr, steps):
    """The losses on the way down from (10, 1)."""
    w = np.array([10.0, 1.0])
    optimizer = scratchnet.numpy.SGD(lr)
    losses = []
    for _ in range(steps):
        losses.append((curvature * w**2).sum() / 2)
        optimizer.update(w, curvature * w, state={})
    return losses


limit = 2 / curvature.max()
print(f"limit 2 / 25 = {limit}")
shares = {"a tenth": 0.1, "half": 0.5, "99 %": 0.99, "101 %": 1.01}
runs = {f"{name} of the limit": valley(limit * share, 200) for name, share in shares.items()}
print(chart({name: (range(200), line) for name, line in runs.items()}, log=True, top=1000))
tenth, half, below, above = (losses[-1] for losses in runs.values())

check("just below the limit it arrives, just above it explodes", below < 1 and above > 1000)
check("a tenth of the limit is far behind", tenth > 1000 * half)

# %% [markdown]
# How long does it take? With the best rate the flat direction shrinks by a factor of about `1 - 2 /
# ratio` per step, where the ratio is the largest curvature over the smallest, the **condition
# number**. With a ratio of 25 that takes a few dozen steps. With 600,000 it takes a million.
#
# ## The houses, explained
#
# Now we can understand lesson 16. For a linear model with MSE the curvatures do not depend on the
# weights, only on the features: they are the **eigenvalues** of `2 / N * X.T @ X`, the curvatures
# along the valley's own axes, and torch can compute them.


# %%
def curvatures(x):
    """Smallest to largest, of the mean squared error of a linear model with a bias."""
    with_ones = torch.cat([x, torch.ones(len(x), 1)], dim=1).double()
    return torch.linalg.eigvalsh(2 / len(x) * with_ones.T @ with_ones)


(x, y), _ = data.houses()
standardised = (x - x.mean(0)) / x.std(0)
for name, features in (("raw", x), ("standardised", standardised)):
    found = curvatures(features)
    print(f"{name:13} from {found[0]:.2f} to {found[-1]:.2f}, ratio {found[-1] / found[0]:.1f}")


def last_loss(x, lr, steps=300):
    model = nn.Linear(5, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = training.train_step(model, nn.MSELoss(), optimizer, x, y)
    return loss.item()


for name, features in (("raw", x), ("standardised", standardised)):
    limit = 2 / curvatures(features)[-1].item()
    below, above = last_loss(features, 0.95 * limit), last_loss(features, 1.05 * limit)
    print(f"{name:13} limit {limit:.1e}   5 % below: loss {below:.0f}   above: {above:.0e}")
    check(f"{name}: the limit is where the theory says", below < 1e4 < above)

# %% [markdown]
# That is what standardising did: it made the valley round. The limit rose from 0.00004 to 0.9, and
# the ratio fell from 600,000 to 1.4. No clever optimizer gives that much.
#
# ## A network
#
# In a network the curvature changes from place to place, and nobody computes it. So we measure: a
# short run for each of several rates, each about three times the one before, and one far beyond.
# The data are two half moons, the network has one hidden layer (lesson 20 has them in full):

# %%
(x, y), _ = data.moons()
histories = {}
for lr in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 100.0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = optim.SGD(model.parameters(), lr=lr)
    history = histories[lr] = []
    for _ in range(100):
        loss = training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
        history.append(loss.item())
    highest, end = max(history), history[-1]
    print(f"lr {lr:<6} start {history[0]:.2f}   highest {highest:8.2f}   end {end:6.3f}")
shown = {f"lr {lr}": (range(100), histories[lr]) for lr in (0.01, 0.1, 1.0, 3.0)}
print(chart(shown, log=True))

check("after 100 steps 0.01 is far behind 1", histories[0.01][-1] > 3 * histories[1.0][-1])
check("1 never rises above its start", max(histories[1.0]) == histories[1.0][0])
check("3 does", max(histories[3.0]) > 2 * histories[3.0][0])
check("100 does, far more", max(histories[100.0]) > 10 * max(histories[3.0]))

# %% [markdown]
# Read such a table like this. From 0.01 to 1 every step up pays off. 3 first leaps to ten times its
# first loss; here it comes down again, and with other data it may not. So: **take the largest rate
# whose loss never rises above its start**, here 1. A rate three times smaller costs some time and
# is safe; a rate three times larger may cost you the run.
#
# ## See early that a run is lost
#
# A diverging loss grows until it is infinite. Infinity minus infinity is NaN, NaN times anything is
# NaN, and a step later every weight is NaN. No smaller learning rate brings them back.
#
# And NaN is deceptive: `<`, `>` and `==` with it are all False, so `loss > 1000` does not notice
# it. Ask `math.isfinite`.

# %%
(x, y), _ = data.houses()  # raw features
model = nn.Linear(5, 1)
optimizer = optim.SGD(model.parameters(), lr=0.01)
losses = [training.train_step(model, nn.MSELoss(), optimizer, x, y).item() for _ in range(20)]
print([f"{loss:.0e}" for loss in losses])
print("weights:", model.weight.tolist())

check("first infinite, then not a number", math.inf in losses and math.isnan(losses[-1]))
check("NaN is not larger than anything", not losses[-1] > 1000)
check("and every weight is lost", model.weight.isnan().all())

# %% [markdown]
# `training.fit`, scratchnet's training loop, looks at every loss and stops at the first that is not
# finite, with the learning rate in its message:

# %%
model = nn.Linear(5, 1)
optimizer = optim.SGD(model.parameters(), lr=0.01)
try:
    loss = nn.MSELoss()
    training.fit(model, (x, y), loss=loss, optimizer=optimizer, epochs=5, progress=False)
except FloatingPointError as error:
    print(error)
    check("the message names the learning rate", "try a learning rate below 0.01" in str(error))

# %% [markdown]
# ## What to keep
#
# - a step: w = w - lr * gradient; the gradient points uphill
# - the limit is 2 / (largest curvature); the flattest direction sets the time
# - standardised features make the valley round
# - for a network, try rates in factors of 3; take the largest whose loss never rises above its
#   start
# - a loss that is NaN or infinite ends the run: check with isfinite, not with `>`

# %% tags=["hide-input"]
check.done()
