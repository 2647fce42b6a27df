# %% [markdown]
# # Lesson 18: A loss says what you want, and you get what it says
#
# Concepts: 20, 62, 63, 64. Builds on lessons 10 and 16.
#
# Training makes one number small, whatever that number is. If it counts slightly the wrong thing,
# you get a model that is slightly wrong, and nothing tells you. This lesson is about choosing the
# number, taking the mean of the right things, and reading what it says. At the end you know MSE,
# L1, Huber and BCE, you can weight samples and skip padding, and you can write a loss of your own.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("18")

# %%
import math
import warnings

import numpy as np
import torch

import scratchnet.nn.functional as F
import scratchnet.numpy.loss
from scratchnet import data, nn, optim

# %% [markdown]
# ## Three losses, three answers
#
# Five houses cost 100, 110, 120, 130 and 1000. You must name *one* price for all of them. Which is
# best? That depends on how an error `e` counts:
#
# | loss | an error counts | best single guess |
# |---|---|---|
# | MSE | e^2: twice as wrong is four times as bad | the mean |
# | L1 (or MAE) | the size of e: twice as wrong is twice as bad | the median, the one in the middle |
# | Huber | e^2 / 2 for small errors, like L1 for large ones | between the two |
#
# Let us try every price from 0 to 1000.

# %%
prices = torch.tensor([100.0, 110.0, 120.0, 130.0, 1000.0])
guesses = torch.arange(0.0, 1001.0)


def best_guess(loss):
    """The single price with the smallest loss."""
    return min(guesses, key=lambda guess: loss(guess.expand(5), prices).item()).item()


huber = lambda guess, y: F.huber_loss(guess, y, delta=30.0)
best = {"MSE": best_guess(F.mse_loss), "L1": best_guess(F.l1_loss), "Huber": best_guess(huber)}
print(best, " mean", prices.mean().item(), " median", prices.median().item())

check("MSE wants the mean", best["MSE"] == prices.mean())
check("L1 wants the median", best["L1"] == prices.median())
check("Huber is hardly moved by one strange house", best["L1"] <= best["Huber"] < 140)

# %% [markdown]
# One strange house pulls the MSE's guess to 292, a price that no house has. If the strange one is
# an error in the data, that is bad; if it is the house you must not get wrong, it is just right.
# Choose on purpose.
#
# The reason shows in the **slopes**, which are what training feels. The MSE pulls at each error in
# proportion to its size, L1 pulls at all of them equally, and Huber is the MSE near 0 with a limit
# on the pull. (`delta` is where it changes; torch's `SmoothL1Loss` is Huber divided by its limit.)

# %%
errors = torch.tensor([-100.0, -1.0, -0.1, 0.1, 1.0, 100.0])
losses = {"MSE": F.mse_loss, "L1": F.l1_loss, "Huber": F.huber_loss}  # delta is 1
slopes = {}
for name, loss in losses.items():
    e = errors.clone().requires_grad_()
    (slopes[name],) = torch.autograd.grad(loss(e, torch.zeros(6), reduction="sum"), e)
    print(f"{name:6} slopes", [round(slope, 2) for slope in slopes[name].tolist()])

check("MSE: twice the error", torch.equal(slopes["MSE"], 2 * errors))
check("L1: the sign", torch.equal(slopes["L1"], errors.sign()))
check("Huber: the error, cut off at 1", torch.equal(slopes["Huber"], errors.clamp(-1, 1)))

# %% [markdown]
# ## Reductions
#
# A batch gives one loss for each entry, and training needs one number. The **reduction** says how
# to get it: `"mean"` (the default), `"sum"`, or `"none"`, which leaves the losses alone. The
# gradient of the sum is N times that of the mean. So with "sum" a batch twice as large takes steps
# twice as long, and with "mean" it does not. That is why "mean" is the default.

# %%
guess = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)  # (B, D)
y = torch.zeros(3, 2)
gradients = {}
for reduction in ("none", "sum", "mean"):
    loss = F.mse_loss(guess, y, reduction=reduction)
    print(f"{reduction:5}", loss.tolist())
    (gradients[reduction],) = torch.autograd.grad(loss.sum(), guess)

six_times = 6 * gradients["mean"]
check("the gradient of the sum is N times the mean's", gradients["sum"].allclose(six_times))
check("and N counts entries here, not rows", loss.isclose(guess.square().sum() / 6))

# %% [markdown]
# Here is the same in NumPy: the loss and its gradient by the formula. (It takes the target first;
# torch takes it second.)

# %%
value, gradient = scratchnet.numpy.loss.mse(y.numpy(), guess.detach().double().numpy())
print("loss", value, " gradient", gradient.tolist())

check("2 (guess - y) / N", np.allclose(gradient, 2 * guess.detach().numpy() / 6))
check("NumPy and torch agree", np.allclose(gradient, gradients["mean"]))

# %% [markdown]
# **The mean of means.** Five samples, batches of four, so the last batch has one. If you average
# the two batch losses, that one sample counts as much as the other four together. Multiply each
# mean by its batch size, add, divide by all.

# %%
batches = torch.tensor([1.0, 1.0, 1.0, 1.0]), torch.tensor([9.0])
means = [batch.mean().item() for batch in batches]
mean_of_means = sum(means) / 2
right = sum(mean * len(batch) for mean, batch in zip(means, batches, strict=True)) / 5
print("batch means", means, " their mean", mean_of_means, " mean of all", right)

of_all = torch.cat(batches).mean().item()
check("weighted by their sizes: the mean of all", math.isclose(right, of_all, rel_tol=1e-6))
check("the plain mean of the means is something else", mean_of_means > 1.5 * right)

# %% [markdown]
# ## Reading a loss
#
# Is a loss of 40 good? Alone, the number says nothing. Compare it with the laziest model there is.
# For MSE, that model always guesses the mean, and its loss is the *variance* of the targets. For
# cross-entropy with C classes (lesson 19) it calls all classes equally likely, and its loss is log
# C: 2.3 for ten. A model that has been trained and is still above it, on its own training data, has
# a bug.

# %%
(_, price), _ = data.houses()
lazy = price.mean().expand_as(price)
print(f"houses: {F.mse_loss(lazy, price):.0f} is the loss of always guessing the mean")
uniform = F.cross_entropy(torch.zeros(100, 10), torch.randint(10, (100,)))
print(f"ten classes: {uniform:.2f} is the loss of calling all equally likely")

variance = price.var(correction=0)
check("the laziest MSE is the variance", F.mse_loss(lazy, price).isclose(variance))
check("the laziest cross-entropy is log C", math.isclose(uniform, math.log(10), rel_tol=1e-5))

# %% [markdown]
# ## The silent one: (B, 1) and (B,)
#
# A model with one output gives (B, 1). The targets often come as (B,). Lesson 06 showed what
# broadcasting makes of the two: (B, B), every guess against every target. The guess below is
# perfect, and the loss is not 0. There is no error, only a warning. Never ignore it.

# %%
y = torch.tensor([1.0, 2.0, 3.0])
perfect = y.unsqueeze(1)  # (3, 1), as a Linear(..., 1) gives it
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    wrong = F.mse_loss(perfect, y)
print("loss of a perfect guess:", wrong.item())
print("warning:", heard[0].message)

check("the warning names the fix", "input.squeeze(1)" in str(heard[0].message))
check("a perfect guess: twice the variance", wrong.isclose(2 * y.var(correction=0)))
check("with equal shapes it is 0", F.mse_loss(perfect.squeeze(1), y) == 0)

# %% [markdown]
# ## Not all entries count alike
#
# Give each entry a weight, and the mean must be taken over the *weights*: a sample of weight 2
# counts as two samples. The special case is a weight of 0: an entry that is not there. Sentences in
# a batch have different lengths, and the short ones are filled up with **padding**. It has no right
# answer, so it must not count, *neither* in the sum *nor* in the number to divide by.

# %%
weighted = F.mse_loss(torch.tensor([1.0, 4.0]), torch.zeros(2), weight=torch.tensor([2.0, 1.0]))
repeated = F.mse_loss(torch.tensor([1.0, 1.0, 4.0]), torch.zeros(3))
print("weight 2 for the first:", weighted.item(), "  the first twice:", repeated.item())

check("a weight of 2 is the same as being there twice", weighted == repeated == 18 / 3)

torch.manual_seed(0)
PAD = 0
y = torch.tensor([[5, 3, 7, 2], [4, 6, PAD, PAD], [8, PAD, PAD, PAD]])  # (B, S)
logits = torch.randn(3, 4, 10)  # (B, S, C)
each = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").reshape(3, 4)
real = y != PAD
right = each[real].mean()
too_small = (each * real).sum() / each.numel()
print(f"over the 7 real words {right:.3f}   divided by all 12: {too_small:.3f}")
built_in = F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=PAD)

check("divided by all, padding counts as perfect", torch.isclose(too_small, right * 7 / 12))
check("ignore_index takes the mean over the rest", torch.isclose(built_in, right))

# %% [markdown]
# The wrong mean looks *better* the more padding there is, and a word counts less if a long sentence
# sits beside it in the batch. It trains, a little worse, and nobody sees why.
#
# (And remember lesson 03: choose with the mask, do not multiply by it. Infinity times 0 is NaN.)
#
# ## Yes or no: BCE
#
# Is this mail spam? One output is enough. The model gives a **logit** z, any number, and the
# **sigmoid** `1 / (1 + exp(-z))` turns it into a probability p: 0 becomes a half, a large z becomes
# nearly 1. The right answer t is 1 or 0. The loss is minus the logarithm of the probability that
# the model gave to the right answer, **binary cross-entropy**:
#
#     loss = -log(p)       if t = 1
#            -log(1 - p)   if t = 0
#
# A model that is sure and right pays nearly nothing. One that is sure and wrong pays dearly.

# %%
for z in (-4.0, 0.0, 4.0):
    p = torch.sigmoid(torch.tensor(z))
    print(f"logit {z:4}   p {p:.3f}   loss if yes {-p.log():.3f}   if no {-(1 - p).log():.3f}")

z, t = torch.tensor([-4.0, 0.0, 4.0]), torch.tensor([1.0, 1.0, 1.0])
in_two_steps = F.binary_cross_entropy(torch.sigmoid(z), t)
in_one = F.binary_cross_entropy_with_logits(z, t)
check("on moderate logits both forms agree", torch.isclose(in_two_steps, in_one))

# %% [markdown]
# Now a logit of 200 where the answer is no. In float32 the sigmoid rounds to exactly 1, nothing is
# left for "no", and log(0) is minus infinity. torch's `BCELoss` cuts the loss off at 100, and the
# gradient is lost in the rounding. The form on logits never computes p. Some algebra (write `1 - p`
# as `exp(-z) p` and rearrange) gives a formula in which nothing overflows:
#
#     loss = max(z, 0) - z t + log(1 + exp(-|z|))

# %%
z, t = torch.tensor([200.0], requires_grad=True), torch.tensor([0.0])
for name, loss in (
    ("two steps", F.binary_cross_entropy(torch.sigmoid(z), t)),
    ("on logits", F.binary_cross_entropy_with_logits(z, t)),
):
    (slope,) = torch.autograd.grad(loss, z)
    print(f"{name}: loss {loss.item():.0f}, slope {slope.item():.0f}")
try:
    F.binary_cross_entropy(z, t)
except RuntimeError as error:
    print(error)
    check("BCE notices numbers beyond 0 and 1", "should be between 0 and 1" in str(error))

check("on logits: the true loss", loss == 200)
check("and a slope that brings z down", slope == 1)

# %% [markdown]
# Take the form on logits, always, and the sigmoid only when you want to show a probability. Its
# slope is `p - t`, guess minus truth. Remember that; the next lesson brings it back for many
# classes.
#
# ## Your own
#
# Any expression that ends in one number and has a gradient is a loss. The most common addition is a
# **penalty** that keeps weights small, so that a model does not bend itself around single samples:
# the sum of the squared weights, times a strength. Its gradient is `2 * strength * w`, a pull
# towards 0. Biases are usually left out; they bend nothing. Optimizers offer the same under the
# name `weight_decay`. The decay times w is added to the gradient directly, so it is twice the
# strength:

# %%
torch.manual_seed(0)
x, y = torch.randn(20, 4), torch.randn(20, 1)
penalised = nn.Linear(4, 1, bias=False)
decayed = nn.Linear(4, 1, bias=False)
decayed.load_state_dict(penalised.state_dict())
strength = 0.05
steps = (
    (penalised, optim.SGD(penalised.parameters(), lr=0.1)),
    (decayed, optim.SGD(decayed.parameters(), lr=0.1, weight_decay=2 * strength)),
)
for _ in range(50):
    for model, optimizer in steps:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        if model is penalised:
            loss = loss + strength * model.weight.square().sum()
        loss.backward()
        optimizer.step()
print("penalised:", [f"{w:.4f}" for w in penalised.weight[0].tolist()])
print("decayed:  ", [f"{w:.4f}" for w in decayed.weight[0].tolist()])

check("in SGD a penalty is weight decay", penalised.weight.allclose(decayed.weight, atol=1e-5))
free = torch.linalg.lstsq(x, y).solution
check("it pulls the weights towards 0", penalised.weight.norm() < free.norm())

# %% [markdown]
# (In Adam the two are *not* the same; lesson 25 explains why AdamW exists.)
#
# ## What to keep
#
# - MSE follows the mean and fears large errors, L1 follows the median, Huber is in between
# - "mean" keeps the learning rate independent of the batch size; know what it divides by
# - (B, 1) against (B,) is (B, B): heed the warning
# - divide by what counted: sum of the weights, number of real words
# - BCE on logits, not on probabilities
# - compare a loss with the laziest model; add to a loss what you want, if it has a gradient

# %% tags=["hide-input"]
check.done()
