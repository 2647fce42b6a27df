# %% [markdown]
# # Lesson 06: Shapes meet from the right, and size 1 stretches
#
# Concepts: 17, 18, 19, 20. Builds on lesson 05.
#
# Add a bias to every row, subtract the mean of every picture, scale every sample: again and again a
# small tensor meets a large one. **Broadcasting** is the rule for it, three lines long. It saves
# you the loops, and it is behind the most expensive silent bug there is: a network that trains,
# prints a loss, and has learned nothing, because a column met a row. You will create that bug
# yourself, and then recognise it for life.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("06")

# %%
import warnings

import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet.course import meeting, memory

# %% [markdown]
# ## Entry by entry
#
# `+ - * /`, comparisons, and functions such as `exp`, `sqrt` or `abs` work entry by entry. Two
# tensors of one shape meet like two lists: first with first, second with second. Note that `*` is
# one of them. It multiplies entry by entry; the matrix product is `@`, and it comes in lesson 07.

# %%
a = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
b = torch.tensor([[10.0, 20.0], [30.0, 40.0]])
print("a + b:", (a + b).tolist())
print("a * b:", (a * b).tolist())
print("a @ b:", (a @ b).tolist(), " (something else)")

check("* multiplies entry by entry", (a * b)[0, 1] == a[0, 1] * b[0, 1])
check("* and @ are different", not torch.equal(a * b, a @ b))

# %% [markdown]
# ## The rule
#
# When the shapes differ:
#
# 1. Write them one under the other, aligned at the **right**.
# 2. Where one shape is shorter, think 1.
# 3. Each pair of sizes must be equal, or one of them must be 1. The 1 is stretched to the other.
#
# `meeting` from scratchnet's teaching tools writes it down. Here a batch of 32 samples with 10
# features meets one bias for each feature:

# %%
print(meeting((32, 10), (10,)), "\n")
print(meeting((8, 3, 28, 28), (3, 1, 1)))

x, bias = torch.randn(32, 10), torch.randn(10)  # (B, D), (D,)
images, colour = torch.randn(8, 3, 28, 28), torch.randn(3, 1, 1)  # (N, C, H, W), (C, 1, 1)
check("each row got the whole bias", torch.equal((x + bias)[5], x[5] + bias))
check("each colour got its number", (images + colour)[0, 2].equal(images[0, 2] + colour[2]))

# %% [markdown]
# The second picture is how an image meets one number for each colour: (3, 1, 1) stands under (3,
# 28, 28). The two ones are put there on purpose, with `reshape(3, 1, 1)` or `x[:, None, None]`:
# **None** in an index adds an axis of size 1, just as `unsqueeze` does.
#
# Nothing is copied in all this. A stretched axis has stride 0: taking a step means staying put.
# Below, both rows of the stretched bias are read from the same three cells.

# %%
bias = torch.tensor([1.0, 2.0, 3.0])
stretched = bias.expand(2, 3)
print(memory(bias, {"bias": bias, "stretched": stretched}))
print("stride of the stretched bias:", stretched.stride())

check("a stretched axis has stride 0", stretched.stride() == (0, 1))
check("and takes no memory", stretched.data_ptr() == bias.data_ptr())

# %% [markdown]
# ## When shapes clash
#
# You have 4 samples with 3 features, and one weight for each *sample*. `x * weights` looks right.
# Aligned at the right, the 4 weights stand under the 3 features.

# %%
x = torch.arange(12.0).reshape(4, 3)  # (B, D)
weights = torch.tensor([1.0, 10.0, 100.0, 1000.0])  # (B,)
print(meeting((4, 3), (4,)))
try:
    x * weights
except RuntimeError as error:
    clash = str(error)
    print("\nRuntimeError:", clash)

check("the error names both sizes", "(3)" in clash and "(4)" in clash)

# %% [markdown]
# Read such a message with the picture in mind: "dimension 1" is the last axis here, and the sizes 3
# and 4 met there. The cure is to stand the weights upright, as a column: (4, 1).

# %%
print(meeting((4, 3), (4, 1)))
print((x * weights[:, None]).tolist())

check("each row got its own weight", torch.equal((x * weights[:, None])[2], x[2] * 100))

# %% [markdown]
# Layers do not stretch their parameters at all: a bias of the wrong size is a mistake, never
# intended. Their messages say which argument it is. A matrix product stretches the batch axes, and
# only those.

# %%
calls = (
    lambda: F.linear(torch.zeros(4, 3), torch.zeros(2, 3), torch.zeros(4)),
    lambda: F.layer_norm(torch.zeros(4, 3), (3,), torch.zeros(4)),
    lambda: scratchnet.bias_gelu(torch.zeros(4, 3), torch.zeros(4)),
    lambda: scratchnet.matmul(torch.zeros(2, 3, 4), torch.zeros(5, 4, 2)),
)
messages = []
for call in calls:
    try:
        call()
    except RuntimeError as error:
        messages.append(str(error))
        print(f"- {error}\n")

check("linear names its argument", messages[0].startswith("linear(): argument 'bias'"))
check("layer_norm does too", messages[1].startswith("layer_norm(): argument 'weight'"))
check("matmul names the axis", "at non-singleton dimension 0" in messages[3])

# %% [markdown]
# ## Worse than an error: square tensors
#
# The clash above was luck. With as many samples as features nothing clashes, and the wrong axis is
# stretched. Here every row should be divided by its sum, so that it adds up to 1.

# %%
table = torch.tensor([[1.0, 1.0, 2.0], [2.0, 2.0, 4.0], [3.0, 3.0, 6.0]])
sums = table.sum(dim=1)  # (3,): 4, 8, 12
wrong = table / sums
right = table / table.sum(dim=1, keepdim=True)  # (3, 3) / (3, 1)
print("sums of the rows, divided by (3,):  ", wrong.sum(dim=1))
print("sums of the rows, divided by (3, 1):", right.sum(dim=1))

check("(3, 3) / (3,) divides columns, without a word", wrong.sum(dim=1).max() > 1.5)
check("with keepdim every row adds up to 1", right.sum(dim=1).allclose(torch.ones(3)))

# %% [markdown]
# `keepdim=True` leaves the summed axis in place with size 1, ready to be stretched back. Make it a
# habit whenever a result goes back to the tensor that it came from.
#
# ## The classic: (B,) versus (B, 1)
#
# A network with one output gives predictions of shape (B, 1). The targets in your file have shape
# (B,). Subtract them:

# %%
target = torch.tensor([1.0, 2.0, 3.0, 4.0])  # (B,)
prediction = target[:, None].clone()  # (B, 1): every single one exactly right
print(meeting((4, 1), (4,)))
difference = prediction - target
print(difference)

check("four errors have become sixteen", difference.shape == (4, 4))

# %% [markdown]
# A column met a row, and both were stretched: every prediction against every target. The
# predictions are perfect, and the mean squared error is not 0:

# %%
by_hand = (difference**2).mean()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from_loss = F.mse_loss(prediction, target)
print("loss of perfect predictions:", by_hand.item())
print("the warning of mse_loss:    ", caught[0].message)

check("perfect predictions have a loss", by_hand > 1)
check("mse_loss computes the same, but warns", from_loss == by_hand and len(caught) == 1)
check("squeeze(1) cures it", F.mse_loss(prediction.squeeze(1), target) == 0)

# %% [markdown]
# Gradient descent on this loss pulls every prediction towards the *mean* of all targets. The loss
# falls for a while and then levels off, and it looks like a network that is too small. Therefore:
# `print` both shapes before you believe a loss, and never wave this warning away.
#
# ## In place
#
# Operations whose names end in `_`, such as `add_`, and also `+=` and the like, write the result
# into their tensor. They save memory, and they bring two dangers. You know the first: everyone who
# shares the memory sees the change. It bites when a function changes what it was given.

# %%
data = torch.tensor([[1.0, 10.0], [3.0, 30.0]])


def centred_in_place(x):
    x -= x.mean(dim=0)
    return x


def centred(x):
    return x - x.mean(dim=0)


result = centred(data)
check("centred leaves the caller's data alone", data[0, 0] == 1)
centred_in_place(data)
print("after centred_in_place:", data.tolist())
check("centred_in_place does not", data[0, 0] == -1)
check("both compute the same", torch.equal(result, data))

# %% [markdown]
# The other danger comes with training: the backward pass may need the old value that was
# overwritten. torch notices and refuses (lesson 12). So write in place only where you own the
# tensor and nothing needs the old numbers.
#
# And the target of an in-place operation is never stretched; its memory is what it is. Nor can you
# write into a stretched tensor: which of its rows would it be?

# %%
refused = []
for call in (lambda: torch.zeros(3).add_(torch.ones(4, 3)), lambda: bias.expand(2, 3).add_(1)):
    try:
        call()
    except RuntimeError as error:
        refused.append(str(error))
        print(f"- {error}\n")

check("both are refused", len(refused) == 2)

# %% [markdown]
# ## What to keep
#
# - align at the right; sizes are equal, or 1 is stretched; a stretched axis has stride 0
# - stand a vector upright with `[:, None]`; keep a summed axis with `keepdim=True`
# - (B, 1) against (B,) makes (B, B): look at shapes before you look at losses
# - square tensors hide a wrong axis: test with sizes that all differ
# - work in place only on tensors that you own

# %% tags=["hide-input"]
check.done()
