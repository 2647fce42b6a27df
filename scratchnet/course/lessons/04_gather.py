# %% [markdown]
# # Lesson 04: What is copied forward is added up backward
#
# Concepts: 12. Builds on lesson 03.
#
# A language model begins by looking up each word of a sentence in a table. That is a `gather`: it
# copies rows, and nothing could be simpler. To *learn* the table, training must go the other way:
# from "how should the copies change" to "how should the table change". When a word occurs twice
# there is a trap, and real libraries have fallen into it. This is the first **backward pass** of
# the course; you will see where it comes from, in numbers small enough to add up yourself.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("04")

# %%
import inspect

import numpy as np
import torch

import scratchnet
import scratchnet.numpy
from scratchnet import backends, nn
from scratchnet.ops import OPS

# %% [markdown]
# ## Forward: copy
#
# With one axis, gather is what you know as indexing: `y[i] = x[index[i]]`. An entry may be asked
# for twice (here 2) or never (here 3).
#
#     x          5.     6.     7.     8.
#
#     index      2      0      2      1
#     y         x[2]   x[0]   x[2]   x[1]
#                7.     5.     7.     6.

# %%
x = torch.tensor([5.0, 6.0, 7.0, 8.0])
index = torch.tensor([2, 0, 2, 1])
y = scratchnet.gather(x, 0, index)
print(y)

check("with one axis, gather is indexing", torch.equal(y, x[index]))
check("the result has the shape of the index", y.shape == index.shape)

# %% [markdown]
# With two axes you say along which one to look up. The other coordinate stays as it is:
#
#     dim 0:   y[i][j] = x[ index[i][j] ][j]        walk up and down a column
#     dim 1:   y[i][j] = x[i][ index[i][j] ]        walk along a row
#
# The index has as many axes as `x`. Along `dim` it may be longer or shorter; along the others it
# may not be longer.

# %%
table = torch.tensor([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]])
down = scratchnet.gather(table, 0, torch.tensor([[1, 0, 1]]))
along = scratchnet.gather(table, 1, torch.tensor([[2, 0], [1, 1]]))
print("dim 0:", down.tolist())
print("dim 1:", along.tolist())

check("dim 0 takes one entry of each column", down.tolist() == [[10, 1, 12]])
check("dim 1 takes entries of each row", along.tolist() == [[2, 0], [11, 11]])

# %% [markdown]
# To take *whole rows*, every column needs the same index. `expand` repeats it along a new axis
# without copying a number: the stride of that axis is 0, so each step stays where it is.

# %%
words = torch.tensor([1, 0, 1])
whole = words.unsqueeze(1).expand(3, 3)  # (3,) -> (3, 1) -> (3, 3)
rows = scratchnet.gather(table, 0, whole)
print("index:", whole.tolist(), " stride", whole.stride())
print("rows: ", rows.tolist())

check("an expanded index takes whole rows", torch.equal(rows, table[words]))
check("expanding copies nothing", whole.data_ptr() == words.data_ptr())

# %% [markdown]
# ## Backward: a question about change
#
# Somewhere behind `y` a loss is computed, one number that says how bad things are. Suppose we know
# for every entry of `y` how fast the loss grows with it. That is the **gradient** of `y`; call it
# `g`. What is the gradient of `x`?
#
# Ask by trying. Let the loss be `g[0] * y[0] + g[1] * y[1] + ...`, nudge one entry of `x` a little,
# and see how much the loss moves.

# %%
g = torch.tensor([1.0, 20.0, 300.0, 40.0])


def loss(x):
    return (g * scratchnet.gather(x, 0, index)).sum()


nudged = []
for k in range(4):
    moved = x.clone()
    moved[k] += 0.5
    nudged.append((loss(moved) - loss(x)).item() / 0.5)
    print(f"nudge x[{k}]: the loss moves {nudged[k]:.0f} times as far")

check("x[2] went into y[0] and y[2]: both gradients count", nudged[2] == 1 + 300)
check("x[3] went nowhere: it does not matter", nudged[3] == 0)

# %% [markdown]
# So the gradient of an entry is the *sum* of the gradients of all its copies. Every `g[i]` goes
# back to the place its number came from, and what meets there is added:
#
#     dx[k] = sum of g[i] over all i with index[i] = k
#
# This is **scatter-add**, the reverse of gather. Gather reads through the index; scatter-add writes
# through it.

# %%
dx = torch.zeros(4)
for i, k in enumerate(index.tolist()):
    dx[k] += g[i]
    print(f"g[{i}] = {g[i]:.0f} goes to dx[{k}]:  dx = {dx.tolist()}")

check("the loop gives what the nudges found", dx.tolist() == nudged)
check("nothing is lost: the sums are equal", dx.sum() == g.sum())

# %% [markdown]
# ## The trap: the last one wins
#
# Without the loop it looks like one line, `dx[index] += g`. It runs, and it is wrong as soon as an
# index repeats. It means `dx[index] = dx[index] + g`: read all places, add, write all places. Place
# 2 is read twice before it is written, so both read 0; then 1 is written, and then 300 on top of
# it.

# %%
wrong = np.zeros(4)
wrong[index.numpy()] += g.numpy()
right = np.zeros(4)
np.add.at(right, index.numpy(), g.numpy())  # one after the other
print("dx[index] += g:         ", wrong)
print("np.add.at(dx, index, g):", right)

check("`+=` through a repeated index keeps only the last", wrong[2] == 300)
check("np.add.at adds one after the other", right[2] == 301)

# %% [markdown]
# It is a nasty bug: tests with small random data may never repeat an index, and text always does.
#
# Here is the whole backward of gather, from the part of scratchnet that holds the mathematics. It
# works for any axis, and the line that matters is the one you just saw.

# %%
source = inspect.getsource(scratchnet.oracle.gather.gather_backward)
print(source)

check("the library adds one after the other", "np.add.at" in source)

# %% [markdown]
# ## Another look: gather is a matrix product
#
# Write a 1 for every copy: row `i` of the matrix P has its 1 in column `index[i]`. Then `y = P x`,
# a matrix product (lesson 07). Such a product has a known reverse, the product with its transpose:
# `dx = P.T g`. The two ones in column 2 of P become two ones in a row of P.T, and that row *adds*.
# (Nobody computes it like this: P is nearly all zeros. But it shows that scatter-add is not a
# trick. It is the transpose of copying.)

# %%
P = torch.zeros(4, 4)
P[torch.arange(4), index] = 1
print(P)

check("P x is gather", torch.equal(P @ x, y))
check("P.T g is scatter-add", torch.equal(P.T @ g, dx))

# %% [markdown]
# ## Every backend, forward and backward
#
# torch remembers how `y` was computed and asks each step for its backward (lesson 12 explains how).
# scratchnet answers with the backward of the same backend. Let us ask all of them, with 1,000
# indices into only 50 rows, so that every row is repeated about 20 times.

# %%
torch.manual_seed(0)
table = torch.randn(50, 8, requires_grad=True)  # (V, D)
index = torch.randint(50, (1000, 1)).expand(1000, 8)  # (n, D)
g = torch.randn(1000, 8)

gradients = {}
for name in backends.runnable(OPS["gather"]):
    with scratchnet.backend(name):
        y = scratchnet.gather(table, 0, index)
        (gradients[name],) = torch.autograd.grad(y, table, g)

exact = gradients["numpy"]  # computed in float64
for name, gradient in gradients.items():
    print(f"{name:8} largest difference from NumPy {(gradient - exact).abs().max():.1e}")
last_wins = torch.zeros(50, 8)
last_wins[index[:, 0]] += g
print(f"{'+= trap':8} largest difference from NumPy {(last_wins - exact).abs().max():.1e}")

check("all of them agree", all((d - exact).abs().max() < 1e-5 for d in gradients.values()))
check("the trap is far off", (last_wins - exact).abs().max() > 1)

# %% [markdown]
# They agree, but not in every last digit. Floating-point addition rounds, so the *order* of a sum
# matters. Many threads that add into one place arrive in any order, and then two runs of the same
# program differ. scratchnet's C++ kernel adds in the order of the index, whatever the number of
# threads: the same bits in every run.

# %%
numbers = torch.tensor([1e8, 1.0, -1e8, 1.0])
forward_sum = ((numbers[0] + numbers[1]) + numbers[2]) + numbers[3]
other_order = ((numbers[0] + numbers[2]) + numbers[1]) + numbers[3]
print("the same four numbers:", forward_sum.item(), "or", other_order.item())

check("the order of a sum matters", forward_sum != other_order)

threads = torch.get_num_threads()
with scratchnet.backend(backends.default()):
    runs = []
    for count in (1, 2):
        torch.set_num_threads(count)
        runs += torch.autograd.grad(scratchnet.gather(table, 0, index), table, g)
torch.set_num_threads(threads)
check("the same bits with one thread and with two", torch.equal(*runs))

# %% [markdown]
# ## Where you meet it
#
# `nn.Embedding` is this lesson as a layer: a table with one row for each word. Watch what a
# sentence does to its gradient. Here the loss is a plain sum, so every copy has gradient 1.

# %%
vocabulary = ["the", "cat", "sat", "on", "mat", "dog"]
sentence = [vocabulary.index(word) for word in "the cat sat on the mat".split()]
embed = nn.Embedding(len(vocabulary), 4)
embed(torch.tensor(sentence)).sum().backward()
for word, gradient in zip(vocabulary, embed.weight.grad.tolist(), strict=True):
    print(f"{word:5}{gradient}")

check('"the" occurs twice and gets twice the gradient', (embed.weight.grad[0] == 2).all())
check('"dog" does not occur and learns nothing', (embed.weight.grad[5] == 0).all())

# %% [markdown]
# ## What to keep
#
# - gather copies through an index: `y[i] = x[index[i]]`
# - its backward is scatter-add: each gradient goes home, and what meets is *added*
# - an entry that was copied twice gets both gradients; one that was not copied gets 0
# - `dx[index] += g` loses repeated indices; `np.add.at` and torch's `index_add_` do not
# - nudging an input is how any gradient can be checked; lesson 13 turns it into a tool

# %% tags=["hide-input"]
check.done()
