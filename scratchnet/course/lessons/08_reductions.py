# %% [markdown]
# # Lesson 08: A reduction makes an axis disappear
#
# Concepts: 24, 25, 28. Builds on lesson 06.
#
# A loss is one number made from a whole batch. A LayerNorm needs the mean of every word, a photo
# the mean of every colour, a table the spread of every column. All of these are **reductions**:
# many numbers go in, fewer come out. The only hard part is saying *which* axis should go, and
# everyone gets that wrong at first. After this lesson you will get it right, know why there are two
# standard deviations, and be able to bring a table of houses onto a scale that a network likes, and
# back.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("08")

# %%
import math

import numpy as np
import torch

import scratchnet
import scratchnet.numpy
from scratchnet import backends, data
from scratchnet.ops import OPS
from scratchnet.ops.layer_norm import NormOptions

# %% [markdown]
# ## `dim` names the axis that goes
#
# Three exams of two students. `sum()` adds everything. `sum(dim=0)` makes axis 0 disappear, the
# students: what is left is one number for each exam. `sum(dim=1)` makes the exams disappear: one
# number for each student.
#
#                  exam 0   exam 1   exam 2   |  sum(dim=1)
#     student 0       1        2        3     |       6
#     student 1       4        5        9     |      18
#     ----------------------------------------+
#     sum(dim=0)      5        7       12            24   sum()
#
# People remember dim=0 as "rows" and then expect a sum for every row. It is the other way round. Do
# not think of directions at all. Look at the shape and cross out the axis that you name: (2, 3)
# without axis 0 is (3,).

# %%
scores = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]])  # (students, exams)
print("sum()      ", scores.sum())
print("sum(dim=0) ", scores.sum(dim=0))
print("sum(dim=1) ", scores.sum(dim=1))

check("dim=0 crosses out the students: (3,)", scores.sum(dim=0).shape == (3,))
check("dim=1 crosses out the exams: (2,)", scores.sum(dim=1).shape == (2,))
check("dim=-1 is the last axis", torch.equal(scores.sum(dim=-1), scores.sum(dim=1)))
check("both ways lead to the total", scores.sum(0).sum() == scores.sum(1).sum() == scores.sum())

# %% [markdown]
# Here is the collapse in slow motion. Along dim 0 the slices `scores[0]`, `scores[1]` fall onto
# each other, along dim 1 the slices `scores[:, 0]`, `scores[:, 1]`, `scores[:, 2]`. A slice has the
# shape without that axis, and so does the result.

# %%
for dim in (0, 1):
    total = torch.zeros(scores.sum(dim).shape)
    print(f"along dim {dim}:")
    for step, part in enumerate(scores.unbind(dim)):
        total = total + part
        print(f"  slice {step}: {part.tolist()!s:18} total so far: {total.tolist()}")
    check(f"slices along dim {dim} added up are the sum", torch.equal(total, scores.sum(dim)))

# %% [markdown]
# ## Not only sums
#
# | reduction | what is left of [1, 2, 6] | note |
# |---|---|---|
# | `sum`, `mean` | 9, 3 | `mean` wants floats |
# | `max`, `min` | 6, 1 | with `dim` they return two things: values and places |
# | `amax`, `amin` | 6, 1 | only the values |
# | `any`, `all` | True, True | of a mask: any yes? all yes? |
# | `var`, `std` | 7, 2.65 | spread, see below |
#
# Two of them have a trap. `mean` refuses whole numbers, because a mean is hardly ever whole. And
# `max(dim=...)` answers two questions at once, how large and where; if you forget that, you compare
# a pair with a number.

# %%
mishaps = []
for call in (lambda: torch.tensor([1, 2, 4]).mean(), lambda: scores.max(dim=1) > 3):
    try:
        call()
    except (RuntimeError, TypeError) as error:
        mishaps.append(error)
        print(f"{type(error).__name__}: {error}\n")
largest = scores.max(dim=1)
print("values", largest.values.tolist(), "  places", largest.indices.tolist())

check("the mean of integers is refused", "floating point" in str(mishaps[0]))
check("`.float()` fixes it", torch.tensor([1, 2, 6]).float().mean() == 3)
check("max(dim) has `.values` and `.indices`", largest.indices.tolist() == [2, 2])
check("amax has only the values", torch.equal(scores.amax(dim=1), largest.values))

# %% [markdown]
# And what is the sum of nothing? Such questions are not idle: a mask may pick nothing at all
# (lesson 03). A sum of nothing is 0, because adding nothing changes nothing. A mean of nothing is 0
# / 0, NaN. The largest of nothing does not exist.

# %%
nothing = torch.zeros(0)
print("sum", nothing.sum().item(), "  mean", nothing.mean().item())

check("the sum of nothing is 0", nothing.sum() == 0)
check("the mean of nothing is NaN", nothing.mean().isnan())

# %% [markdown]
# ## keepdim: leave a mark where the axis was
#
# Often the result goes back to where it came from: from every row, subtract its mean. With
# `keepdim=True` the axis stays with size 1, and broadcasting stretches it back over the row (lesson
# 06). Without it you meet a clash, or, with square tensors, silence.

# %%
mean = scores.mean(dim=1, keepdim=True)
centred = scores - mean
print("means", tuple(mean.shape), mean.tolist())
print("centred", centred.tolist())

check("keepdim leaves size 1", mean.shape == (2, 1))
check("every row is now centred at 0", torch.allclose(centred.mean(dim=1), torch.zeros(2)))

# %% [markdown]
# ## Several axes at once
#
# A batch of photos is (N, C, H, W). One mean for each colour: all axes but C should go. `dim` takes
# a tuple.

# %%
torch.manual_seed(0)
photos = torch.rand(4, 3, 8, 8) * torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)  # (N, C, H, W)
by_colour = photos.mean(dim=(0, 2, 3))
print("a mean for each colour: ", [f"{value:.2f}" for value in by_colour.tolist()])
print("a mean for each photo:  ", tuple(photos.mean(dim=(1, 2, 3)).shape))

check("what is not named stays: (C,)", by_colour.shape == (3,))
check("red is photos[:, 0]", torch.isclose(by_colour[0], photos[:, 0].mean()))

# %% [markdown]
# Sums, means and maxima may also be taken one axis after another; the result is the same. For the
# spread it is not. Two photos, one all black, one all white: inside each there is no spread at all,
# and over both there is a lot.

# %%
pair = torch.stack([torch.zeros(8, 8), torch.ones(8, 8)])  # (N, H, W)
in_steps = pair.std(dim=(1, 2)).mean()
at_once = pair.std()
print(f"mean of the two spreads {in_steps:.2f}, spread of all pixels {at_once:.2f}")

check("a mean of means is the mean", pair.mean(dim=(1, 2)).mean() == pair.mean())
check("a mean of spreads is not the spread", in_steps == 0 and at_once > 0.4)

# %% [markdown]
# ## Spread, and why there are two
#
# How far are numbers from their mean? Take 1, 2, 3. Their mean is 2, the distances are -1, 0, 1,
# and their squares 1, 0, 1. The **variance** is the mean of these squares, its root the **standard
# deviation**. To get that mean we add the squares up and divide. By what?
#
#     1 + 0 + 1 = 2        2 / 3 = 0.667     divided by n:      population variance
#                          2 / 2 = 1.0       divided by n - 1:  sample variance
#
# If 1, 2, 3 are *all there is*, divide by n. If they are a few drawn from many, and you want to
# guess the spread of the many, divide by n - 1. The reason: you measure distances from the mean of
# the few, and that mean lies in their middle, closer to them than the true one. So the squares come
# out too small, on average by a factor of (n - 1) / n. Do not take it on trust. Draw three numbers,
# 20,000 times, from a bell curve whose variance is 1:

# %%
torch.manual_seed(0)
draws = torch.randn(20_000, 3)
population = draws.var(dim=1, correction=0).mean().item()
sample = draws.var(dim=1).mean().item()
print(f"the true variance is 1;  divided by n: {population:.2f},  by n - 1: {sample:.2f}")

check("divided by n, it is too small by a factor of 2 / 3", abs(population - 2 / 3) < 0.03)
check("divided by n - 1, it is right on average", abs(sample - 1) < 0.03)

# %% [markdown]
# Which one do you get if you do not ask? torch's `std` and `var` divide by n - 1, NumPy's by n.
# LayerNorm (and BatchNorm, when it normalises) divides by n: its row is all there is. Mixing them
# up is the most common reason for a hand-written LayerNorm being slightly off.

# %%
x = torch.tensor([1.0, 2.0, 3.0])
normal = scratchnet.layer_norm(x, (3,))
of_all = x.std(correction=0)
print(f"torch {x.std():.4f}, with correction=0 {of_all:.4f}, NumPy {x.numpy().std():.4f}")
print("layer_norm of 1, 2, 3:", [f"{value:.4f}" for value in normal.tolist()])

check("torch divides by n - 1", x.std() == 1)
check("NumPy divides by n", math.isclose(x.numpy().std(), math.sqrt(2 / 3), rel_tol=1e-6))
check("layer_norm divides by n: 1 / sqrt(2 / 3)", abs(normal[2] - 1 / math.sqrt(2 / 3)) < 1e-4)

# %% [markdown]
# ## Two reductions make a LayerNorm
#
# LayerNorm brings each row to mean 0 and standard deviation 1. It reduces each row twice, to its
# mean and to its variance, and puts both back with broadcasting. Here it is from the part of
# scratchnet that holds the mathematics; the result comes with the two statistics, because the way
# back needs them. (`eps` is a tiny number that keeps a constant row from being divided by 0.)

# %%
row = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 60.0]])  # (N, D)
layer_norm_forward = scratchnet.oracle.layer_norm.layer_norm_forward
options = NormOptions(ndim=1, eps=1e-5)  # over the last axis
y, mean, rstd = layer_norm_forward(row, weight=None, bias=None, options=options)
print("means           ", mean.tolist())
print("1 / deviations  ", rstd.round(4).tolist())
print("normalised      ", y.round(4).tolist())

check("the statistics keep their axis: (N, 1)", mean.shape == rstd.shape == (2, 1))
check("the mean of 10, 20, 60 is 30", mean[1, 0] == 30)

# %%
words = torch.randn(6, 20) * 5 + 3  # (words, features): mean about 3, deviation about 5
for name in backends.runnable(OPS["layer_norm"]):
    with scratchnet.backend(name):
        normal = scratchnet.layer_norm(words, (20,))
    mean, deviation = normal.mean(dim=1), normal.std(dim=1, correction=0)
    low, high = deviation.min(), deviation.max()
    print(f"{name:8} means up to {mean.abs().max():.0e}, deviations {low:.4f} to {high:.4f}")
    check(f"{name}: mean 0 in every row", mean.abs().max() < 1e-5)
    check(f"{name}: deviation 1 in every row", (deviation - 1).abs().max() < 1e-3)

# %% [markdown]
# ## Standardising a table
#
# Here are houses: area, rooms, bathrooms, age, distance to the centre. The areas go up to 250, the
# bathrooms to 3. To a network a number is a number: a column of large ones drowns out a column of
# small ones. So bring every *column* to mean 0 and deviation 1. This is called **standardising**,
# and it is LayerNorm's formula along the other axis: dim=0, over the houses.

# %%
(x_train, y_train), (x_test, y_test) = data.houses()
mean, std = x_train.mean(dim=0), x_train.std(dim=0)  # (D,)
print("columns        area  rooms  baths    age  distance")
print("mean       ", "".join(f"{value:8.1f}" for value in mean.tolist()))
print("deviation  ", "".join(f"{value:8.1f}" for value in std.tolist()))
train = (x_train - mean) / std
test = (x_test - mean) / std  # the mean and deviation of the *training* houses
print("test mean  ", "".join(f"{value:8.2f}" for value in test.mean(dim=0).tolist()))

check("one mean for each column", mean.shape == (5,))
check("the training columns: mean 0", train.mean(dim=0).abs().max() < 1e-5)
check("and deviation 1", torch.allclose(train.std(dim=0), torch.ones(5)))
check("the test columns only nearly", 1e-3 < test.mean(dim=0).abs().max() < 0.5)

# %% [markdown]
# Look at the line for the test houses. They are measured with the ruler of the training houses.
# They must be: the network learns what "0.7 deviations above the mean" is worth on that ruler. And
# when a single house comes in tomorrow, it has no mean of its own. (Here the sample deviation was
# used. For 400 houses the two differ by one part in 800, which goes unnoticed as long as one of
# them is used throughout.)
#
# If the prices are standardised too, the network predicts standardised prices. To read them, **map
# back**: undo the steps, the last one first. Going in was *subtract, divide*; coming back is
# *multiply, add*.

# %%
y_mean, y_std = y_train.mean(), y_train.std()
scaled = (y_train - y_mean) / y_std
back = scaled * y_std + y_mean
print(f"a prediction of 0 means {y_mean:.0f} thousand, +1 means {y_mean + y_std:.0f} thousand")

check("there and back again", torch.allclose(back, y_train, atol=1e-3))
check("0 is the mean price", torch.equal(0 * y_std + y_mean, y_mean))

# %% [markdown]
# ## What to keep
#
# - `dim` is the axis that disappears; cross it out of the shape
# - `keepdim=True` when the result goes back to its tensor; a tuple for several axes
# - `max(dim)` returns values and places; `mean` wants floats
# - torch's `std` divides by n - 1, NumPy's and LayerNorm's by n
# - standardise columns with the statistics of the training data, and map predictions back

# %% tags=["hide-input"]
check.done()
