# %% [markdown]
# # Lesson 07: A matrix product is many small sums
#
# Concepts: 21, 22. Builds on lessons 05 and 06.
#
# Most of a network's running time goes into one operation. A layer of a network is a matrix
# product, attention is two of them, and a convolution can be written as one. After this lesson you
# can compute one with a pencil, see from two shapes what comes out, choose the right brackets in a
# chain of them, and say why two programs that do exactly the same multiplications can differ in
# speed by a factor of thirty.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("07")

# %%
import numpy as np
import torch

import scratchnet
from scratchnet import backends
from scratchnet.course import best
from scratchnet.ops import OPS

# %% [markdown]
# ## One small sum
#
# Ann wants 2 loaves of bread, 1 bottle of milk and 3 boxes of eggs. They cost 1, 3 and 2 each. What
# does she pay? Multiply entry by entry and add up. That is the **dot product** of two vectors.
#
#     amounts     2      1      3
#     prices      1      3      2
#                 2  +   3  +   6   =  11

# %%
amounts = torch.tensor([2.0, 1.0, 3.0])  # (K,): how many of each thing
prices = torch.tensor([1.0, 3.0, 2.0])  # (K,): what one of it costs
print((amounts * prices).tolist(), "->", torch.dot(amounts, prices).item())

by_hand = (amounts * prices).sum()
check("a dot product is a sum of products", torch.dot(amounts, prices) == by_hand)

# %% [markdown]
# ## Many of them: the matrix product
#
# Bob shops too, and there is a second shop. Two people and two shops make four sums. Write the
# people as *rows*, the shops as *columns*, and put each sum where its row and its column cross:
#
#                                      shop 0   shop 1
#                            bread        1        2
#                            milk         3        2
#                            eggs         2        1
#
#           bread  milk  eggs
#     Ann     2      1     3             11        9
#     Bob     0      4     1             14        9
#
# That is the **matrix product**, written `A @ B`. Entry `[i, j]` is the dot product of row `i` of A
# with column `j` of B.

# %%
A = torch.tensor([[2.0, 1.0, 3.0], [0.0, 4.0, 1.0]])  # (M, K): people, things
B = torch.tensor([[1.0, 2.0], [3.0, 2.0], [2.0, 1.0]])  # (K, N): things, shops
Y = scratchnet.matmul(A, B)  # (M, N): people, shops
print(Y)

check("Bob pays 0 * 1 + 4 * 3 + 1 * 2 in shop 0", Y[1, 0] == 0 * 1 + 4 * 3 + 1 * 2)
check("each entry is row times column", Y[0, 1] == torch.dot(A[0], B[:, 1]))
check("`@` is the same function", torch.equal(A @ B, Y))

# %% [markdown]
# ## The rule of shapes
#
#     (M, K) @ (K, N)  ->  (M, N)
#         \    /
#          meet, are summed over, and are gone
#
# The two inner sizes must be equal, because there the entries are paired: things with things. The
# outer sizes remain. Always read it with the meanings: (people, *things*) @ (*things*, shops) is
# (people, shops).
#
# When they do not fit, torch's error names both shapes. Ours adds a likely fix.

# %%
try:
    scratchnet.matmul(A, B.T)  # (2, 3) @ (2, 3)
except RuntimeError as error:
    message = str(error)
    print(message)

check("the message names both shapes", "(2x3 and 2x3)" in message)

# %% [markdown]
# ## Not `*`, and not in any order
#
# `*` multiplies entry by entry (lesson 06). With two square matrices both run, and only one is what
# you meant. Nothing will warn you.
#
# And unlike numbers, matrices may not swap places: `A @ B` pairs the rows of A with the columns
# of B, `B @ A` the rows of B with the columns of A. What does hold: the transpose of a product is
# the product of the transposes *in reverse order*. Read it in shapes: (M, K) @ (K, N) transposed is
# (N, M), and only (N, K) @ (K, M) gives that.

# %%
P = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
Q = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
print("P * Q:", (P * Q).tolist())
print("P @ Q:", (P @ Q).tolist(), " columns swapped")
print("Q @ P:", (Q @ P).tolist(), " rows swapped")

check("* is not @", not torch.equal(P * Q, P @ Q))
check("the order matters", not torch.equal(P @ Q, Q @ P))
check("(A B) transposed is B.T A.T", torch.equal((A @ B).T, B.T @ A.T))

# %% [markdown]
# ## Vectors and batches
#
# `matmul` also takes vectors and batches. A vector on the left is a row, on the right a column, and
# its axis is missing from the result. With more than two axes, the last two are the matrices and
# everything in front is the batch (lesson 05). Its strict relatives accept one case each, which
# makes them good at catching mistakes: `dot` two vectors, `mm` two matrices, `bmm` two batches of
# equal length.

# %%
cases = (((3,), (3,)), ((2, 3), (3,)), ((2,), (2, 3)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)))
cases += (((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4)))
results = {}
for a, b in cases:
    results[a, b] = tuple(scratchnet.matmul(torch.ones(a), torch.ones(b)).shape)
    print(f"{a!s:14} @ {b!s:12} -> {results[a, b]}")

check("vector @ vector is one number", results[(3,), (3,)] == ())
check("matrix @ vector is a vector", results[(2, 3), (3,)] == (2,))
check("batch axes broadcast", results[(5, 1, 2, 3), (6, 3, 4)] == (5, 6, 2, 4))

# %%
refused = []
strict = (
    lambda: scratchnet.mm(A, prices),
    lambda: scratchnet.bmm(torch.ones(4, 2, 3), torch.ones(1, 3, 2)),
)
for call in strict:
    try:
        call()
    except RuntimeError as error:
        refused.append(str(error))
        print(f"- {error}\n")

check("mm wants matrices, bmm wants equal batches", len(refused) == 2)

# %% [markdown]
# ## The bill: 2 M N K
#
# How much work is a product? M x N entries, each with K multiplications and K additions: 2 M N K
# **flops** (floating-point operations). With this formula you can save a fortune, because of one
# more rule: brackets may move. `(A @ B) @ v` and `A @ (B @ v)` are the same numbers, but look at
# the bill for two matrices of 1000 x 1000 and one vector:
#
#     (A @ B) @ v     2 * 1000 * 1000 * 1000  +  2 * 1000 * 1000     about 2 000 000 000
#     A @ (B @ v)     2 * 1000 * 1000         +  2 * 1000 * 1000             4 000 000

# %%
torch.manual_seed(0)
n = 1000
big_a, big_b, v = torch.randn(n, n), torch.randn(n, n), torch.randn(n)
slow = best(lambda: (big_a @ big_b) @ v)
quick = best(lambda: big_a @ (big_b @ v))
print(f"(A @ B) @ v: {slow:.2f} ms    A @ (B @ v): {quick:.2f} ms    {slow / quick:.0f} times")

left, right = (big_a @ big_b) @ v, big_a @ (big_b @ v)
check("the same numbers up to rounding", torch.allclose(left, right, rtol=1e-3, atol=1e-1))
check.timed("the right brackets are at least three times as fast", slow > 3 * quick)

# %% [markdown]
# ## Three orders of the same loops
#
# The definition is three nested loops, over i, j and k, around a single line:
#
#     Y[i, j] += A[i, k] * B[k, j]
#
# Additions may come in any order, so the three loops may be nested in any order. Here they are with
# the innermost loops written as vector operations. Each order is another way to *see* a product:

# %%
M, K, N = A.shape[0], A.shape[1], B.shape[1]

entries = torch.zeros(M, N)
for i in range(M):
    for j in range(N):
        entries[i, j] = torch.dot(A[i], B[:, j])  # row meets column

mixtures = torch.zeros(M, N)
for i in range(M):
    for k in range(K):
        mixtures[i] += A[i, k] * B[k]  # a row of the result mixes the rows of B

layers = torch.zeros(M, N)
for k in range(K):
    layers += A[:, k, None] * B[k]  # one table of products per thing, all added up

for name, result in (("entries", entries), ("rows", mixtures), ("layers", layers)):
    print(f"{name:9}{result.tolist()}")
    check(f"by {name}: the same product", torch.equal(result, Y))

# %% [markdown]
# A fourth order, by columns of the result, does the same as *by rows*, turned on its side. On paper
# there is no difference at all. But a matrix lies in memory row by row (lesson 01), and a processor
# fetches 64 bytes at a time (lesson 05). A walk down a column lands in another row with each step,
# and 15 of the 16 fetched numbers are thrown away. Both functions below take the same number of
# Python steps and do the same multiplications. (They use NumPy because its steps cost less.)

# %%


def by_rows(a, b):
    y = np.zeros((len(a), b.shape[1]), dtype=np.float32)
    for i in range(len(a)):
        for k in range(len(b)):
            y[i] += a[i, k] * b[k]
    return y


def by_columns(a, b):
    y = np.zeros((len(a), b.shape[1]), dtype=np.float32)
    for j in range(b.shape[1]):
        for k in range(len(b)):
            y[:, j] += a[:, k] * b[k, j]
    return y


a, b = torch.randn(4000, 2).numpy(), torch.randn(2, 4000).numpy()
rows, columns = best(lambda: by_rows(a, b), times=2), best(lambda: by_columns(a, b), times=2)
print(f"by rows {rows:.0f} ms, by columns {columns:.0f} ms: {columns / rows:.1f} times")

check("the same numbers", np.array_equal(by_rows(a, b), by_columns(a, b)))
check.timed("down the columns takes over one and a half times as long", columns > 1.5 * rows)

# %% [markdown]
# ## Why it can be so fast
#
# There is more to gain. Count what a product of two 1000 x 1000 matrices needs, and compare it with
# adding them:

# %%
op = OPS["matmul"]
cost = op.cost(big_a, big_b)
print(f"product: {cost.forward_flops:,} flops for {cost.forward_bytes:,} bytes")
print(f"sum:     {n * n:,} flops for {3 * n * n * 4:,} bytes")

check("a product: more than 100 flops per byte", cost.forward_flops > 100 * cost.forward_bytes)

# %% [markdown]
# In a sum each number is used once. In a product each is used 1000 times. Fetch it once, use it a
# thousand times before you let it go: that is the whole art of fast matrix products. The fast
# kernels cut the matrices into small **tiles** that fit into the fastest memory of the machine, and
# do all the work on one before they touch the next. This is allowed because the rule for numbers
# holds for tiles as well: tile [i, j] of the product is the sum over k of tile [i, k] of A times
# tile [k, j] of B. You will write that in the exercise.
#
# Below are all the versions in scratchnet that run here; `cpp:1` is the plain triple loop.
# (`triton` is made for graphics cards. On a processor it runs in an interpreter, for testing only;
# its time means nothing here.) Speed is in GFLOP/s, billions of flops per second.

# %%
for column in ("cpp", "triton"):
    for rung, idea in enumerate(op.rungs(column), start=1):
        print(f"{column}:{rung}  {idea}")

a, b = torch.randn(160, 192), torch.randn(192, 224)
flops = op.cost(a, b).forward_flops
exact = a.double() @ b.double()
speed, difference = {}, {}
print()
for name in backends.runnable(op):
    with scratchnet.backend(name):
        difference[name] = (scratchnet.matmul(a, b) - exact).abs().max().item()
        time = best(lambda: scratchnet.matmul(a, b), times=1 if "triton" in name else 10)
    speed[name] = flops / (time / 1000) / 1e9
    print(f"{name:8}{speed[name]:8.2f} GFLOP/s   error {difference[name]:.0e}")

ladder = [name for name in speed if name.startswith("cpp")]
check("all versions agree", max(difference.values()) < 1e-3)
climbed = not ladder or speed[ladder[-1]] > 3 * speed[ladder[0]]
check.timed("where C++ is built, its last version takes a third of its first, or less", climbed)

# %% [markdown]
# They agree up to rounding, not to the last bit: each version adds in a different order, as in
# lesson 04.
#
# ## The way back is two more products
#
# Lesson 04 asked how a loss changes when an input is nudged. Ask it for `Y = A @ B`. Suppose we
# know G, the gradient of the loss for every entry of Y; it has the shape of Y. The gradients of A
# and B have the shapes of A and B, and they are again made of products. With these shapes there is
# only one way to fit them together:
#
#     dA = G @ B.T        (M, K) from (M, N) @ (N, K)
#     dB = A.T @ G        (K, N) from (K, M) @ (M, N)
#
# In words: if milk gets 1 dearer in shop 0, Ann pays 1 more, because she buys 1, and Bob pays 4
# more. Weight these by G and add up: that is one entry of `A.T @ G`.

# %%
G = torch.tensor([[1.0, 10.0], [100.0, 1000.0]])


def loss(B):
    return (G * (A @ B)).sum()


dearer = B.clone()
dearer[1, 0] += 1  # milk in shop 0
moved = loss(dearer) - loss(B)
print(f"the loss moves by {moved:.0f}; A.T @ G says {(A.T @ G)[1, 0]:.0f}")
check("1 * 1 for Ann and 4 * 100 for Bob", moved == (A.T @ G)[1, 0] == 1 * 1 + 4 * 100)

tracked = [A.clone().requires_grad_(), B.clone().requires_grad_()]  # ask torch to track them
right_way = []
for name in backends.runnable(op):
    with scratchnet.backend(name):
        dA, dB = torch.autograd.grad(scratchnet.matmul(*tracked), tracked, G)
    right_way.append(torch.equal(dA, G @ B.T) and torch.equal(dB, A.T @ G))

check("every backend goes back by G @ B.T and A.T @ G", all(right_way))

# %% [markdown]
# ## What to keep
#
# - entry [i, j] of A @ B is row i times column j, summed: (M, K) @ (K, N) -> (M, N)
# - `@` is not `*`, and the order matters; `(A @ B).T` is `B.T @ A.T`
# - the bill is 2 M N K flops: put the brackets where they make it small
# - the same loops in another order walk through memory differently, and that decides the speed
# - every number is used many times, so a good kernel fetches it once
# - the way back: `G @ B.T` and `A.T @ G`

# %% tags=["hide-input"]
check.done()
