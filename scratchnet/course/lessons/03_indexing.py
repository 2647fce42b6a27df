# %% [markdown]
# # Lesson 03: An index asks a tensor for some of its entries
#
# Concepts: 9, 10, 11, 12. Builds on lesson 01.
#
# A network that recognises digits answers with ten numbers for each picture, one per digit. How
# sure was it of the *right* digit? To learn anything at all, training has to pick that one number
# out of every row. It is a small question with three good answers and one famous wrong one, and
# answering it takes you through everything about indexing.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("03")

# %%
import torch

import scratchnet
from scratchnet import backends
from scratchnet.course import memory
from scratchnet.ops import OPS

# %% [markdown]
# ## Numbers drop an axis, slices keep it
#
# An index has one place for each axis, and counting starts at 0. In each place goes either
#
# - a **number**, which takes one entry of that axis, and the axis is gone, or
# - a **slice** `start:end`, which takes a stretch of it (excluding `end`), and the axis stays. A
#   `:` alone takes everything, `start:end:2` every second entry.
#
# Negative numbers count from the end: -1 is the last entry.

# %%
x = torch.arange(12.0).reshape(3, 4)
print(x)
for name in ("x[1, 2]", "x[1]", "x[:, 2]", "x[1:2]", "x[:, 1:3]", "x[-1]", "x[::2]"):
    picked = eval(name)
    print(f"{name:10} shape {tuple(picked.shape)!s:8}{picked.tolist()}")

check("a number drops its axis", x[1].shape == (4,))
check("a slice of one keeps it", x[1:2].shape == (1, 4))
check("two numbers leave no axis", x[1, 2].shape == ())

# %% [markdown]
# `x[1, 2]` is still a tensor, one without axes. `.item()` turns it into a plain Python number: for
# printing, and for every number that you keep from a training run. (A kept tensor would keep the
# memory of everything it was computed from.)

# %%
print(x[1, 2], "->", x[1, 2].item())

check("item gives a Python float", isinstance(x[1, 2].item(), float))

# %% [markdown]
# Numbers and slices give views, as lesson 01 showed: the strides do all the work. So they cost
# nothing, and writing into them writes into `x`.

# %%
print(memory(x, {"x[1]": x[1], "x[:, 2]": x[:, 2], "x[::2, 1:3]": x[::2, 1:3]}))

check("a slice is a view", x[::2, 1:3].data_ptr() == x[0, 1:].data_ptr())

# %% [markdown]
# ## Masks: ask every entry
#
# A comparison asks every entry a question. The answers are a **mask**, a bool tensor of the same
# shape. Use it as an index and you get the entries that said yes, in one row: how many there will
# be is not known in advance, so the shape is lost. And they are a copy, because no stride could
# describe them.

# %%
x = torch.tensor([[3.0, -1.0, 2.0], [-5.0, 4.0, 0.0]])
mask = x < 0
print(mask)
print("negative:", x[mask])
print("how many:", mask.sum().item(), f"  fraction: {mask.float().mean().item():.2f}")

check("one entry for every yes", x[mask].numel() == mask.sum())
check("the picked entries are a copy", x[mask].data_ptr() != x.data_ptr())

# %% [markdown]
# Masks combine with `&` (and), `|` (or), `~` (not). Put brackets around every comparison: `&` binds
# tighter than `<`. Python's own `and` does not work here; it wants a single yes or no.

# %%
print("between -2 and 2:", x[(x > -2) & (x < 2)])
try:
    print(x > -2 and x < 2)
except RuntimeError as error:
    refusal = str(error)
    print("with `and`:", refusal)

check("`and` cannot decide for many entries at once", "ambiguous" in refusal)

# %% [markdown]
# `torch.where(mask, a, b)` keeps the shape: it takes from `a` where the mask says yes, from `b`
# elsewhere. It makes a new tensor. An assignment `x[mask] = 0` writes into `x` itself.

# %%
positive_part = torch.where(x > 0, x, 0.0)
print(positive_part)
check("where keeps the shape", positive_part.shape == x.shape)
check("where leaves x alone", x.min() < 0)

y = x.clone()
y[y < 0] = 0
check("assigning through a mask gives the same, in place", torch.equal(y, positive_part))

# %% [markdown]
# ## One entry per row
#
# Back to the network. Here are its **logits**, raw scores for 3 classes, for a batch of 4 samples;
# `y` is the right class of each.
#
#              class 0   class 1   class 2         y
#     row 0    [ 2.0 ]     0.5      -1.0           0
#     row 1      0.1       0.2     [ 3.0 ]         2
#     row 2     -1.0     [ 1.5 ]     0.0           1
#     row 3      0.3       0.9     [-0.5 ]         2
#
# Everyone's first attempt is `logits[:, y]`. It runs, and it is wrong.

# %%
rows = [[2.0, 0.5, -1.0], [0.1, 0.2, 3.0], [-1.0, 1.5, 0.0], [0.3, 0.9, -0.5]]
logits = torch.tensor(rows)  # (B, C)
y = torch.tensor([0, 2, 1, 2])  # (B,)
right = torch.tensor([2.0, 3.0, 1.5, -0.5])
print(logits[:, y])

check("`logits[:, y]` has a column for each label: (B, B)", logits[:, y].shape == (4, 4))
check("what we want is on its diagonal", torch.equal(logits[:, y].diagonal(), right))

# %% [markdown]
# It says: *all* rows, and from each the columns 0, 2, 1, 2. With a batch of 1,000 that is a million
# numbers to get a thousand.
#
# **First way: pairs.** Two lists of numbers as an index are read together, like coordinates: row 0
# with column 0, row 1 with column 2, and so on. `arange` counts the rows.
#
#     rows      0  1  2  3       torch.arange(4)
#     columns   0  2  1  2       y

# %%
by_pairs = logits[torch.arange(4), y]
print(by_pairs)

check("pairs of coordinates pick one entry per row", torch.equal(by_pairs, right))

# %% [markdown]
# **Second way: gather.** It is made for this. Along one axis it takes, at each place, the entry
# that an index names; the result has the shape of the index. Along axis 1:
#
#     result[i][j] = logits[i][ index[i][j] ]
#
# We want one entry per row, so the index is a column, (B, 1). `unsqueeze(1)` turns `y` into one,
# and `squeeze(1)` takes that axis off the result.

# %%
by_gather = scratchnet.gather(logits, 1, y.unsqueeze(1)).squeeze(1)
print(by_gather)

check("gather picks the same", torch.equal(by_gather, right))

# %% [markdown]
# **Third way: a mask.** Write the class numbers 0, 1, 2 side by side and the labels one below
# another, and compare. Each row says yes once. (How a column meets a row is the story of lesson
# 06.)

# %%
mask = y.unsqueeze(1) == torch.arange(3)  # (B, 1) against (C,) gives (B, C)
by_mask = logits[mask]
print(mask)
print(by_mask)

check("one yes in every row", (mask.sum(dim=1) == 1).all())
check("the mask picks the same", torch.equal(by_mask, right))

# %% [markdown]
# People also multiply by the mask and sum: `(logits * mask).sum(1)`. That fails in the worst way:
# only sometimes. Scores of classes that are ruled out are often set to minus infinity, and infinity
# times zero is not zero. It is **NaN**, "not a number".

# %%
ruled_out = logits.clone()
ruled_out[0, 2] = -torch.inf
multiplied = (ruled_out * mask).sum(dim=1)
print("multiplied:", multiplied)
print("picked:    ", ruled_out[mask])

check("multiplying turns an entry that nobody asked for into NaN", multiplied.isnan().any())
check("picking does not touch it", torch.equal(ruled_out[mask], right))

# %% [markdown]
# ## One function, many machines
#
# Which of the three is best? Pairs are the shortest to write. `gather` is the primitive underneath,
# the one written for each kind of hardware. scratchnet has it in NumPy, in plain torch, in C++ and
# in Triton; `scratchnet.backend` chooses. Whatever can run on your machine runs here.

# %%
same = {}
for name in backends.runnable(OPS["gather"]):
    with scratchnet.backend(name):
        picked = scratchnet.gather(logits, 1, y.unsqueeze(1)).squeeze(1)
    same[name] = torch.equal(picked, right)
    print(f"{name:8}{picked.tolist()}")

check("every backend picks the same bits", all(same.values()))

# %% [markdown]
# And when an index is wrong, all of them refuse in the same words. A label can be wrong in two
# ways: too large, because someone counted the classes from 1, or negative, because someone marked
# "unknown" with -1.

# %%
for label in (3, -1):
    try:
        scratchnet.gather(logits, 1, torch.tensor([[0], [label], [1], [1]]))
    except RuntimeError as error:
        message = str(error)
        print(message, "\n")

check("the message says where the bad index is", "at position (1, 0)" in message)

# %% [markdown]
# ## What to keep
#
# - a number drops its axis, a slice keeps it; both are views
# - a mask picks copies, all in one row; `where` keeps the shape
# - one entry per row: `logits[arange(B), y]`, or `gather`, never `logits[:, y]`
# - never multiply by a mask what may hold infinities; select
# - `.item()` for numbers that leave the world of tensors

# %% tags=["hide-input"]
check.done()
