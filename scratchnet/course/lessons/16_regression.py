# %% [markdown]
# # Lesson 16: Regression finds the numbers behind the data
#
# Concepts: 28, 75, 76. Builds on lessons 12, 14 and 15.
#
# Now a layer learns. We begin with the smallest task there is, a line with two unknown numbers, and
# go on to house prices with six. It is the whole craft in miniature: a model, a loss, a gradient, a
# step; a second way to check the first; features of a good size; and a judgement on data that the
# model has not seen. And we know the true numbers, so nothing can hide.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("16")

# %%
import torch

from scratchnet import data, nn, optim, training
from scratchnet.data.generated import HOUSE_BIAS, HOUSE_WEIGHTS

# %% [markdown]
# ## A line
#
# A hundred points were made by `y = 2 x + 1` and a little noise. We forget the 2 and the 1, start
# with `w = 0` and `b = 0`, and ask the data.
#
# The guess for a point is `w x + b`, the error is the guess minus `y`. The **loss** is one number
# that says how bad all guesses are: the mean of the squared errors, MSE. Its gradient is quickly
# found. The square gives twice the error, and then the error moves `x` times as far as `w`, and
# just as far as `b`:
#
#     loss = mean of (w x + b - y)^2
#
#     dloss/dw = mean of 2 (w x + b - y) x
#     dloss/db = mean of 2 (w x + b - y)
#
# The gradient points to where the loss grows. So take a small step the other way, and again, and
# again. That is **gradient descent**; lesson 17 is about the size of the step.

# %%
x, y = data.line()  # (100, 1) each
w, b = torch.zeros(1), torch.zeros(1)
for step in range(201):
    error = w * x + b - y
    if step in (0, 1, 2, 5, 10, 20, 50, 200):
        loss = error.square().mean()
        print(f"step {step:3}   w {w.item():.3f}   b {b.item():.3f}   loss {loss.item():.4f}")
    w -= 0.3 * (2 * error * x).mean()
    b -= 0.3 * (2 * error).mean()

check("the slope is found", abs(w.item() - 2) < 0.1)
check("the intercept is found", abs(b.item() - 1) < 0.1)
check("the rest is the noise, 0.1 squared", 0.005 < loss < 0.02)

# %% [markdown]
# The loss does not go to 0. Each point was moved by about 0.1 up or down, at random, and no line
# follows that: 0.1 squared is 0.01. A loss has a floor, and the noise is its height.
#
# The same with the tools: `nn.Linear` holds `w` and `b`, the loss is `nn.MSELoss`, autograd finds
# the gradient, and an **optimizer** does the steps. Five lines, always in this order:
#
# 1. `zero_grad`: forget the last gradients, or the new ones would be added to them
# 2. the model guesses
# 3. the loss compares
# 4. `backward`: gradients
# 5. `step`: every parameter moves by `-lr` times its gradient

# %%
model = nn.Linear(1, 1)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
optimizer = optim.SGD(model.parameters(), lr=0.3)
for _ in range(201):
    optimizer.zero_grad()
    guess = model(x)
    loss = nn.MSELoss()(guess, y)
    loss.backward()
    optimizer.step()
print(f"w {model.weight.item():.3f}   b {model.bias.item():.3f}")

check("with the tools: the same numbers", torch.allclose(model.weight[0], w, atol=1e-4))
check("the loop by hand did what the tools do", torch.allclose(model.bias, b, atol=1e-4))

# %% [markdown]
# ## A second opinion
#
# A line is so simple that the best `w` and `b` can be computed without any search. At the bottom of
# the loss the gradient is zero, and "gradient is zero" is a set of linear equations. This is the
# **closed form**. A column of ones next to `x` makes the intercept a weight like the others;
# `torch.linalg.lstsq` ("least squares") solves the equations in a stable way. We do it in float64,
# because it will be our judge.


# %%
def closed_form(x, y):
    """The weights (D,) and the bias () with the smallest mean squared error."""
    with_ones = torch.cat([x, torch.ones(len(x), 1)], dim=1).double()
    solution = torch.linalg.lstsq(with_ones, y.double()).solution[:, 0]
    return solution[:-1], solution[-1]


best_w, best_b = closed_form(x, y)
print(f"closed form: w {best_w.item():.3f}   b {best_b.item():.3f}")
errors = x * best_w + best_b - y

at_the_bottom = errors.mean().abs() + (errors * x).mean().abs()
check("descent has arrived at the closed form", abs(w.item() - best_w.item()) < 1e-4)
check("at the bottom both gradients are zero", at_the_bottom < 1e-6)

# %% [markdown]
# Why then descend at all? Because hardly any other model has a closed form. Descent works for
# everything that has a gradient.
#
# ## Houses
#
# 500 houses have five features each, and the price in thousands follows a formula that the data do
# not reveal:
#
#     price = 0.15 area + 20 rooms + 15 bathrooms - 1 age - 3 distance + 50    and noise of 10
#
# 400 houses are for training. The other 100 are **held out**: no decision may look at them; they
# are the judge at the end. Look at the sizes of the features first.

# %%
train, test = data.houses()
names = ["area", "rooms", "bathrooms", "age", "distance"]
mean, std = train.x.mean(0), train.x.std(0)
for name, m, s in zip(names, mean.tolist(), std.tolist(), strict=True):
    print(f"{name:10} mean {m:6.1f}   standard deviation {s:5.1f}")


def descend(x, y, lr, steps=300):
    """The model and its last loss after some steps from zero."""
    model = nn.Linear(x.shape[1], 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = training.train_step(model, nn.MSELoss(), optimizer, x, y)  # the five lines
    return model, loss.item()


losses = {lr: descend(*train, lr)[1] for lr in (1e-4, 3e-5, 1e-6)}
for lr, loss in losses.items():
    print(f"learning rate {lr:.0e}: loss {loss:.0f}")

check("a step that is too large blows up", not losses[1e-4] < 1e30)
check("a small one crawls: far above the noise, 100", losses[3e-5] > 1000)

# %% [markdown]
# Both fail. The gradient of a weight is the error times its feature, and the area is around 150
# while the number of bathrooms is around 2. A step that suits one weight is far too large or far
# too small for the other. The cure is not a cleverer step but features of equal size: subtract the
# mean, divide by the standard deviation. The result is around 0 and about 1 wide, for every
# feature. This is called **standardising**.

# %%
x = (train.x - mean) / std
model, loss = descend(x, train.y, lr=0.1)
print(f"standardised, learning rate 0.1: loss {loss:.1f}")

check("each feature has mean 0", x.mean(0).abs().max() < 1e-4)
check("and standard deviation 1", torch.allclose(x.std(0), torch.ones(5)))
check("now the loss is down at the noise", 80 < loss < 120)

# %% [markdown]
# ## Back to square metres
#
# The weights that came out belong to standardised features: "thousands per standard deviation of
# area". To read them, map them back. Substitute the definition and collect the terms in x:
#
#     sum of w (x - mean) / std + b   =   sum of (w / std) x   +   b - sum of w mean / std
#
# So each weight is divided by its `std`, and the bias takes what is left.

# %%
weights = model.weight[0].detach() / std
bias = model.bias.detach()[0] - (weights * mean).sum()
best_w, best_b = closed_form(*train)
print(f"{'':10} {'true':>8} {'descent':>8} {'closed form':>12}")
rows = [*zip(HOUSE_WEIGHTS, weights, best_w, strict=True), (HOUSE_BIAS, bias, best_b)]
for name, (true, found, exact) in zip([*names, "bias"], rows, strict=True):
    print(f"{name:10} {true:8.2f} {found:8.2f} {exact:12.2f}")

check("descent and closed form agree", torch.allclose(weights.double(), best_w, rtol=1e-3))
truth = torch.tensor(HOUSE_WEIGHTS)
check("every weight is near the truth", torch.allclose(weights, truth, rtol=0.1))
check("and so is the bias", abs(bias - HOUSE_BIAS) < 5)

# %% [markdown]
# They are near, not equal, and both ways agree on the same "wrong" numbers. That is not the fault
# of either: with noise of 10 in every price, 400 houses cannot tell us more. With a tenth of the
# noise, everything comes out ten times as close.

# %%
quiet, _ = data.houses(noise=1.0)
quiet_w, _ = closed_form(*quiet)
for name, true, found in zip(names, HOUSE_WEIGHTS, quiet_w.tolist(), strict=True):
    print(f"{name:10} {true:6.2f} {found:7.3f}   off by {abs(found / true - 1):.1%}")

check("with noise of 1: all within 2 %", torch.allclose(quiet_w.float(), truth, rtol=0.02))

# %% [markdown]
# ## How good is it?
#
# Judge on the held-out houses, and standardise them with the mean and the standard deviation of the
# *training* data. They are part of the model: a single new house has no mean of its own, and a test
# set that brings its own numbers is no longer unseen.
#
# Four numbers say how far off the guesses are:
#
# | metric | formula | unit |
# |---|---|---|
# | MSE | mean of error^2 | price squared |
# | RMSE | root of the MSE | price |
# | MAE | mean of the absolute error | price |
# | R2 | 1 - MSE / variance of y | none: 1 is perfect, 0 is "always guess the mean" |

# %%
with torch.no_grad():
    guess = model((test.x - mean) / std)
mse, mae, r2 = (metric(guess, test.y) for metric in (training.mse, training.mae, training.r2))
print(f"MSE {mse:.0f}   RMSE {mse**0.5:.1f}   MAE {mae:.1f}   R2 {r2:.3f}")

lazy = test.y.mean().expand_as(test.y)
lazy_mse, lazy_r2 = training.mse(lazy, test.y), training.r2(lazy, test.y)
print(f"always the mean: RMSE {lazy_mse**0.5:.1f}   R2 {abs(lazy_r2):.3f}")

check("on unseen houses it is off by about as much as the noise, 10", 8 < mse**0.5 < 12)
check("the model explains more than nine tenths of the variance", r2 > 0.9)
check("always guessing the mean is worth 0", abs(lazy_r2) < 1e-6)
check("MAE is below RMSE: squares count large errors more", mae < mse**0.5)

# %% [markdown]
# An R2 below 0 is possible on unseen data: then the model is worse than guessing their mean.
#
# ## Real data
#
# With real patients nobody knows the formula. 442 of them had ten measurements taken, and a year
# later the progress of their diabetes was assessed. The same lines as above give a sobering answer:
# the measurements explain about half of the differences between the patients. The exercise asks for
# it (the data come with scikit-learn: `pip install 'scratchnet[data]'`).
#
# ## What to keep
#
# - five lines: zero_grad, guess, loss, backward, step
# - the closed form is the judge for linear models; descent works for all
# - standardise features, or no learning rate is right; map back with w / std
# - mean and standard deviation come from the training data, always
# - judge on held-out data: RMSE and MAE in the unit of y, R2 without one
# - noise sets a floor under the loss, and a limit to what can be known

# %% tags=["hide-input"]
check.done()
