# %% [markdown]
# # Lesson 23: LayerNorm keeps every row at one size
#
# Concepts: 25, 80, 81. Builds on lessons 08, 13 and 21.
#
# Stack twenty layers and the numbers inside grow or fade, a bit with each layer, until nothing can
# be learned. LayerNorm stops that after every layer: whatever comes in, each row goes out with mean
# 0 and deviation 1. After this lesson you can write it with its three gradients, and you know two
# ways to get its variance wrong and why transformers use it rather than BatchNorm.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("23")

# %%
import math

import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, nn
from scratchnet.ops import OPS

# %% [markdown]
# ## What it does
#
# Take a row of D numbers, for example what a network knows about one word. Two lines:
#
#     h = (x - mean) / sqrt(variance + eps)        mean 0, deviation 1
#     y = h * weight + bias                        learned: D numbers each
#
# The mean and the variance are those of *this row* and nothing else. `weight` starts as ones and
# `bias` as zeros, so at first y is h; training may then give every feature a size and a centre of
# its own. `eps` is tiny (0.00001). It stands inside the root and keeps a row of equal numbers,
# whose variance is 0, from being divided by 0.
#
# By hand for 1, 3, 5, 7: the mean is 4, the distances -3, -1, 1, 3, the variance (9 + 1 + 1 + 9) /
# 4 = 5.

# %%
row = torch.tensor([[1.0, 3.0, 5.0, 7.0]])
norm = nn.LayerNorm(4)
y = norm(row)
print("y       ", [f"{value:.4f}" for value in y[0].tolist()])
print("by hand ", [f"{distance / math.sqrt(5):.4f}" for distance in (-3, -1, 1, 3)])
print("a row of equal numbers:", norm(torch.full((1, 4), 7.0)).tolist())

by_hand = torch.tensor([[-3.0, -1.0, 1.0, 3.0]]) / math.sqrt(5)
check("distances divided by the root of 5", torch.allclose(y, by_hand, atol=1e-4))
check("a constant row becomes 0, not NaN", (norm(torch.full((1, 4), 7.0)) == 0).all())
moved = norm(10 * row + 300)
check("shift a row and stretch it: the same y", torch.allclose(moved, y, atol=1e-4))

# %% [markdown]
# The last line is the point. LayerNorm forgets where a row is centred and how large it is, and
# keeps its pattern. Watch what that does to twenty layers whose weights are a little too small, or
# too large (lesson 14 had the right size; but weights move during training):


# %%
def sizes(scale, normalised):
    """The deviation of the numbers after each of 20 layers 256 -> 256 with ReLU."""
    torch.manual_seed(0)
    x = torch.randn(16, 256)
    result = []
    for _ in range(20):
        x = F.relu(x @ (scale * torch.randn(256, 256)))
        if normalised:
            x = F.layer_norm(x, (256,))
        result.append(x.std().item())
    return result


after = {}
for scale in (0.05, 0.2):
    for normalised in (False, True):
        result = after[scale, normalised] = sizes(scale, normalised)
        label = "with LayerNorm" if normalised else "without"
        steps = [f"{layer}: {result[layer - 1]:<7.2g}" for layer in (1, 5, 10, 20)]
        print(f"weights {scale:4} {label:14}  after layer", *steps)

check("small weights fade away", after[0.05, False][-1] < 1e-3)
check("large weights explode", after[0.2, False][-1] > 1e4)
last = [after[scale, True][-1] for scale in (0.05, 0.2)]
check("with LayerNorm both stay at 1", all(abs(size - 1) < 0.01 for size in last))

# %% [markdown]
# ## Which numbers make a row
#
# The argument is called `normalized_shape`: the last axes, which are taken together. Everything in
# front of them counts rows.
#
#     LayerNorm(D)            on (B, S, D)        a mean for each of B * S words
#     LayerNorm((C, H, W))    on (N, C, H, W)     a mean for each of N images
#
# If the last axes differ from that, the error says what was expected.

# %%
words, images = torch.randn(4, 5, 8), torch.randn(4, 3, 6, 6)
normal = nn.LayerNorm((3, 6, 6))(images)
print(f"mean of one word:  {nn.LayerNorm(8)(words)[0, 0].mean():.0e}")
print(f"mean of one image: {normal[0].mean():.0e}")
print("of its channels:  ", [f"{value:.2f}" for value in normal[0].mean(dim=(1, 2)).tolist()])
try:
    nn.LayerNorm(8)(torch.randn(2, 5))
except RuntimeError as error:
    print(error)
    check("the last axis must be normalized_shape", "normalized_shape=[8]" in str(error))

check("an image is normalised as a whole", normal.mean(dim=(1, 2, 3)).abs().max() < 1e-6)
check("not each of its channels", normal.mean(dim=(2, 3)).abs().max() > 0.01)

# %% [markdown]
# ## First trap: which variance
#
# Lesson 08 had two variances, divided by n and by n - 1. LayerNorm divides by n: the row is all
# there is. `x.std()` and `x.var()` divide by n - 1 unless you say otherwise, so a LayerNorm written
# in a hurry comes out too small, by sqrt((n - 1) / n).

# %%
hurried = (row - row.mean()) / row.std()
ratio = (hurried / y)[0, 0].item()
print(f"in a hurry {hurried[0, -1]:.4f}, right {y[0, -1]:.4f}, ratio {ratio:.4f}")
print(f"sqrt(3 / 4) = {math.sqrt(3 / 4):.4f};   for 768 features {math.sqrt(767 / 768):.4f}")

check("too small by sqrt(3 / 4)", abs(ratio - math.sqrt(3 / 4)) < 1e-4)
right = (row - row.mean()) / (row.var(correction=0) + 1e-5).sqrt()
check("correction=0 divides by n", torch.allclose(right, y))

# %% [markdown]
# For four numbers that is 13 percent off. For 768 it is less than a thousandth, and that makes it
# worse: small enough to pass a careless test, large enough to spoil a model loaded from elsewhere.
#
# ## Second trap: one pass too few
#
# To get the variance you read the row twice: once for the mean, once for the distances from it. A
# well-known formula needs only one reading, because both sums can be collected together:
#
#     variance = mean of (x * x)  -  (mean of x) squared
#
# On paper it is the same. In float32 it is a disaster as soon as the mean is large compared with
# the deviation. We try both on rows of deviation 1, and move the mean.


# %%
def two_passes(x):
    return (x - x.mean(dim=1, keepdim=True)).square().mean(dim=1)


def one_pass(x):
    return (x * x).mean(dim=1) - x.mean(dim=1).square()


torch.manual_seed(0)
spread = torch.randn(6, 1000)
found = {}
for mean in (0, 100, 1_000, 10_000):
    x = spread + mean
    found[mean] = one_pass(x)
    print(f"mean {mean:6}:  two passes {two_passes(x)[0]:.3f}   one pass:", end=" ")
    print(*(f"{value:7.3f}" for value in found[mean].tolist()))

check("around 0 the one-pass formula is fine", torch.allclose(found[0], two_passes(spread)))
check("at 10,000 its result is worthless", (found[10_000] - 1).abs().max() > 3)
two = two_passes(spread + 10_000)
check("two passes hold up", torch.allclose(two, two_passes(spread), rtol=0.01))

# %% [markdown]
# Look at the last line. The variance is 1, and the results jump about in whole steps of 8. At
# 10,000 the squares are 100,000,000, and there float32 only has room for every *eighth* number
# (lesson 10: about 7 digits). Two such numbers are subtracted, and nothing is left of the true 1. A
# variance may even come out negative, and its root is NaN. Subtract *first*, square later: that is
# the whole cure.
#
# A kernel that wants to read the row only once has two ways out: keep the row in fast memory and go
# over it twice there, or use **Welford's** method, which corrects mean and squares with every
# number it meets. Here is Welford once by hand.

# %%
x = (spread + 10_000)[0]
mean, squares = torch.tensor(0.0), torch.tensor(0.0)
for count, value in enumerate(x, start=1):
    before = value - mean  # distance from the mean so far
    mean = mean + before / count
    squares = squares + before * (value - mean)  # times the distance from the new mean
print(f"Welford: mean {mean:.3f}, variance {squares / len(x):.3f}")

check("Welford reads once and is right", abs(squares / len(x) - two[0]) < 0.05)

# %%
wide = spread + 10_000
exact = F.layer_norm(wide.double(), (1000,))
off = {}
for name in backends.runnable(OPS["layer_norm"]):
    with scratchnet.backend(name):
        off[name] = (scratchnet.layer_norm(wide, (1000,)) - exact).abs().max().item()
    column, rung = backends.parse(name)
    idea = OPS["layer_norm"].rungs(column)[(rung or 0) - 1]
    print(f"{name:7} off by {off[name]:.0e}: {idea}")

check("every backend of the library holds up at 10,000", max(off.values()) < 5e-3)

# %% [markdown]
# (Where an error of about 0.001 is left, it comes from the mean itself: near 10,000 float32 has
# steps of 0.001, and a mean that is kept in float32 is rounded to them.)
#
# ## The way back
#
# Call the gradient of `y` g. Two of the three gradients are short. `bias` is added to every row, so
# its gradient is the sum of g over the rows (lesson 15). `weight` is multiplied by h, so each row
# gives g * h, summed in the same way.
#
#     dbias   = sum over rows of g
#     dweight = sum over rows of g * h
#
# Now `x`. The gradient that reaches h is a = g * weight. If mean and variance were constants, dx
# would be r * a, with r = 1 / sqrt(variance + eps). But every x in the row also moves the mean and
# the variance. You can work that out with the chain rule; here is a way to *see* it. Any small move
# of a row is the sum of three:
#
# - a **shift**, the same number everywhere. The mean goes along, and h stays.
# - a **stretch** away from the mean, a multiple of h. The deviation grows with it, and h stays.
# - the **rest**, at a right angle to both. It sums to 0, so the mean stays; its product with h sums
#   to 0, so the distances from the mean grow here and shrink there, and to first order the variance
#   stays too. Mean and variance being constant, h moves by r times the rest.
#
# So only the rest of a move counts, and it counts with r. The loss changes by a times what h does,
# summed over the row; as h moves along the rest alone, only the rest of a matters as well. Take its
# shift and its stretch out (along the shift a has the size mean(a), along h the size mean(a * h),
# because the mean of h * h is 1), multiply by r, and that is the gradient:
#
#     dx = r * (a  -  mean(a)  -  h * mean(a * h))
#                     shift        stretch
#
# (eps makes the mean of h * h a little less than 1, and a stretch then moves h a little. The formula
# holds exactly all the same; docs/layer_norm.md has the calculation.)

# %%
torch.manual_seed(0)
N, D, eps = 6, 10, 1e-5
x, g = (torch.randn(N, D, dtype=torch.float64) for _ in range(2))
weight, bias = (torch.randn(D, dtype=torch.float64) for _ in range(2))

centred = x - x.mean(dim=1, keepdim=True)
r = 1 / (centred.square().mean(dim=1, keepdim=True) + eps).sqrt()  # (N, 1)
h, a = centred * r, g * weight
dbias, dweight = g.sum(dim=0), (g * h).sum(dim=0)
dx = r * (a - a.mean(dim=1, keepdim=True) - h * (a * h).mean(dim=1, keepdim=True))

ours = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
for name in backends.runnable(OPS["layer_norm"]):
    with scratchnet.backend(name):
        y = scratchnet.layer_norm(ours[0], (D,), ours[1], ours[2], eps)
        gradients = torch.autograd.grad(y, ours, g)
    pairs = list(zip(gradients, (dx, dweight, dbias), strict=True))
    print(f"{name:7}", *(f"{(theirs - mine).abs().max():.0e}" for theirs, mine in pairs))
    check(f"{name}: three gradients", all(torch.allclose(a, b, atol=1e-5) for a, b in pairs))

nudged = x.clone()
nudged[2, 3] += 1e-6
before, after = (F.layer_norm(start, (D,), weight, bias) for start in (x, nudged))
moved = ((after - before) * g).sum() / 1e-6
check("and a nudge of x[2, 3] agrees", abs(moved - dx[2, 3]) < 1e-4)

# %% [markdown]
# The two things that were taken out give you a test that needs no reference. In every row, dx adds
# up to 0, and dx is at a right angle to h:

# %%
print("sums of dx:   ", (dx.sum(dim=1).abs() < 1e-9).tolist())
print("dx times h:   ", [f"{value:.0e}" for value in (dx * h).sum(dim=1).tolist()])

check("no shift is left in dx", dx.sum(dim=1).abs().max() < 1e-9)
check("nor any stretch, but what little eps allows", (dx * h).sum(dim=1).abs().max() < 1e-3)

# %% [markdown]
# The factor r has a consequence. h forgets the size of its row, but the gradient does not: make x
# ten times as large, and y stays as it is while dx shrinks to a tenth. A row that has grown learns
# more slowly.

# %%
for size in (1, 10, 100):
    row = (size * x).requires_grad_()
    F.layer_norm(row, (D,), weight, bias, eps).backward(g)
    print(f"x times {size:3}: dx of size {row.grad.std():.5f}")
    back = row.grad * size
    check(f"{size} times as large, 1 / {size} of the gradient", back.allclose(dx, atol=1e-3))

# %% [markdown]
# For the way back a kernel keeps x and, for each row, two numbers: mean and r. It computes h again,
# which is cheaper than keeping a second tensor of the size of x.
#
# ## The other one: BatchNorm
#
# **BatchNorm** is older and uses the same formula in the other direction: a mean and a variance for
# each *feature* (or each channel of an image), over all samples of the batch.
#
#                  feature 0   1   2   3
#     sample 0         .       .   .   .    <- LayerNorm: along a row
#     sample 1         .       .   .   .
#     sample 2         .       .   .   .
#                      ^
#                  BatchNorm: down a column
#
# That has consequences. What comes out for a sample depends on what else is in the batch. A batch
# of one has no spread. And what should it do when a single picture comes in after training? It
# keeps **running statistics**, a slowly moving mean over the batches it saw, and uses those in
# evaluation mode. (`model.eval()` switches; lesson 24.)

# %%
torch.manual_seed(0)
layer, batch = nn.LayerNorm(4), nn.BatchNorm1d(4)
me, others = torch.randn(1, 4), torch.randn(2, 7, 4)
first, second = (torch.cat([me, rest]) for rest in others)  # the same sample in two batches
check("LayerNorm: my result is mine alone", torch.allclose(layer(first)[0], layer(second)[0]))
same = torch.allclose(batch(first)[0], batch(second)[0])
check("BatchNorm: it depends on the others", not same)

try:
    batch(me)
except ValueError as error:
    print(error)
    check("BatchNorm cannot train on one sample", "more than 1 value" in str(error))

for _ in range(200):
    batch(torch.randn(32, 4) * 2 + 5)
print("running mean", [f"{value:.1f}" for value in batch.running_mean.tolist()])
batch.eval()
alone, together = batch(me)[0], batch(first)[0]
check("it has seen numbers around 5", (batch.running_mean - 5).abs().max() < 1)
check("in evaluation mode my result is mine alone", torch.allclose(alone, together))
down = nn.BatchNorm1d(4)(first).mean(dim=0)
check("down a column: the mean of a feature is 0", down.abs().max() < 1e-6)

# %% [markdown]
# | | LayerNorm | BatchNorm |
# |---|---|---|
# | statistics of | one sample, over its features | one feature, over the batch |
# | batch of one | fine | an error while training |
# | training and evaluation | the same | different: running statistics |
# | at home in | transformers, sequences | convolutional networks |
#
# ## What to keep
#
# - h = (x - mean) / sqrt(variance + eps) along each row; then weight and bias
# - the variance is divided by n; `var()` and `std()` are not, unless you say `correction=0`
# - subtract the mean first, square later; the other order loses every digit
# - dx is r * a with the shift and the stretch taken out: it adds up to 0 in every row
# - LayerNorm looks at one sample, BatchNorm at the whole batch

# %% tags=["hide-input"]
check.done()
