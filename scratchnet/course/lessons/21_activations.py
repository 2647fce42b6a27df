# %% [markdown]
# # Lesson 21: An activation bends the line, and lets the gradient pass or not
#
# Concepts: 53, 54, 55, 56. Builds on lesson 20.
#
# Between two linear layers a network needs a bend, or the two are one (lesson 20). Which bend? For
# the forward pass almost any curve will do. It is the way back that decides: the gradient of
# everything below is multiplied by the *slope* of the curve, layer after layer. At the end you know
# why sigmoids gave way to ReLU and ReLU to GELU, how a unit dies and how to find the dead, and you
# can derive GELU's slope yourself.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("21")

# %%
import math

import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, data, nn, optim
from scratchnet.course import chart, picture
from scratchnet.numpy import gelu_backward, tanh_derivative
from scratchnet.ops import OPS
from scratchnet.ops.gelu import GeluOptions

# %% [markdown]
# ## The old ones: sigmoid and tanh
#
# An **activation** is a function that is applied to every entry on its own; the shape stays. What
# goes into it is called the **pre-activation**. For a long time the usual ones were S-curves:
#
#     sigmoid(x) = 1 / (1 + exp(-x))      from 0 to 1        slope  s (1 - s), at most 1/4
#     tanh(x)    = 2 sigmoid(2 x) - 1     from -1 to 1       slope  1 - t * t, at most 1

# %%
x = torch.linspace(-6, 6, 72, dtype=torch.float64)
print(chart({"sigmoid": (x, x.sigmoid()), "tanh": (x, x.tanh())}))

steep = x.sigmoid() * (1 - x.sigmoid())  # the slope of sigmoid
check("tanh is a stretched sigmoid", torch.allclose(x.tanh(), 2 * (2 * x).sigmoid() - 1))
check("the slope of sigmoid is at most 1/4", 0.249 < steep.max() <= 0.25)

# %% [markdown]
# Look at the ends: both curves are flat. There they are **saturated**: however the pre-activation
# moves, the output hardly follows. Flat means slope near 0, and the gradient is multiplied by the
# slope. So a saturated unit hardly learns at all.
#
# Even in the best place a sigmoid passes only a quarter. Let us stack ten of them and ask how much
# of the gradient arrives at the bottom (`gradient_through` asks autograd, lesson 12):


# %%
def gradient_through(activation, start, depth):
    """The slope of `depth` activations on top of each other, at `start`."""
    bottom = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    top = bottom
    for _ in range(depth):
        top = activation(top)
    return torch.autograd.grad(top, bottom)[0].item()


arrives = {}
for activation in (torch.sigmoid, torch.tanh, F.relu):
    name = activation.__name__
    arrives[name] = gradient_through(activation, 0.5, depth=10)
    flat = gradient_through(activation, 6.0, depth=1)
    print(f"{name:8} ten layers pass {arrives[name]:.1e}; one layer at x = 6 passes {flat:.1e}")

check("ten sigmoids let less than a millionth through", arrives["sigmoid"] < 1e-6)
check("tanh at 6 is flat: 1 - t * t", tanh_derivative(6.0) < 1e-4)
check("ten ReLUs let all of it through", arrives["relu"] == 1)

# %% [markdown]
# This is the **vanishing gradient**. Sigmoid and tanh still have their uses: where a number has to
# stay within bounds, as a probability or as a valve inside an LSTM. Between the layers of a deep
# network they have been replaced by what comes next.
#
# ## ReLU: pass or block
#
# The **rectified linear unit** is the simplest bend there is:
#
#     relu(x) = max(0, x)          slope 1 where x > 0, else 0
#
# A gate with two positions. Open, the number and later its gradient pass unchanged, however deep
# the network. Closed, nothing passes in either direction. (At exactly 0 there is a corner and no
# slope; torch and scratchnet take 0.)

# %%
z = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
y = F.relu(z)
(slope,) = torch.autograd.grad(y.sum(), z)
print("x    ", z.tolist())
print("relu ", y.tolist())
print("slope", slope.tolist())

check("slope 1 or 0, and 0 at the corner", slope.tolist() == [0, 0, 0, 1, 1])

# %% [markdown]
# With pre-activations around 0, about half of the gates are closed for any one input, another half
# for the next. Such a result, full of zeros, is called **sparse**. Each input lights up its own
# pattern of units, and on that pattern the network is linear: that is how it bends.

# %%
torch.manual_seed(0)
layer = nn.Linear(64, 256)
h = F.relu(layer(torch.randn(1000, 64)))  # (N, units)
closed = (h == 0).double()
print(f"closed, overall: {closed.mean():.2f}")
print(f"units that are closed for every input: {int(closed.all(dim=0).sum())}")

check("about half of the gates are closed", 0.45 < closed.mean() < 0.55)
check("but no unit is closed for every input", not closed.all(dim=0).any())

# %% [markdown]
# ## How a unit dies
#
# A zero here and there does no harm. The trouble is a unit whose pre-activation is negative for
# *every* input. Its gate is always closed, so the gradient of its weights is exactly 0, and it
# cannot move: a **dead** unit. In the first layer, where the inputs never change, it stays dead for
# ever; further up, only a change in the layers below can wake it.
#
# The usual murder weapon is a learning rate that is too large. One step throws the weights far out,
# and a unit that lands on the negative side of all data does not come back. We train the two moons
# of lesson 20 with 32 hidden units, and count.

# %%
(x_train, y_train), (x_test, y_test) = data.moons()


def train(activation, lr, steps, lower_bias=0.0):
    """A network 2 -> 32 -> 2, its units pushed down by `lower_bias`, trained for some steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), activation, nn.Linear(32, 2))
    with torch.no_grad():
        model[0].bias -= lower_bias
    optimizer = optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x_train), y_train).backward()
        optimizer.step()
    return model


def dead(model):
    """Which hidden units are closed for every training input: (units,)."""
    with torch.no_grad():
        return (model[0](x_train) <= 0).all(dim=0)


counts = {}
for lr in (0.5, 2.0, 10.0):
    model = train(nn.ReLU(), lr, steps=100)
    counts[lr] = int(dead(model).sum())
    loss = F.cross_entropy(model(x_train), y_train)
    print(f"learning rate {lr:4}: {counts[lr]:2} of 32 units dead, loss {loss:.3f}")

model.zero_grad()
F.cross_entropy(model(x_train), y_train).backward()
gradient = model[0].weight.grad[dead(model)]
check("a learning rate far too large kills more than half", counts[10.0] > 16)
check("a smaller one hardly any", counts[0.5] < 4)
check("the gradient of the dead is exactly 0", (gradient == 0).all())

# %% [markdown]
# No warning appears, only a network that is smaller than you believe. So count: `dead` above is all
# there is to it. Note the `all(dim=0)`: a unit is dead if it is closed for *all* inputs, not if it
# is closed for one.
#
# **LeakyReLU** leaves the gate open a crack: slope 1 above 0 and 0.01 below. Gradient always
# passes, if only a hundredth. To see the difference we make a layer of dead units only, by pushing
# all biases down, and let three activations try to climb out.

# %%
results = {}
start = dead(train(nn.ReLU(), lr=1.0, steps=0, lower_bias=4.0))
print(f"at the start {int(start.sum())} of 32 units are closed for every input")
for activation in (nn.ReLU(), nn.LeakyReLU(0.01), nn.GELU()):
    model = train(activation, lr=1.0, steps=300, lower_bias=4.0)
    accuracy = (model(x_test).argmax(dim=1) == y_test).double().mean().item()
    name = type(activation).__name__
    results[name] = accuracy
    print(f"{name:9} after 300 steps: {accuracy:.2f} of the test points right")

check("all units begin closed", start.all())
check("with ReLU they never wake up: no better than a guess", results["ReLU"] < 0.6)
check("through the crack of LeakyReLU they do", results["LeakyReLU"] > results["ReLU"] + 0.1)

# %% [markdown]
# ReLU guesses to the end. And GELU, the third one, recovers best. What is it?
#
# ## GELU: a soft ReLU
#
# ReLU multiplies `x` by 1 or by 0, following a hard rule: is x above 0? GELU multiplies it by
# something in between: the probability that a random number from the bell curve is below `x`. That
# probability is called Phi(x). It is near 1 for large `x`, near 0 for very negative `x`, and 1/2 at
# 0.
#
#     gelu(x) = x * Phi(x)         Phi(x) = (1 + erf(x / sqrt(2))) / 2
#
# (`erf` is the function for such areas, found in every mathematics library; the sqrt(2) fits its
# scale to the bell curve of width 1.)

# %%
x = torch.linspace(-4, 4, 1601, dtype=torch.float64)
functions = {"ReLU": (x, F.relu(x)), "GELU": (x, F.gelu(x))}
print(chart(functions, height=18))

half = torch.tensor([0.5, -0.5], dtype=torch.float64)
low = x[F.gelu(x).argmin()].item()
print(f"gelu(0.5) = {F.gelu(half)[0]:.4f}, gelu(-0.5) = {F.gelu(half)[1]:.4f}")
print(f"the lowest point is {F.gelu(x).min():.4f} at x = {low:.2f}")

check("0.5 * Phi(0.5) by hand", round(0.5 * (1 + math.erf(0.5 / 2**0.5)) / 2, 4) == 0.3457)
check("gelu(x) - gelu(-x) = x, as for ReLU", torch.allclose(F.gelu(x) - F.gelu(-x), x))
check("far out it is ReLU", (F.gelu(x) - F.relu(x))[[0, -1]].abs().max() < 1e-3)
check("it goes down before it goes up", -0.18 < F.gelu(x).min() < -0.16 and -0.8 < low < -0.7)

# %% [markdown]
# It is smooth, with no corner at 0; and just below 0 its slope is not 0, so units that are a little
# too low can still come back. Most transformers use it, or a close relative of it (lesson 28).
#
# ## Its slope
#
# GELU is a product of two functions of `x`, so its slope has two parts (the product rule: the slope
# of f g is f' g + f g'):
#
#     gelu'(x) = 1 * Phi(x)  +  x * Phi'(x)
#
# And Phi'? Phi is the area under the bell curve up to `x`. How fast does an area grow when its edge
# moves right? As fast as the curve is high there. So Phi' is the bell curve itself, `phi`:
#
#     phi(x) = exp(-x * x / 2) / sqrt(2 pi)
#
# Write it, and nudge (lesson 13) to see whether it is right.

# %%
Phi = (1 + torch.erf(x / 2**0.5)) / 2
phi = (-x * x / 2).exp() / math.sqrt(2 * math.pi)
slope = Phi + x * phi
nudge = 1e-5
nudged = (F.gelu(x + nudge) - F.gelu(x - nudge)) / (2 * nudge)
slopes = {"ReLU'": (x, (x > 0).double()), "GELU'": (x, slope)}
print(chart(slopes))
print(f"largest difference from the nudge: {(slope - nudged).abs().max():.0e}")
picture.curves("21_gelu", {"the functions": functions, "their slopes": slopes}, x="x")

check("the derived slope is the nudged one", torch.allclose(slope, nudged, atol=1e-8))
exact = GeluOptions(tanh=False)
library = torch.from_numpy(gelu_backward(torch.ones_like(x).numpy(), x.numpy(), exact))
check("the library computes the same", torch.allclose(slope, library))
check("a slope may be above 1 and below 0", slope.max() > 1.1 and slope.min() < -0.1)

# %% [markdown]
# Without the second part (the usual slip) you would have Phi alone, which is never negative and
# never above 1. The hill at 1.4 and the dip at -1.4 come from `x * phi`.
#
# ## Two formulas, one name
#
# erf used to be slow, so there is a second formula that makes do with a tanh:
#
#     gelu(x) ~ x (1 + tanh(u)) / 2        u = sqrt(2 / pi) (x + 0.044715 x^3)
#
# How far are the two apart? The picture shows their difference. Each line further down is smaller
# by the same factor, about 2.

# %%
exact, tanh = F.gelu(x), F.gelu(x, approximate="tanh")
apart = (exact - tanh).abs()
print(chart({"|exact - tanh|": (x, apart.clamp(min=1e-7))}, log=True))
print(f"largest difference {apart.max():.1e}")

check("the two never differ by more than 0.0005", 1e-4 < apart.max() < 5e-4)

# %% [markdown]
# Half a thousandth is nothing while training, because the network adapts to either. But a model
# that was trained with one should be run with the same one: GPT-2 learned with tanh, torch's
# `nn.GELU()` is exact unless you say `approximate="tanh"`. When a loaded model is off in the fourth
# digit, look there.
#
# Here are both formulas, forward and backward, in every backend that runs here, in float32 and
# compared with the float64 NumPy version.

# %%
torch.manual_seed(0)
inputs = torch.randn(64, 48, dtype=torch.float64) * 2
g = torch.randn(64, 48, dtype=torch.float64)
errors = {}
for approximate in ("none", "tanh"):
    exact = {}
    for name in backends.runnable(OPS["gelu"]):
        dtype = torch.float64 if name == "numpy" else torch.float32
        z = inputs.to(dtype).requires_grad_()
        with scratchnet.backend(name):
            y = scratchnet.gelu(z, approximate=approximate)
            (dz,) = torch.autograd.grad(y, z, g.to(dtype))
        exact = exact or {"forward": y, "backward": dz}  # numpy comes first
        off = [(a - b).abs().max().item() for a, b in zip((y, dz), exact.values(), strict=True)]
        errors[name, approximate] = max(off)
        column, rung = backends.parse(name)
        idea = OPS["gelu"].rungs(column)[(rung or 0) - 1]
        print(f"{approximate} {name:7} forward off {off[0]:.0e}, backward {off[1]:.0e}: {idea}")

check("every backend, both formulas, within rounding", max(errors.values()) < 1e-5)

# %% [markdown]
# The backward keeps only `x` and computes Phi and phi again. That costs a little arithmetic and
# saves a tensor as large as the activations.
#
# There is one more trap in the formula, at its quiet end. At x = -6, erf is so close to -1 that
# float32 cannot tell it apart: 1 + erf is 0, and all digits are lost. `erfc(t)` is 1 - erf(t)
# without that subtraction. So Phi(x) = erfc(-x / sqrt(2)) / 2 keeps the digits.

# %%
z = torch.tensor([-6.0])
naive = z * (1 + torch.erf(z / 2**0.5)) / 2
true = -6 * math.erfc(6 / 2**0.5) / 2
with scratchnet.backend(backends.default()):
    close = scratchnet.gelu(z).item()
print(f"1 + erf: {naive.item():.3e}   scratchnet: {close:.3e}   true: {true:.3e}")

check("1 + erf loses every digit", abs(naive.item() - true) > 0.9 * abs(true))
check("the library keeps them", math.isclose(close, true, rel_tol=1e-4))

# %% [markdown]
# ## What to keep
#
# - going back, the gradient is multiplied by the slope of every activation it meets
# - sigmoid and tanh saturate: flat ends, vanishing gradients
# - ReLU passes or blocks; a unit that is closed for *every* input is dead, its gradient exactly 0
# - count the dead; a smaller learning rate prevents them, LeakyReLU and GELU let them recover
# - gelu(x) = x Phi(x), its slope is Phi(x) + x phi(x); the erf and tanh formulas differ by up to
#   0.0005

# %% tags=["hide-input"]
check.done()
