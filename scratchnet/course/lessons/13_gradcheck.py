# %% [markdown]
# # Lesson 13: A backward is right when it agrees with a nudge
#
# Concepts: 33, 40. Builds on lesson 12.
#
# Everyone who writes a backward by hand makes mistakes in it: a forgotten path, a missing factor, a
# transpose. The cruel part is that the network often trains all the same, only worse, and nobody
# looks. There is a test that finds nearly all of them, it is ten lines long, and it needs no
# knowledge of the right answer. You will write it, learn where it can be fooled, and let it loose
# on the whole library.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("13")

# %%
import functools
import warnings

import numpy as np
import torch

import scratchnet
import scratchnet.numpy
from scratchnet import backends
from scratchnet.measure import verify
from scratchnet.ops import OPS, PRIMITIVES, DimOptions
from scratchnet.ops.layer_norm import NormOptions

# %% [markdown]
# ## A falling loss proves nothing
#
# Find the w whose cube is 8, by descent on (w^3 - 8)^2. The derivative is 2 (w^3 - 8) times 3 w^2.
# Now suppose you write w^2 and forget the 3. The sign is right, so every step goes downhill, and
# the loss falls nicely.

# %%


def descend(slope_of_cube, steps=200):
    w, losses = 1.0, []
    for _ in range(steps):
        losses.append((w**3 - 8) ** 2)
        w -= 0.002 * 2 * (w**3 - 8) * slope_of_cube(w)
    return w, losses


for name, slope_of_cube in (("3 w^2", lambda w: 3 * w * w), ("w^2", lambda w: w * w)):
    w, losses = descend(slope_of_cube)
    print(f"with {name:6} w = {w:.4f}, loss {losses[0]:.1f} -> {losses[-1]:.1e}")
    check(f"with {name} the loss falls to nearly 0", losses[-1] < 1e-3)

# %% [markdown]
# With one weight a wrong factor is only a wrong step size. With a million weights it is a wrong
# *direction*: one layer learns three times too slowly, another is pulled aside. So do not look at
# losses. Compare with the definition.
#
# ## The check
#
# Lesson 11 measured derivatives with a central difference. For a function of many numbers, do it
# for each of them: nudge one entry up, nudge it down, and see how far the results moved. There are
# many results too, so weight them with a gradient g, as if a loss came after them: the sum of g
# times the results is one number. That is what a backward computes from g, so the two can be
# compared.

# %%


def numeric_gradient(f, x, g, step=1e-5):
    """The measured gradient of (g * f(x)).sum() for every entry of x: the shape of x."""
    dx = np.zeros_like(x)
    for position in np.ndindex(x.shape):
        nudge = np.zeros_like(x)
        nudge[position] = step
        dx[position] = (g * (f(x + nudge) - f(x - nudge))).sum() / (2 * step)
    return dx


def difference(f, backward, x, g):
    """How far a backward is from the measured gradient, as a fraction of its largest entry."""
    tried = numeric_gradient(f, x, g)
    return np.abs(backward - tried).max() / np.abs(tried).max()


random = np.random.default_rng(0)
x, g = random.normal(size=(2, 3)), random.normal(size=(2, 3))
right, wrong = 3 * x**2 * g, x**2 * g
print(f"3 x^2: off by {difference(lambda x: x**3, right, x, g):.0e}")
print(f"x^2:   off by {difference(lambda x: x**3, wrong, x, g):.0e}")

check("the right backward agrees", difference(lambda x: x**3, right, x, g) < 1e-8)
check("without the 3 it is off by two thirds", difference(lambda x: x**3, wrong, x, g) > 0.6)

# %% [markdown]
# ## How small is a small step?
#
# The two nudged results are nearly equal, and lesson 10 showed what happens when such numbers are
# subtracted: digits vanish. So the step must not be too small. Nor may it be too large, for then
# the curve bends within it. Here is the error of the slope of exp at 1 for many steps, in both
# precisions.

# %%
steps = [10.0**-k for k in range(1, 11)]
errors = {np.float32: [], np.float64: []}
for step in steps:
    for dtype, found in errors.items():
        one, h = dtype(1), dtype(step)
        tried = (np.exp(one + h) - np.exp(one - h)) / (2 * h)
        found.append(abs(float(tried) / np.e - 1))
print("step      float32    float64")
for step, narrow, wide in zip(steps, *errors.values(), strict=True):
    print(f"{step:.0e}     {narrow:.0e}      {wide:.0e}")

best_32, best_64 = (min(found) for found in errors.values())
check("float64 gets at least eight digits right", best_64 < 1e-8)
check("float32 never gets six", best_32 > 1e-6)
check("a tiny step ruins float32 altogether", errors[np.float32][-1] > 0.5)

# %% [markdown]
# In float32 a right backward can look wrong, and you would search for a mistake that is not there.
# So gradients are checked in **float64**, with a step near 1e-5, and agreement to six digits or
# better.
#
# ## Where the check can be fooled
#
# There are two ways. The first is corners: where the slope jumps, a nudge and a library may
# disagree and both be right (lesson 11). Keep test inputs away from them. The second is worse:
# **lazy test data**. Here is a backward of softmax that is wrong. It is a famous mistake: someone
# read that the derivative of softmax is p (1 - p), and multiplied by it.

# %%
softmax_forward = scratchnet.oracle.cross_entropy.softmax_forward
softmax_backward = scratchnet.oracle.cross_entropy.softmax_backward
last = DimOptions(dim=-1)


def softmax(x):
    return softmax_forward(x, last)


def diagonal_backward(g, p):
    return g * p * (1 - p)


x, g = random.normal(size=(1, 3)), random.normal(size=(1, 3))
p = softmax(x)
print("measured:     ", numeric_gradient(softmax, x, g).round(4))
print("the library's:", softmax_backward(g, p, last).round(4))
print("p (1 - p) g:  ", diagonal_backward(g, p).round(4))

check("the library's agrees", difference(softmax, softmax_backward(g, p, last), x, g) < 1e-6)
check("p (1 - p) does not", difference(softmax, diagonal_backward(g, p), x, g) > 0.1)

# %% [markdown]
# p (1 - p) answers how fast a probability moves with *its own* score. But each score moves *all*
# probabilities, because they share one sum. All these answers together are a matrix, the
# **Jacobian**: entry [i, j] says how fast result i moves with input j. We can measure it, one
# column at a time. For functions that work entry by entry, such as a cube, everything off the
# diagonal is 0. For softmax it is -p_i p_j.

# %%


def jacobian(f, x, step=1e-5):
    nudges = step * np.eye(len(x))
    return np.stack([(f(x + nudge) - f(x - nudge)) / (2 * step) for nudge in nudges], axis=1)


row = x[0]
J = jacobian(softmax, row)
print("cube:\n", jacobian(lambda x: x**3, row).round(3))
print("softmax:\n", J.round(3))

P = softmax(row)
check("its diagonal is p (1 - p)", np.allclose(J.diagonal(), P * (1 - P), atol=1e-8))
check("off the diagonal it is -p_i p_j", np.allclose(J, np.diag(P) - np.outer(P, P), atol=1e-8))
check("each column adds up to 0: what one gains the others lose", np.allclose(J.sum(axis=0), 0))
by_jacobian = J.T @ g[0]
check("backward is J.T times g", np.allclose(by_jacobian, softmax_backward(g, p, last)[0]))

# %% [markdown]
# The right backward is p (g - sum of g p): the effect of the whole matrix, and yet no matrix is
# ever made.
#
# And the lazy test? It takes g = 1 everywhere, as `y.sum().backward()` does. The probabilities
# always add up to 1, so the true gradient of their sum is 0, whatever x is. *Any* backward that
# returns zeros passes. With a single class the true gradient is 0 as well, and a symmetric matrix
# hides a forgotten transpose. So: random inputs, random g, and sizes that all differ.

# %%
ones = np.ones_like(g)
true = softmax_backward(ones, p, last)
print("true gradient for g = 1:", true.round(12) + 0.0)

check("for g = 1 returning zeros passes", np.abs(true).max() < 1e-12)
zeros = np.zeros_like(x)
check("for a random g it does not", difference(softmax, zeros, x, g) > 0.9)

# %% [markdown]
# ## Break one and watch
#
# LayerNorm is where most people go wrong, because x reaches the result along three paths: directly,
# through the mean and through the deviation (lesson 08). Here is its backward with one path left
# out at a time.

# %%
layer_norm_forward = scratchnet.oracle.layer_norm.layer_norm_forward
over_rows = NormOptions(ndim=1, eps=1e-5)


def normalise(x):
    return layer_norm_forward(x, weight=None, bias=None, options=over_rows)[0]


x, g = random.normal(size=(4, 6)), random.normal(size=(4, 6))
h, _, r = layer_norm_forward(x, weight=None, bias=None, options=over_rows)
over_mean = g.mean(axis=1, keepdims=True)
over_deviation = h * (g * h).mean(axis=1, keepdims=True)
candidates = {
    "all three paths": r * (g - over_mean - over_deviation),
    "without the mean": r * (g - over_deviation),
    "without the deviation": r * (g - over_mean),
    "directly only": r * g,
    "all, times 1.01": 1.01 * r * (g - over_mean - over_deviation),
}
off = {name: difference(normalise, dx, x, g) for name, dx in candidates.items()}
for name, share in off.items():
    print(f"{name:24}off by {share:.0e}   {'ok' if share < 1e-6 else 'WRONG'}")

check("with all paths it agrees", off["all three paths"] < 1e-6)
check("whatever is left out is found", min(list(off.values())[1:4]) > 0.01)
check("even one percent too much is found", off["all, times 1.01"] > 0.001)

# %% [markdown]
# ## The whole library
#
# torch has this check built in, `torch.autograd.gradcheck`. It measures the whole Jacobian, every
# result against every input, and compares it with what backward says. It wants float64 and
# complains if it gets something else. Here it is at work on every primitive, on every backend that
# runs here. Triton's kernels run in an interpreter: `fast_mode` compares one random direction of
# their Jacobian.

# %%
torch.manual_seed(0)
verdicts = {}
for primitive in PRIMITIVES:
    op = OPS[primitive]
    example = next(iter(op.examples.values()))
    arguments, options = example(2, 3, torch.float64)
    for name in backends.runnable(op):
        with scratchnet.backend(name):
            call = functools.partial(verify.function(op), **options)
            fast = name.startswith("triton")
            passed = torch.autograd.gradcheck(call, arguments, fast_mode=fast)
        verdicts[primitive, name] = passed
    print(f"{primitive:15}", ", ".join(name for p, name in verdicts if p == primitive))

check("every backward of every primitive agrees", all(verdicts.values()))

# %% [markdown]
# And here is what it says about a wrong backward, the one from the beginning as a Function. Beside
# it, a right one, checked in float32.

# %%


class Cube(torch.autograd.Function):
    """x ** 3 with the mistake from the beginning: the 3 is missing."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x * x


two = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
try:
    torch.autograd.gradcheck(Cube.apply, two)
except RuntimeError as error:
    report = str(error)
    print(report)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    narrow = torch.randn(4, requires_grad=True)
    in_float32 = torch.autograd.gradcheck(scratchnet.gelu, narrow, raise_exception=False)

check("it shows what was measured, and what backward says", "numerical:tensor([[ 3." in report)
check("in float32 even a right one fails", not in_float32)
check("and gradcheck says why", "not a double precision" in str(caught[0].message))

# %% [markdown]
# ## Backpropagation by hand
#
# Now you can trust yourself with a whole network. Two layers in NumPy, one sample in each column:
# `a = W1 x + b1`, then `h = max(a, 0)` (relu, lesson 11), then `z = W2 h + b2`. The way back goes
# through the same stations in reverse, and each has a rule that you know:
#
#     dW2 = dz h^T        db2 = sum of the columns of dz        dh = W2^T dz     (lesson 07)
#     da  = dh where a > 0, else 0                                               (lesson 11)
#     dW1 = da x^T        db1 = sum of the columns of da        dx = W1^T da     (lesson 07)
#
# A bias is added to every column, so it is used many times, and its gradients add up (lesson 04).
# The library has one pair for such a layer; we chain it twice, and check the far end.

# %%
dense_forward = scratchnet.numpy.dense.dense_forward
dense_backward = scratchnet.numpy.dense.dense_backward
x = random.normal(size=(3, 5))  # (in, m): 3 features, 5 samples
W1, b1 = random.normal(size=(4, 3)), random.normal(size=(4, 1))
W2, b2 = random.normal(size=(2, 4)), random.normal(size=(2, 1))
dz = random.normal(size=(2, 5))  # the gradient of z, from a loss behind it


def network(x, W1, b1):
    return dense_forward(np.maximum(dense_forward(x, W1, b1), 0), W2, b2)


a = dense_forward(x, W1, b1)
h = np.maximum(a, 0)
dh, dW2, db2 = dense_backward(dz, h, W2)
dx, dW1, db1 = dense_backward(np.where(a > 0, dh, 0), x, W1)
for name, shape in (("dW2", dW2), ("dW1", dW1), ("db1", db1), ("dx", dx)):
    print(f"{name:4}{shape.shape}")

check("dW1 is right", difference(lambda W: network(x, W, b1), dW1, W1, dz) < 1e-6)
check("db1, too", difference(lambda b: network(x, W1, b), db1, b1, dz) < 1e-6)
check("and dx, all the way back", difference(lambda x: network(x, W1, b1), dx, x, dz) < 1e-6)
check("each has the shape of what it belongs to", (dW1.shape, dx.shape) == (W1.shape, x.shape))

# %% [markdown]
# One more classic mistake, about order. A layer that takes its own step inside its backward must
# compute `dh` *before* it changes W2. Afterwards, W2 is not the one that the forward used, and
# everything further back is wrong, a little, for ever. Losses will not tell you. The check does.

# %%
stepped = W2 - 0.1 * dW2
late, _, _ = dense_backward(dz, h, stepped)
tried = numeric_gradient(lambda h: dense_forward(h, W2, b2), h, dz)
early_error, late_error = np.abs(dh - tried).max(), np.abs(late - tried).max()
print(f"dh before the step: off by {early_error:.0e}, after it: {late_error:.0e}")

check("before the step it is right", early_error < 1e-6)
check("after the step it is not", late_error > 1e-3)

# %% [markdown]
# ## What to keep
#
# - a falling loss does not prove a gradient; a central difference does
# - float64, step near 1e-5, compare relative to size
# - random inputs, random g, sizes that differ, away from corners
# - softmax and LayerNorm: every input moves every result of its row
# - pass the gradient on before you change the weights
# - run `torch.autograd.gradcheck` before anything you wrote is used

# %% tags=["hide-input"]
check.done()
