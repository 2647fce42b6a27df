# %% [markdown]
# # Lesson 05: Reshape keeps the order of the numbers, transpose keeps their meaning
#
# Concepts: 13, 14, 15, 16, 23. Builds on lessons 01 and 03.
#
# Half of the work on a network is bringing tensors into the shape that the next layer wants. There
# are two families of tools, and they look alike: their results can have the same shape and hold the
# same numbers, and one of them is still nonsense. After this lesson you know which one you need,
# when a new shape is free and when it copies, and why the same sum can take five times as long.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("05")

# %%
import torch

import scratchnet
from scratchnet import backends
from scratchnet.course import best, describe, memory
from scratchnet.ops import OPS

# %% [markdown]
# ## Reshape: the same line of numbers, new brackets
#
# Memory is one line (lesson 01). `reshape` leaves the line alone and sets new brackets: fill one
# row, then the next. The number of entries must stay the same; one size may be -1, "whatever is
# left".

# %%
x = torch.arange(12)
for shape in ((3, 4), (2, 6), (2, 3, 2), (4, -1)):
    print(f"reshape{shape!s:12}{x.reshape(shape).tolist()}")
try:
    x.reshape(5, -1)
except RuntimeError as error:
    print("reshape(5, -1):", error)

check("take the brackets away, and the line is back", x.reshape(2, 3, 2).flatten().equal(x))
check("-1 stands for what is left: 12 / 4", x.reshape(4, -1).shape == (4, 3))

# %% [markdown]
# The most common reshape adds or removes an axis of size 1. A layer wants a *batch* of pictures and
# you have one: `unsqueeze(0)`. It gave back a batch of one: `squeeze(0)`. The other common one
# melts axes together: `flatten(1)` turns each picture into one long row and leaves the batch axis
# alone.

# %%
image = torch.rand(3, 28, 28)  # (C, H, W)
batch = image.unsqueeze(0)  # (1, C, H, W)
print(tuple(image.shape), "->", tuple(batch.shape), "->", tuple(batch.flatten(1).shape))

check("unsqueeze adds an axis, squeeze removes it", batch.squeeze(0).shape == image.shape)
check("squeeze removes only axes of size 1", image.squeeze(0).shape == image.shape)
check("flatten(1) keeps the batch", batch.flatten(1).shape == (1, 3 * 28 * 28))

# %% [markdown]
# ## Transpose: new strides, the same meaning
#
# `x.T` swaps the two axes of a matrix; `permute` reorders any number of them. No number moves. Only
# the strides change places, so that entry `[i, j]` is found under `[j, i]`.

# %%
x = torch.arange(6.0).reshape(2, 3)
print(memory(x, {"x": x, "x.T": x.T, "x.reshape(3, 2)": x.reshape(3, 2)}))
print("x.T:             ", x.T.tolist())
print("x.reshape(3, 2): ", x.reshape(3, 2).tolist())

check("both have the shape (3, 2)", x.T.shape == x.reshape(3, 2).shape)
check("and they are different", not torch.equal(x.T, x.reshape(3, 2)))

# %% [markdown]
# Look at the picture. Both read the same cells. The reshape counts through them in order; the
# transpose finds each number under its old coordinates, swapped. If the axes *mean* something, and
# they always do, the question is: should the coordinates survive? If so, use transpose or permute.
#
# The classic accident: a camera delivers pictures as (N, H, W, C), the three colours of a pixel
# side by side. torch wants (N, C, H, W), the whole red picture first. Here is a tiny one, its
# entries named by colour (hundreds) and pixel (units): 101 is the red of pixel 1, 201 its green,
# 301 its blue.

# %%
pixels = torch.tensor([[101, 201, 301], [102, 202, 302], [103, 203, 303], [104, 204, 304]])
photo = pixels.reshape(1, 2, 2, 3)  # (N, H, W, C)
right = photo.permute(0, 3, 1, 2)  # (N, C, H, W)
wrong = photo.reshape(1, 3, 2, 2)
print("permuted, red:", right[0, 0].tolist())
print("reshaped, red:", wrong[0, 0].tolist())

check("the same shape", right.shape == wrong.shape == (1, 3, 2, 2))
check("permute: the red picture is all red", (right[0, 0] // 100 == 1).all())
check("reshape: a mixture of colours", len((wrong[0, 0] // 100).unique()) == 3)

# %% [markdown]
# No error, the right shape, and the network learns from confetti. Whenever an axis changes its
# *place*, permute.
#
# ## Contiguous
#
# A tensor is **contiguous** if reading it entry by entry walks through memory cell by cell. A fresh
# tensor is; a transposed one is not. `view` promises a new shape without copying, and keeps its
# promise by refusing. `reshape` does the same if it can, and copies if it must.

# %%
print("x:  ", describe(x), "contiguous:", x.is_contiguous())
print("x.T:", describe(x.T), "contiguous:", x.T.is_contiguous())
try:
    x.T.view(6)
except RuntimeError as error:
    print("\nx.T.view(6):", error)
print("\nx.T.reshape(6):", x.T.reshape(6).tolist())

check("a transposed tensor is not contiguous", not x.T.is_contiguous())
check("reshape of a contiguous tensor is a view", x.reshape(6).data_ptr() == x.data_ptr())
check("reshape of a transposed one had to copy", x.T.reshape(6).data_ptr() != x.data_ptr())

# %% [markdown]
# So never write into the result of a `reshape` to change the original: it works until someone
# transposes.
#
# ## Why memory order matters: time
#
# A processor does not fetch single numbers. It fetches 64 bytes at once, sixteen float32 cells that
# lie side by side. Code that walks along the memory uses all sixteen. Code that jumps uses one,
# throws fifteen away and fetches again. Here every number of one matrix is added once, first along
# the rows, then down the columns:

# %%
matrix = torch.rand(2048, 2048)

along = best(lambda: [row.sum() for row in matrix])
across = best(lambda: [column.sum() for column in matrix.T])
print(f"along the rows {along:.0f} ms, down the columns {across:.0f} ms")
print(f"{across / along:.1f} times as long")

check.timed("jumping through memory costs time", across > 1.5 * along)

# %% [markdown]
# Libraries know this. A good kernel is not slow on a transposed matrix: it puts blocks in order
# while it copies them into fast memory. So there is no need for `.contiguous()` before a matrix
# product (lesson 07 takes it apart; here only shapes and strides matter). Every version of it in
# scratchnet takes any strides.

# %%
torch.manual_seed(0)
a, b = torch.randn(64, 32), torch.randn(64, 48)
expected = a.T.contiguous() @ b
for name in backends.runnable(OPS["matmul"]):
    with scratchnet.backend(name):
        product = scratchnet.matmul(a.T, b)
    difference = (product - expected).abs().max().item()
    print(f"{name:8} a.T with stride {a.T.stride()}: difference {difference:.0e}")
    check(f"{name} reads transposed operands as they are", difference < 1e-4)

# %% [markdown]
# ## Put together: cat and stack
#
# `cat` glues along an existing axis. `stack` makes a new axis and lays the tensors along it.
# Samples of one batch are stacked; two batches are cat-ed into a longer one. (`x[None]` is short
# for `x.unsqueeze(0)`.)

# %%
one, two = torch.zeros(2, 3), torch.ones(2, 3)
glued = torch.cat([one, two], dim=1)
stacked = torch.stack([one, two])
print("cat along axis 0:", tuple(torch.cat([one, two]).shape))
print("cat along axis 1:", tuple(glued.shape))
print("stack:           ", tuple(stacked.shape))

check("cat adds up the sizes of one axis", glued.shape == (2, 3 + 3))
check("stack has one more axis", stacked.shape == (2, 2, 3))
check("stack adds an axis, then cats", stacked.equal(torch.cat([one[None], two[None]])))

# %% [markdown]
# ## Batches of matrix products
#
# `matmul` works on the last two axes, `(..., M, K) @ (..., K, N)`; everything in front is a batch.
# A layer applies *one* weight to every word of every sentence, (B, S, D) @ (D, E). Nothing in it
# depends on which sentence a word is in. So we may melt batch and sequence into one long list of
# words, multiply two plain matrices, and put the brackets back. That is what libraries do, because
# one large product is faster than many small ones.
#
#     (B, S, D)  --reshape-->  (B*S, D)  @ (D, E)  =  (B*S, E)  --reshape-->  (B, S, E)
#
# Here reshape is right: no axis changes its place.

# %%
x = torch.randn(4, 5, 8)  # (B, S, D)
w = torch.randn(8, 6)  # (D, E)
direct = scratchnet.matmul(x, w)
melted = scratchnet.matmul(x.reshape(4 * 5, 8), w).reshape(4, 5, 6)
print("direct:", tuple(direct.shape), "  melted and back:", tuple(melted.shape))

check("one weight for all: melt, multiply, put back", torch.allclose(direct, melted, atol=1e-5))

# %% [markdown]
# If each sample has its own matrix, (B, S, D) @ (B, D, E), there is one product per index of the
# batch. Batch axes of size 1, or missing ones, are repeated; lesson 06 has the rule.

# %%
keys = torch.randn(4, 8, 7)  # (B, D, E): a different matrix for each sample
each = scratchnet.matmul(x, keys)
print(tuple(x.shape), "@", tuple(keys.shape), "=", tuple(each.shape))
shared = scratchnet.matmul(torch.randn(4, 1, 5, 8), torch.randn(3, 8, 7))
print("(4, 1, 5, 8) @ (3, 8, 7) =", tuple(shared.shape))

check("sample 2 meets matrix 2", torch.allclose(each[2], x[2] @ keys[2], atol=1e-5))
check("batch axes 4, 1 and 3 become 4, 3", shared.shape == (4, 3, 5, 7))

# %% [markdown]
# ## What to keep
#
# - reshape sets new brackets around the same line; permute moves axes and keeps coordinates
# - an axis changes its place: permute; axes melt or split in place: reshape
# - `view` never copies and may refuse; `reshape` may copy
# - memory is fetched in rows of 64 bytes: walk along it
# - `matmul` takes any strides and any batch; one weight for all can be one large product

# %% tags=["hide-input"]
check.done()
