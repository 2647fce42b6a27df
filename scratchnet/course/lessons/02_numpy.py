# %% [markdown]
# # Lesson 02: A NumPy array and a tensor can be the same memory
#
# Concepts: 7, 17. Builds on lesson 01.
#
# Most data reach you as NumPy arrays: tables, pictures, the output of other programs. Networks want
# tensors. The way from one to the other is one short call, and it has two traps. Some calls share
# memory and some copy; and NumPy's numbers are twice as wide as torch's. At the end you can choose
# the right call on purpose, and the error message about `double` and `float` no longer frightens
# you.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("02")

# %%
import numpy as np
import torch

import scratchnet
from scratchnet import nn
from scratchnet.course import describe
from scratchnet.measure import verify
from scratchnet.ops import OPS, PRIMITIVES

# %% [markdown]
# ## Two dialects of one language
#
# NumPy came first, and torch speaks almost the same. Arithmetic works entry by entry in both, and
# so do functions such as `exp`, `sqrt` or `abs`. A handful of names differ:
#
# | NumPy | torch | means |
# |---|---|---|
# | `np.array([1, 2])` | `torch.tensor([1, 2])` | make one from data |
# | `a.astype(np.float32)` | `t.float()` | cast |
# | `a.copy()` | `t.clone()` | copy |
# | `axis=0` | `dim=0` | which axis |
# | `keepdims=True` | `keepdim=True` | keep the axis with size 1 |
# | `np.concatenate` | `torch.cat` | put end to end |
# | `a.size` | `t.numel()` | number of entries |
# | `a.shape` | `t.shape`, `t.size()` | shape |
#
# Note the last two: `size` is a number in NumPy and a shape in torch.

# %%
a = np.array([1.0, 4.0, 9.0])
t = torch.tensor([1.0, 4.0, 9.0])
print("NumPy:", np.sqrt(a) + 2 * a, a.mean(axis=0))
print("torch:", torch.sqrt(t) + 2 * t, t.mean(dim=0))

same = np.allclose(np.sqrt(a) + 2 * a, torch.sqrt(t) + 2 * t)
check("the same arithmetic, the same numbers", same)
check("size: a number in NumPy, a shape in torch", a.size == 3 and t.size() == (3,))

# %% [markdown]
# ## Sharing: two names for one memory
#
# `torch.from_numpy(a)` makes a tensor that reads the very cells that hold the array's numbers.
# Nothing is copied, however large the array is. The way back, `t.numpy()`, shares too.
#
#     array a   ----+
#                   +----> [ 1. | 2. | 3. ]     one memory, two owners
#     tensor t  ----+

# %%
a = np.array([1.0, 2.0, 3.0])
t = torch.from_numpy(a)
a[0] = 100  # written through the array ...
t[2] = -1  # ... and through the tensor
print("array: ", a)
print("tensor:", t)

check("the tensor sees what is written into the array", t[0] == 100)
check("the array sees what is written into the tensor", a[2] == -1)
check("`.numpy()` goes back to the same memory", np.shares_memory(t.numpy(), a))

# %% [markdown]
# ## Copying: which call does what
#
# Do not learn it by heart; ask. `np.shares_memory` answers for any two arrays. Here we ask it about
# every usual call, once for an array in float64 and once for one in float32.

# %%
calls = {
    "torch.from_numpy(a)": lambda a: torch.from_numpy(a),
    "torch.as_tensor(a)": lambda a: torch.as_tensor(a),
    "torch.tensor(a)": lambda a: torch.tensor(a),
    "torch.from_numpy(a).clone()": lambda a: torch.from_numpy(a).clone(),
    "torch.from_numpy(a).float()": lambda a: torch.from_numpy(a).float(),
}
print(f"{'':30}{'a in float64':25}a in float32")
shares = {}
for name, call in calls.items():
    for dtype in (np.float64, np.float32):
        a = np.zeros(3, dtype=dtype)
        shares[name, dtype] = np.shares_memory(call(a).numpy(), a)
    wide, narrow = ("shares" if shares[name, d] else "copies" for d in (np.float64, np.float32))
    print(f"{name:30}{wide:25}{narrow}")

check("from_numpy and as_tensor share", all(shares[c, np.float64] for c in list(calls)[:2]))
check("torch.tensor and clone copy", not any(shares[c, np.float64] for c in list(calls)[2:4]))

# %% [markdown]
# The last line is the trap. `.float()` copies a float64 array, because the numbers must change. It
# leaves a float32 array untouched, and then the result still shares memory. A cast copies *only if
# there is something to cast*. Code that relied on the copy breaks on the day its data arrive in
# float32.
#
# So say what you mean:
#
# - I want to share: `torch.from_numpy(a)`
# - I want my own: `torch.tensor(a, dtype=torch.float32)`

# %%
check("`.float()` copies float64", not shares["torch.from_numpy(a).float()", np.float64])
check("`.float()` shares float32", shares["torch.from_numpy(a).float()", np.float32])

# %% [markdown]
# ## The float64 surprise
#
# A float32 number has 4 bytes and about 7 digits. NumPy's default is float64: 8 bytes, about 16
# digits. torch's default is float32, because networks do not need more and memory is what they run
# out of. The dtype survives the crossing, so data from NumPy arrive twice as wide as the weights
# waiting for them.

# %%
a = np.random.default_rng(0).normal(size=(4, 3))  # (B, D), float64
layer = nn.Linear(3, 2)  # its weights: float32
print("data:   ", describe(a))
print("weights:", describe(layer.weight))
try:
    layer(torch.from_numpy(a))
except RuntimeError as error:
    message = str(error)
    print("\nRuntimeError:", message)

check("a float32 layer refuses float64 data", "double != float" in message)
check("and the message says how to fix it", "call input.float()" in message)

# %% [markdown]
# Read `double` as float64 and `float` as float32: their names in C. The cure is one cast, at the
# border, as soon as the data come in. (The other way round, `layer.double()`, also runs: twice the
# memory, about half the speed, and no better network.)

# %%
x = torch.from_numpy(a).float()
print(describe(layer(x)))

check("cast at the border, and it runs", layer(x).shape == (4, 2))
check("half the bytes", x.element_size() * 2 == a.itemsize)

# %% [markdown]
# It can be worse than an error: silence. When a float32 tensor meets a float64 *tensor*, the sum is
# float64, and from there on everything is. A plain Python number does not do that; it takes the
# dtype of the tensor.

# %%
ones = torch.ones(3)
print("float32 tensor + float64 tensor:", (ones + torch.from_numpy(np.ones(3))).dtype)
print("float32 tensor * Python number: ", (ones * 2.5).dtype)

check("float64 spreads", (ones + torch.from_numpy(np.ones(3))).dtype == torch.float64)
check("a Python number does not widen a tensor", (ones * 2.5).dtype == torch.float32)

# %% [markdown]
# ## What cannot cross
#
# An array knows nothing of gradients or graphics cards. A tensor that has either must leave it
# behind first: `detach()` for gradients (lesson 12 explains them), `cpu()` for the device. Together
# they are the idiom that always works:
#
#     t.detach().cpu().numpy()
#
# In the other direction there is one obstacle: an array that is read backwards has a negative
# stride, and torch does not allow those. Give it memory of its own first.

# %%
weights = layer.weight  # a tensor that wants gradients
backwards = np.arange(4.0)[::-1]
for call in (weights.numpy, lambda: torch.from_numpy(backwards)):
    try:
        call()
    except (RuntimeError, ValueError) as error:
        print(f"{type(error).__name__}: {error}\n")

out = weights.detach().numpy()
check("detach lets it out, and it still shares", out.ctypes.data == weights.data_ptr())
check("the stride of a reversed array is negative", backwards.strides == (-8,))
check("a copy lets it in", torch.from_numpy(backwards.copy()).tolist() == [3, 2, 1, 0])

# %% [markdown]
# ## The same mathematics twice
#
# scratchnet is built on seven **primitives**: functions from which everything else is made. Each of
# them is written several times, and two of the versions are for reading: one in NumPy, in float64,
# which is the mathematics; one in plain torch. The table below is made from the library's own list.
# Every row calls a primitive on both with the same float32 numbers.

# %%
torch.manual_seed(0)
print(f"{'primitive':16}{'in NumPy':24}{'torch calls it':26}largest difference")
differences = {}
for name in PRIMITIVES:
    op = OPS[name]
    example = next(iter(op.examples.values()))  # how to call it
    arguments, options = example(4, 6, torch.float32)
    with scratchnet.backend("numpy"):
        exact = verify.as_tuple(verify.function(op)(*arguments, **options))
    theirs = verify.as_tuple(op.torch(*arguments, **options))
    pairs = zip(exact, theirs, strict=True)  # some have two results
    differences[name] = max((a - b).abs().max().item() for a, b in pairs)
    print(f"{name:16}{name + '_forward':24}{op.torch.__name__:26}{differences[name]:.1e}")

check("there are seven primitives", len(differences) == 7)
check("NumPy and torch agree to the digits of float32", max(differences.values()) < 1e-5)

# %% [markdown]
# gather only moves numbers, so nothing is lost. The other differences are not zero, and that is
# right: float32 keeps 7 digits, and the last one is rounded. NumPy's float64 version is the judge
# in this library: a fast version may be as far from it as torch is, and hardly further. `scratchnet
# verify` measures that for every function.
#
# ## What to keep
#
# - `from_numpy`, `as_tensor`, `.numpy()` share memory; `torch.tensor` and `clone` copy
# - a cast copies only if the dtype changes: never rely on it as a copy
# - NumPy makes float64, networks want float32: cast at the border with `.float()`
# - out of torch: `t.detach().cpu().numpy()`

# %% tags=["hide-input"]
check.done()
