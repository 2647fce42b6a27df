# %% [markdown]
# # Lesson 01: A tensor is a row of numbers and a way to read it
#
# Concepts: 1, 2, 3, 4, 5, 6, 8, 13. This is the first lesson.
#
# Everything that a neural network touches is a *tensor*: the pictures that go in, the weights it
# learns, the guesses that come out. So we start by taking one apart. At the end you can look at any
# tensor and say how many numbers it holds, how they are laid out, how many bytes they take, and
# whether two tensors are secretly the same memory.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("01")

# %%
import torch

from scratchnet import nn
from scratchnet.course import describe, memory

# %% [markdown]
# ## Shape
#
# A tensor is a box of numbers with *axes*. The **shape** says how many entries each axis has.
#
#     5.0             no axis         shape ()         a scalar
#
#     [1, 2, 3]       one axis        shape (3,)       a vector
#
#     [[1, 2, 3],     two axes        shape (2, 3)     a matrix: 2 rows, 3 columns
#      [4, 5, 6]]
#
# Count the opening brackets: that is the number of axes, `ndim`. Multiply the sizes: that is the
# number of entries, `numel()`. A single number has no axis at all, and the product of no sizes is
# 1: one entry.

# %%
scalar = torch.tensor(5.0)
vector = torch.tensor([1.0, 2.0, 3.0])
matrix = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
for x in (scalar, vector, matrix):
    print(f"ndim {x.ndim}   shape {tuple(x.shape)!s:8} numel {x.numel()}")

check("a scalar has no axis and one entry", scalar.ndim == 0 and scalar.numel() == 1)
check("numel is the product of the sizes", matrix.numel() == matrix.shape[0] * matrix.shape[1])

# %% [markdown]
# A shape is also a sentence, once you know what each axis counts. These letters come back in every
# lesson, and in the comments of every kernel of scratchnet:
#
# | letter | counts | example |
# |---|---|---|
# | B (or N) | samples in a batch | 32 sentences |
# | S (or T) | steps of a sequence | 128 words in each |
# | D | features of one thing | 64 numbers that describe a word |
# | C | classes, or channels of an image | 10 digits; red, green, blue |
# | H, W | height and width | 28 x 28 pixels |
#
# Text is `(B, S, D)`, a batch of images is `(N, C, H, W)`, and the batch always comes first.

# %%
sentences = torch.zeros(32, 128, 64)  # (B, S, D)
images = torch.zeros(8, 3, 28, 28)  # (N, C, H, W)
print("one sentence:", tuple(sentences[0].shape), "  one image:", tuple(images[0].shape))

check("taking one sample drops the batch axis", images[0].shape == images.shape[1:])

# %% [markdown]
# ## Ways to make one
#
# From data, from sizes, like another tensor, or as a range.

# %%
print(torch.tensor([[1, 2], [3, 4]]))  # from data
print(torch.zeros(2, 3), torch.ones(2), torch.full((2, 2), 7.0))  # from sizes
print(torch.zeros_like(matrix).shape)  # the shape, dtype and device of another
print(torch.arange(2, 10, 3), torch.linspace(0, 1, 5))  # ranges

check("arange stops before its end", torch.arange(2, 10, 3).tolist() == [2, 5, 8])
check("linspace reaches its end", torch.linspace(0, 1, 5)[-1] == 1)

# %% [markdown]
# Weights begin as *random* numbers. `randn` draws from the bell curve around 0, `rand` evenly
# between 0 and 1. A computer's random numbers come from a formula, and the **seed** is where it
# starts: the same seed gives the same numbers. That is how an experiment can be repeated.

# %%
torch.manual_seed(0)
first = torch.randn(1000)
second = torch.randn(1000)
torch.manual_seed(0)
again = torch.randn(1000)
print(f"randn: mean {first.mean():.2f}, standard deviation {first.std():.2f}")

check("the same seed, the same numbers", torch.equal(first, again))
check("without a new seed the sequence continues", not torch.equal(first, second))
check("randn is centred at 0", abs(first.mean()) < 0.1)
check("and about 1 wide", abs(first.std() - 1) < 0.1)

# %% [markdown]
# ## Dtype: what kind of number
#
# All entries of a tensor have one **dtype**. It decides how many bytes an entry takes and which
# numbers it can hold. These few will last you for years:
#
# | dtype | bytes | used for |
# |---|---|---|
# | `float32` | 4 | the default for weights and data: about 7 digits |
# | `int64` | 8 | labels and indices |
# | `bfloat16`, `float16` | 2 | large models: 2 to 3 digits, half the memory |
# | `bool` | 1 | masks: yes or no for every entry |
#
# torch guesses the dtype from what you write. A decimal point is a decision.

# %%
print("[1, 2, 3]    ->", torch.tensor([1, 2, 3]).dtype)
print("[1., 2, 3]   ->", torch.tensor([1.0, 2, 3]).dtype)
print("[1, 2] / 2   ->", (torch.tensor([1, 2]) / 2).dtype)
print("x > 0        ->", (matrix > 0).dtype)

rounded = torch.tensor(1 / 3, dtype=torch.bfloat16).item()
print(f"1/3 in bfloat16 is {rounded}")

check("whole numbers become int64", torch.tensor([1, 2, 3]).dtype == torch.int64)
check("one decimal point makes all float32", torch.tensor([1.0, 2]).dtype == torch.float32)
check("bfloat16 is off by up to one part in 256", 0 < abs(rounded - 1 / 3) < (1 / 3) / 256)

# %% [markdown]
# To change the dtype is to *cast*: `.float()`, `.long()`, `.to(torch.bfloat16)`. A cast makes a new
# tensor. From float to integer it cuts the decimals off; it does not round.

# %%
prices = torch.tensor([1.9, -1.9, 2.5])
print(prices, "->", prices.long())

check("a cast to integers cuts towards zero", prices.long().tolist() == [1, -1, 2])
check("a cast is a new tensor; the old one keeps its dtype", prices.dtype == torch.float32)

# %% [markdown]
# ## Bytes
#
# Memory is entries times bytes per entry, and nothing else. Here is the network for handwritten
# digits that later lessons train, 784 pixels -> 128 -> 10 digits. You can compute its size in your
# head before you run it: 784 x 128 + 128 weights in the first layer, 128 x 10 + 10 in the second.

# %%
network = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
count = sum(p.numel() for p in network.parameters())
in_float32 = sum(p.numel() * p.element_size() for p in network.parameters())
in_bfloat16 = sum(p.numel() * p.element_size() for p in network.bfloat16().parameters())
print(f"{count:,} parameters: {in_float32:,} bytes in float32, {in_bfloat16:,} in bfloat16")
print(f"8 billion parameters in bfloat16: {8e9 * torch.bfloat16.itemsize / 1e9:.0f} GB")

check("the count by hand is right", count == 784 * 128 + 128 + 128 * 10 + 10)
check("half the bytes per entry, half the memory", in_bfloat16 * 2 == in_float32)

# %% [markdown]
# ## Device: where the numbers live
#
# A tensor lives in one place: the memory of the processor (`cpu`) or of a graphics card (`cuda`).
# Operations need their tensors in the same place. So choose the device once, at the top of a
# program, create things there, and move what comes from elsewhere with `.to(device)`. Code written
# this way runs on both.

# %%
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
made_there = torch.zeros(2, 3, device=device)
moved_there = matrix.to(device)
print("device:", device)

both = made_there + moved_there
check("the sum of two tensors is on their device", both.device.type == device.type)
check("`.to` the device it is already on copies nothing", both.to(both.device) is both)

# %% [markdown]
# ## The inspector
#
# Five facts describe any tensor, and `describe` prints them. You know all but one: the **stride**.

# %%
x = torch.arange(6.0).reshape(2, 3)
print(x)
print(describe(x))

# %% [markdown]
# Memory has no rows and columns: it is one long line of cells. The six numbers lie side by side,
# and the shape is only a way to *read* them. The stride says how: it is the number of cells to jump
# for one step along an axis. Stride `(3, 1)` means: the next row is 3 cells on, the next column is
# the next cell.
#
#     entry [i, j] is in cell  3 * i + 1 * j
#
# Below, each column is one cell of memory, and each line shows at which index a tensor finds it.

# %%
views = {"x": x, "x[1]": x[1], "x[:, 1]": x[:, 1], "x.T": x.T, "x[1].clone()": x[1].clone()}
print(memory(x, views))

check("entry [1, 2] is in cell 3 * 1 + 1 * 2", x.flatten()[3 * 1 + 1 * 2] == x[1, 2])
check("a transpose swaps the strides and moves no number", x.T.stride() == (1, 3))

# %% [markdown]
# ## View or copy
#
# The picture shows it: `x[1]`, `x[:, 1]` and even `x.T` are **views**. They hold no numbers of
# their own, only another way to read the cells of `x`. Making a view costs nothing, however large
# `x` is. `clone()` is a **copy** with memory of its own.
#
# The price: writing into a view writes into the original.

# %%
x = torch.zeros(2, 3)
row = x[0]
row += 1  # in place: into the cells that row reads
copy = x[1].clone()
copy += 5
print(x)

check("writing into a view changes the original", x[0].tolist() == [1, 1, 1])
check("writing into a copy does not", x[1].tolist() == [0, 0, 0])
check("a view begins in the memory of its base", row.data_ptr() == x.data_ptr())

# %% [markdown]
# The usual surprise is the difference between these two lines. They look alike and are not:
#
#     row += 1         writes into the cells: everyone who reads them sees it
#     row = row + 1    computes a new tensor and calls *that* row; the cells stay as they were

# %%
x = torch.zeros(2, 3)
row = x[0]
row = row + 1
print(x)

check("`row = row + 1` leaves the original alone", x.sum() == 0 and row.sum() == 3)

# %% [markdown]
# ## What to keep
#
# - shape: the sizes of the axes; `()` is a single number
# - dtype: `float32` for data, `int64` for labels; bytes = entries x bytes per entry
# - device: choose once, create there, move the rest
# - stride: how to walk the one line of memory that really exists
# - a view shares that memory, a clone does not
#
# In the exercise you predict first and look second. It is the fastest way to learn shapes.

# %% tags=["hide-input"]
check.done()
