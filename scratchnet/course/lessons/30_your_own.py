# %% [markdown]
# # Lesson 30: A layer of your own needs a formula, a backward and a proof
#
# Concepts: 87, 88. Builds on lessons 13, 14, 23, 26 and 29.
#
# Every layer of this library was once an idea on paper. In this last lesson you take one such idea
# all the way: first in four operations of torch, then with a backward derived by hand, then as a
# **kernel**, the inner loop in C that does the whole row at once, and finally as an operator that
# torch treats like its own: with gradients, checked, compiled, in a network that reads digits. And
# because nothing works the first time: the routine that finds out why a network does not learn.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("30")

# %%
import ctypes
import math
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor

import scratchnet.nn.functional as F
from scratchnet import data, nn, optim, training
from scratchnet.course import best

# %% [markdown]
# ## The idea, in existing operations
#
# LayerNorm subtracts the mean of a row and divides by its deviation (lesson 23). **RMSNorm** leaves
# the mean alone and only divides by the root of the mean square. People found that this is enough,
# and most of today's large language models do it:
#
#     y = x r w        r = 1 / sqrt(mean(x^2) + eps), one number for each row
#
# Four operations, and autograd has the backward. For most ideas you are done at this point.


# %%
def naive(x, weight, eps):  # x (N, D), weight (D,)
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps) * weight


class NaiveNorm(nn.Module):
    def __init__(self, features, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x):
        return naive(x, self.weight, self.eps)


torch.manual_seed(0)
x = 5 * torch.randn(4, 6)
y = NaiveNorm(6)(x)
print("mean square of each row:", y.square().mean(dim=1).tolist())
check("the mean square of a row is 1", torch.allclose(y.square().mean(dim=1), torch.ones(4)))
library = F.rms_norm(x, (6,), torch.ones(6), 1e-6)
check("the library has it too, so we can compare", torch.allclose(y, library))

# %% [markdown]
# What is wrong with it? Each operation reads its input from memory and writes a result of the
# same size, and autograd keeps two tensors of that size for the backward: x and the normalised rows.
#
# ## The backward, on paper
#
# Call the normalised row `u = x r`, so `y = u w`. The gradient `g` of `y` arrives. Three steps:
#
#     dw = sum over the rows of g u             each weight sees all rows
#     h  = g w                                  the gradient of u
#     dx = r (h - u mean(h u))
#
# The last line: `x` reaches `u` in two ways. Directly: that is `r h`. And through `r`, which falls
# when a number of the row grows. Every `u_j = x_j r` of the row feels that, so there is a sum over
# the row:
#
#     dr/dx_i = -r^3 x_i / n
#     sum over j of  h_j x_j dr/dx_i  =  -r (x_i r) (sum of h_j x_j r) / n  =  -r u_i mean(h u)
#
# So the backward needs `x`, `w` and `r`: one number per row is all that must be kept besides the
# inputs.


# %%
def forward(x, weight, eps):
    """y (N, D), and r (N,) for the backward."""
    r = torch.rsqrt(x.square().mean(dim=-1) + eps)
    return x * r[:, None] * weight, r


def backward(g, x, weight, r):
    """The gradients of x (N, D) and weight (D,)."""
    u, h = x * r[:, None], g * weight
    return r[:, None] * (h - u * (h * u).mean(dim=-1, keepdim=True)), (g * u).sum(dim=0)


# %% [markdown]
# ## The kernel
#
# Now the same in C. One loop over the rows; a row of a few thousand numbers stays in the cache, so
# memory is read once and written once, whatever happens in between. The line with `pragma` allows
# the compiler to add up in several lanes side by side, which changes the order of the sum; without
# that permission it must not.
#
# No libraries, no torch: pointers and sizes. scratchnet's own kernels are such functions, and they
# are installed with it: `scratchnet ladder layer_norm --diff cpp:1 cpp:2` shows two of them. Most
# machines have a C compiler; where there is none, this lesson carries on with the formulas above.

# %%
SOURCE = """
#include <math.h>

void rms_norm(const REAL *x, const REAL *w, REAL *y, REAL *r, long rows, long n, double eps) {
    for (long i = 0; i < rows; i++, x += n, y += n) {
        REAL squares = 0;
        #pragma omp simd reduction(+ : squares)
        for (long j = 0; j < n; j++) squares += x[j] * x[j];
        r[i] = 1 / sqrt(squares / n + eps);
        for (long j = 0; j < n; j++) y[j] = x[j] * r[i] * w[j];
    }
}

void rms_norm_backward(const REAL *g, const REAL *x, const REAL *w, const REAL *r,
                       REAL *dx, REAL *dw, long rows, long n) {
    for (long i = 0; i < rows; i++, g += n, x += n, dx += n) {
        REAL mean = 0;
        #pragma omp simd reduction(+ : mean)
        for (long j = 0; j < n; j++) mean += g[j] * w[j] * x[j] * r[i] / n;
        for (long j = 0; j < n; j++) {
            REAL u = x[j] * r[i];
            dx[j] = r[i] * (g[j] * w[j] - u * mean);
            dw[j] += g[j] * u;
        }
    }
}
"""


def build(real):
    """The two functions for REAL = float or double, as a loaded library."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "kernel.c"), Path(folder, "kernel.so")
        source.write_text(SOURCE)
        flags = ["-O3", "-fopenmp-simd", "-shared", "-fPIC", f"-DREAL={real}"]
        subprocess.run(["cc", *flags, source, "-o", library, "-lm"], check=True)
        return ctypes.CDLL(str(library))


kernels = {}
if shutil.which("cc"):
    kernels = {torch.float32: build("float"), torch.float64: build("double")}
print("kernels in C for:", *kernels or ["nothing, there is no C compiler here"])


def pointer(tensor):
    return ctypes.c_void_p(tensor.data_ptr())


def run_forward(x, weight, eps):
    if x.dtype not in kernels:
        return forward(x, weight, eps)
    y, r = torch.empty_like(x), x.new_empty(len(x))
    sizes = ctypes.c_long(len(x)), ctypes.c_long(x.shape[1])
    arrays = map(pointer, (x, weight, y, r))
    kernels[x.dtype].rms_norm(*arrays, *sizes, ctypes.c_double(eps))
    return y, r


def run_backward(g, x, weight, r):
    if x.dtype not in kernels:
        return backward(g, x, weight, r)
    dx, dw = torch.empty_like(x), torch.zeros_like(weight)  # dw is added to, so it starts at 0
    sizes = ctypes.c_long(len(x)), ctypes.c_long(x.shape[1])
    kernels[x.dtype].rms_norm_backward(*map(pointer, (g, x, weight, r, dx, dw)), *sizes)
    return dx, dw


def agrees(rows, features):
    a, w = torch.randn(rows, features), torch.randn(features)
    return torch.allclose(run_forward(a, w, 1e-6)[0], naive(a, w, 1e-6), atol=1e-5)


sizes = (1, 1), (3, 17), (33, 1000), (0, 5)  # a kernel fails at its edges first
check("the kernel is right on one number, odd sizes, no rows", all(agrees(*s) for s in sizes))

# %% [markdown]
# A pointer knows nothing of strides. Give the kernel a transposed view, and it reads the rows of
# the *other* matrix, or past the end. So the operator below asks for `.contiguous()` first.
#
# ## An operator that torch knows
#
# To torch, a Python function that calls C is a hole: autograd sees no graph, `torch.compile` cannot
# look inside. You fill the hole with three promises:
#
# | promise | what it says |
# |---|---|
# | `custom_op` | a name and types; `mutates_args=()`: it changes none of its inputs |
# | `register_fake` | the shapes and dtypes of the results, without computing anything |
# | `register_autograd` | what to keep, and the backward |
#
# The backward is an operator of its own, so that it can be compiled as well.


# %%
@torch.library.custom_op("lesson30::rms_norm", mutates_args=())
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return run_forward(x.contiguous(), weight.contiguous(), eps)


@rms_norm.register_fake
def _(x, weight, eps):
    return x.new_empty(x.shape), x.new_empty(x.shape[0])


@torch.library.custom_op("lesson30::rms_norm_backward", mutates_args=())
def rms_norm_backward(g: Tensor, x: Tensor, weight: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    return run_backward(g.contiguous(), x.contiguous(), weight.contiguous(), r)


@rms_norm_backward.register_fake
def _(g, x, weight, r):
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def keep(ctx, inputs, output):
    x, weight, _ = inputs
    ctx.save_for_backward(x, weight, output[1])
    ctx.mark_non_differentiable(output[1])  # r is for the backward alone


def way_back(ctx, g, gradient_of_r):
    return *rms_norm_backward(g, *ctx.saved_tensors), None  # eps is a setting and gets none


rms_norm.register_autograd(way_back, setup_context=keep)

rows = torch.randn(1000, 512, requires_grad=True)
y, r = rms_norm(rows, torch.ones(512), 1e-6)
kept = y.grad_fn.saved_tensors
print("kept for the backward:", *(tuple(tensor.shape) for tensor in kept))
sizes = [tensor.numel() for tensor in kept]
check("x, w and one number per row, no more", sizes == [rows.numel(), 512, 1000])

# %% [markdown]
# ## Prove it
#
# Never trust a kernel that "looks right". Call four judges, each for a different kind of lie:
#
# - float64 is the truth: is the float32 error as small as that of torch's own operations?
# - `gradcheck` (lesson 13): is the backward the derivative of the forward?
# - `opcheck`: are the three promises kept, with gradients, with fake tensors, under compilation?
# - awkward inputs: a transposed view.

# %%
a, w = torch.randn(64, 300), torch.randn(300)
truth = naive(a.double(), w.double(), 1e-6)
errors = [(y - truth).abs().max().item() for y in (rms_norm(a, w, 1e-6)[0], naive(a, w, 1e-6))]
print(f"error in float32: ours {errors[0]:.0e}, torch's operations {errors[1]:.0e}")
check("about as exact as torch's operations", errors[0] < 4 * errors[1] + 1e-6)

inputs = tuple(torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((3, 5), (5,)))
first = lambda x, w: rms_norm(x, w, 0.1)[0]
check("gradcheck: the backward is the derivative", torch.autograd.gradcheck(first, inputs))
verdicts = torch.library.opcheck(rms_norm, (*inputs, 0.1))
print("opcheck:", *verdicts.values())
check("opcheck: every promise is kept", set(verdicts.values()) == {"SUCCESS"})

view = torch.randn(300, 64).T
check("a transposed view is no problem", torch.allclose(first(view, w), naive(view, w, 0.1)))

# %% [markdown]
# A proof that cannot fail proves nothing. In lesson 13 the check found every path that was left out
# of LayerNorm's backward; here too it would notice if you forgot that `r` depends on `x` as well.
#
# ## Use it
#
# The layer is short now. It goes into a network like any other, and `torch.compile` takes the whole
# network with it: `fullgraph=True` fails if there is a hole. (Its backend "aot_eager" does all of
# the work except the last part, generating code, which takes longer.)


# %%
class Norm(NaiveNorm):
    def forward(self, x):
        return rms_norm(x, self.weight, self.eps)[0]


def network(norm):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        norm(128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


train, test = data.digits()
model = network(Norm)
adam = optim.Adam(model.parameters(), lr=3e-3)
settings = {"loss": F.cross_entropy, "optimizer": adam, "progress": False}
training.fit(model, tuple(train), epochs=4, **settings)
with torch.no_grad():
    accuracy = training.accuracy(model(test.x), test.y)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    same = torch.allclose(compiled(test.x), model(test.x), atol=1e-5)
print(f"{accuracy:.1%} of the new digits are right")

check("at least 90 in 100 new digits are right", accuracy >= 0.9)
check("compiled as one graph, the same results", same)

# %% [markdown]
# And was it worth it? Ask the clock (lesson 29), and do not only compare with the best competitor:
# the first thing people write is a loop over the rows.


# %%
def row_by_row(x, weight, eps):
    return torch.stack([row / (row.square().mean() + eps).sqrt() * weight for row in x])


a, w = torch.randn(500, 512), torch.randn(512)
calls = {
    "row by row": lambda: row_by_row(a, w, 1e-6),
    "naive": lambda: naive(a, w, 1e-6),
    "yours": lambda: rms_norm(a, w, 1e-6),
    "the library's": lambda: F.rms_norm(a, (512,), w, 1e-6),
}
times = {name: best(call) for name, call in calls.items()}
for name, milliseconds in times.items():
    print(f"{name:14}{milliseconds:9.3f} ms {2 * a.nbytes / milliseconds / 1e6:7.1f} GB/s")

faster = times["row by row"] / times["yours"]
check.timed("more than three times as fast as the loop over rows", faster > 3)

# %% [markdown]
# For the next one, the library does all of this by itself. `scratchnet new my_primitive` writes a
# scaffold that runs from the first minute: oracle, kernels, operator, test, benchmark. And
# `scratchnet check my_kernel.py --primitive layer_norm` asks your own kernel, for any primitive, the
# hard questions: odd sizes, strange strides, large numbers. Then it times it.
#
# ## When it does not learn
#
# Your layer is proved, and the network still does not learn. Do not guess. Look, in this order:
#
# 1. **Shapes**: is every output as large as you think? A silent broadcast is the usual suspect.
# 2. **Statistics**: mean and deviation of each layer's output. Exploding, vanishing, all 0?
# 3. **Gradients**: is there one at every parameter, neither 0 nor NaN?
# 4. **Modes**: is dropout off when you train, or on when you test?
# 5. **One batch**: can the network learn 10 samples by heart? If not, it is a bug, not the data.
#
# `training.watch` looks at the first four. Here is a healthy network:

# %%
model = network(Norm)
adam = optim.Adam(model.parameters(), lr=3e-3)
with training.watch(model) as report:
    for _ in range(40):
        loss = training.train_step(model, F.cross_entropy, adam, train.x[:10], train.y[:10])
print(report)
print(f"loss of one batch after 40 steps: {loss:.4f}")

check("ten samples are learned by heart", loss < 0.1)
check("your layer's output has a deviation of about 1", 0.5 < report.layers["2"].std < 2)
check("a gradient at every layer that has parameters", report.layers["1"].gradient > 0)

# %% [markdown]
# And here are two sick ones, which run to the end without an error. `watch` finds more: a
# `zero_grad` that was forgotten (lesson 12), layers in a list that nobody trains (lesson 14).


# %%
def sick(name, model, scale=1.0):
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with training.watch(model):
            for _ in range(2):
                optimizer.zero_grad()
                F.cross_entropy(model(scale * train.x[:100]), train.y[:100]).backward()
                optimizer.step()
    print(f"{name}:\n    {caught[0].message}")
    return str(caught[0].message)


dead = network(NaiveNorm)
nn.init.constant_(dead[1].bias, -100.0)  # far below zero for every sample
said = sick("all below zero", dead)
check("dead units are named", "'3', ReLU" in said and "128 of 128" in said)
said = sick("numbers that are too large", network(Norm), scale=math.inf)
check("the first layer with NaN or infinity is named", "layer '0'" in said)

# %% [markdown]
# ## What to keep
#
# - first write it in existing operations; often that is enough
# - derive the backward, keep as little as it needs, prove it with `gradcheck` in float64
# - an operator makes three promises: types, fake shapes, a backward; `opcheck` holds you to them
# - judge a kernel on odd sizes, views and in float64 before you look at its speed
# - it does not learn: shapes, statistics, gradients, modes, one batch by heart
#
# That was the last lesson. You have built every part of a network and a few of your own. Now read
# the library, which holds no more secrets; or take an idea that has no layer yet, and make one.

# %% tags=["hide-input"]
check.done()
