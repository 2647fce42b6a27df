# %% [markdown]
# # Lesson 32: A GPU kernel says what happens to a block of numbers
#
# Concepts: 8, 87. Builds on lessons 07, 10 and 21.
#
# A GPU runs thousands of threads. In CUDA you write what one thread does; in Triton, what one
# **program** does with a whole block of numbers, and the compiler shares it among threads. You will
# write four kernels: one that maps, one that masks, one that sums and one that multiplies matrices.
# They run here without a GPU, in Triton's interpreter, which computes each program with NumPy.
#
# What the interpreter shows: results, masks, addresses. What it does not: speed, and what happens
# when two programs write to the same place at the same time.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("32")

# %%
import torch

import scratchnet
from scratchnet import backends

if reason := backends.missing("triton"):
    raise SystemExit(f"This lesson needs Triton. {reason}")
from scratchnet.kernels.launch import (
    INTERPRETED,
)  # where there is no GPU, it tells Triton to interpret

device = "cpu" if INTERPRETED else "cuda"
print("interpreted" if INTERPRETED else "compiled", "on", device)

import triton
import triton.language as tl

torch.manual_seed(0)

# %% [markdown]
# ## Programs
#
# A kernel is started as a grid of programs. Each knows its number, `tl.program_id(0)`, and takes a
# block of the data. `tl.arange(0, BLOCK)` is not a loop: it is a vector of BLOCK places, and all
# that is computed with it is a vector.
#
# By hand: 10 numbers in blocks of 4. Program 0 has the places 0 to 3, program 1 has 4 to 7, program
# 2 has 8 to 11, and 10 and 11 do not exist. So 3 programs, 10 / 4 rounded up, and 2 masked places.

# %%


@triton.jit
def double(x, y, n, BLOCK: tl.constexpr):
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = places < n
    tl.store(y + places, 2 * tl.load(x + places, mask=mask), mask=mask)


x = torch.arange(10.0, device=device)
y = torch.full((12,), -1.0, device=device)
programs = triton.cdiv(len(x), 4)
double[(programs,)](x, y, len(x), BLOCK=4)
print(programs, "programs:", y.tolist())

check("10 numbers in blocks of 4 take 3 programs", programs == 3)
check("every number is doubled", y[:10].equal(2 * x))
check("behind the mask nothing is written", y[10:].eq(-1).all())

# %% [markdown]
# `x + places` are addresses: `x` is a pointer to the first number. Triton knows nothing of shapes
# or strides; a transposed tensor has to say so with its strides, or be copied first.
#
# Without the mask, the last program would read and write past the end: on a GPU that is memory of
# somebody else, and often nothing complains.
#
# ## One pass instead of three
#
# Why write a kernel for `gelu(x + bias)`, which PyTorch can do in a line? Because the line is two
# kernels: one reads x and writes the sum, one reads the sum and writes the result. Memory decides
# how long that takes, not the arithmetic.
#
# By hand: a million numbers of 4 bytes. Two kernels: 2 x (4 + 4) = 16 MB. One kernel: 4 + 4 = 8 MB,
# and the sum never leaves the registers.

# %%


@triton.jit
def bias_gelu(x, bias, y, n, columns, BLOCK: tl.constexpr):
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = places < n
    z = tl.load(x + places, mask=mask) + tl.load(bias + places % columns, mask=mask)
    tl.store(y + places, 0.5 * z * (1 + tl.erf(z * 0.7071067811865476)), mask=mask)


x, bias = torch.randn(5, 30, device=device), torch.randn(30, device=device)
y = torch.empty_like(x)
bias_gelu[(triton.cdiv(x.numel(), 64),)](x, bias, y, x.numel(), 30, BLOCK=64)
print("largest difference:", (y - scratchnet.gelu(x + bias)).abs().max().item())

check("the fused kernel is right", torch.allclose(y, scratchnet.gelu(x + bias), atol=1e-6))
two_kernels, one_kernel = (
    2 * (4 + 4) * x.numel(),
    (4 + 4) * x.numel(),
)  # bytes, without the few of the bias
check("it moves half the bytes", one_kernel == two_kernels / 2)

# %% [markdown]
# The bias of a place is that of its column, `places % columns`. The numbers of `bias` are read
# again and again; they are few and stay in the cache.
#
# ## Sums: what do masked places hold?
#
# A softmax needs the whole row: one program for each row. A block has a power of two of places, so
# most rows have masked ones. A load puts `other` there, and now it matters what: the places take
# part in the maximum and in the sum.
#
# By hand: the row -1, -2, -3 in a block of 4. With 0 in the masked place the maximum is 0, and
# exp(0) = 1 is added to a sum of 0.553. The first result is 0.368 / 1.553 = 0.237 in place of 0.368
# / 0.553 = 0.665. With minus infinity there, the maximum is -1 and the place adds exp(-inf) = 0.

# %%


@triton.jit
def softmax(x, y, columns, OTHER: tl.constexpr, BLOCK: tl.constexpr):
    places = tl.arange(0, BLOCK)
    row = tl.program_id(0) * columns
    mask = places < columns
    values = tl.load(x + row + places, mask=mask, other=OTHER)
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(y + row + places, powers / tl.sum(powers, axis=0), mask=mask)


x = torch.tensor([[-1.0, -2.0, -3.0]], device=device)
right, wrong = torch.empty_like(x), torch.empty_like(x)
softmax[(1,)](x, right, 3, OTHER=-float("inf"), BLOCK=4)
softmax[(1,)](x, wrong, 3, OTHER=0.0, BLOCK=4)
print("masked as -inf:", [f"{p:.3f}" for p in right[0].tolist()])
print("masked as 0:   ", [f"{p:.3f}" for p in wrong[0].tolist()])

check("minus infinity adds nothing", torch.allclose(right, x.softmax(1), atol=1e-6))
check(
    "0 adds 1: 0.237 in place of 0.665",
    abs(wrong[0, 0].item() - 0.237) < 1e-3 and abs(right[0, 0].item() - 0.665) < 1e-3,
)

# %% [markdown]
# So the neutral number depends on what is computed: 0 for a sum, minus infinity for a maximum, and
# for a variance neither, because (0 - mean)^2 is not 0: there the deviations are masked.
#
# A row that is longer than a block is walked along in blocks, with the online sums of lesson 31.
#
# ## Tiles: a product of matrices
#
# Lesson 07 made tiles so that a number that was loaded is used several times. In Triton a program
# has a tile of the result. `i[:, None]` is a column of row numbers, `j[None, :]` a row of column
# numbers, and together they are a table of addresses, by the broadcasting of lesson 06.
#
# By hand: a tile of 16 x 16. For each of the steps along k it loads 16 x 16 numbers of a and 16 x
# 16 of b, and makes 16 x 16 x 16 products: 512 loads for 4,096 products, 1/8 each. One number alone
# takes 2.

# %%


@triton.jit
def multiply(a, b, bias, c, M, K, N, BLOCK: tl.constexpr, EPILOGUE: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for first in range(0, K, BLOCK):
        k = first + tl.arange(0, BLOCK)
        here, there = (i[:, None] < M) & (k[None, :] < K), (k[:, None] < K) & (j[None, :] < N)
        left = tl.load(a + i[:, None] * K + k[None, :], mask=here, other=0.0)
        right = tl.load(b + k[:, None] * N + j[None, :], mask=there, other=0.0)
        acc += tl.dot(left, right, input_precision="ieee")
    if EPILOGUE:
        z = acc + tl.load(bias + j, mask=j < N)[None, :]
        acc = 0.5 * z * (1 + tl.erf(z * 0.7071067811865476))
    tl.store(c + i[:, None] * N + j[None, :], acc, mask=(i[:, None] < M) & (j[None, :] < N))


M, K, N = 33, 20, 18
a, b, bias = (
    torch.randn(M, K, device=device),
    torch.randn(K, N, device=device),
    torch.randn(N, device=device),
)
c = torch.empty(M, N, device=device)
grid = (triton.cdiv(M, 16), triton.cdiv(N, 16))
multiply[grid](a, b, bias, c, M, K, N, BLOCK=16, EPILOGUE=False)
print("grid", grid, " largest difference:", (c - a @ b).abs().max().item())

check("33 x 18 in tiles of 16 takes 3 x 2 programs", grid == (3, 2))
check("the product is right", torch.allclose(c, a @ b, atol=1e-4))
check("1/8 of a load for each product", 2 * 16 * 16 / 16**3 == 1 / 8)

# %% [markdown]
# `tl.dot` runs on a GPU's matrix units. `input_precision="ieee"` asks for all digits of float32;
# the default on NVIDIA GPUs, TF32, keeps 10 bits of them. Sums are float32 here whatever the inputs
# are: 16-bit numbers must not be added up in 16 bits.
#
# ## The epilogue
#
# The tile of sums is still in registers when the product is complete. Adding the bias and taking
# gelu there costs a few operations and no memory at all. That is what `EPILOGUE` does, and why
# `scratchnet.linear` takes an activation. It is a `constexpr`: Triton compiles two kernels, and
# neither has an `if` in it.

# %%
multiply[grid](a, b, bias, c, M, K, N, BLOCK=16, EPILOGUE=True)
expected = scratchnet.linear(a, b.mT, bias, activation="gelu")
print("largest difference:", (c - expected).abs().max().item())

check("product, bias and gelu in one kernel", torch.allclose(c, expected, atol=1e-4))

# %% [markdown]
# ## Into a model
#
# A kernel has no gradient. As in lesson 30, an autograd.Function pairs it with a backward, and the
# check of lesson 13 tells whether the two belong together. Backward of gelu is another map:

# %%


@triton.jit
def gelu_slope(x, grad, out, n, BLOCK: tl.constexpr):
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = places < n
    z = tl.load(x + places, mask=mask)
    cdf = 0.5 * (1 + tl.erf(z * 0.7071067811865476))
    density = 0.3989422804014327 * tl.exp(-0.5 * z * z)
    tl.store(out + places, tl.load(grad + places, mask=mask) * (cdf + z * density), mask=mask)


class BiasGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, bias):
        ctx.save_for_backward(x, bias)
        y = torch.empty_like(x)
        bias_gelu[(triton.cdiv(x.numel(), 64),)](x, bias, y, x.numel(), len(bias), BLOCK=64)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, bias = ctx.saved_tensors
        z, out = x + bias, torch.empty_like(x)
        programs = triton.cdiv(x.numel(), 64)
        gelu_slope[(programs,)](z, grad.contiguous(), out, x.numel(), BLOCK=64)
        return out, out.sum(dim=0)


x = torch.randn(4, 6, dtype=torch.float64, device=device, requires_grad=True)
bias = torch.randn(6, dtype=torch.float64, device=device, requires_grad=True)
held = torch.autograd.gradcheck(BiasGelu.apply, (x, bias))
print("gradcheck:", held)

check("forward and backward belong together, in float64", held)

# %% [markdown]
# ## What to keep
#
# - A program has a block of numbers; places, masks and tiles are vectors and tables of addresses.
# - Every load and store has a mask, and what masked places hold must be neutral for what follows.
# - A kernel is worth writing where it saves passes over memory: maps, sums, and the end of a
#   product.
# - The interpreter proves results. Speed, races and the choice of BLOCK need a GPU.
#
# The Triton kernels of this package are in `scratchnet.kernels`, one idea a file: `scratchnet
# ladder` lists them. Kernels to write: `scratchnet learn K22`, then K17, K11, K07, K31 and K35 in
# Triton; K05 and others in CUDA. All of them: `scratchnet learn --kernels`.

# %% tags=["hide-input"]
check.done()
