# %% [markdown]
# # Lesson 10: Two formulas can be equal on paper and different in a computer
#
# Concepts: 29, 57, 58. Builds on lessons 08 and 09.
#
# One day a loss prints `nan`, and from then on everything is `nan`. That is not bad luck: a
# computer's numbers have a largest value and a last digit, and some formulas run into one of the
# two. There are only a handful of such formulas in deep learning, and each has a twin that is equal
# on paper and safe. You will break softmax, fix it in one line, and recognise the others when you
# meet them.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("10")

# %%
import warnings

import torch

import scratchnet
from scratchnet import backends, nn
from scratchnet.ops import OPS

# %% [markdown]
# ## Numbers have an end
#
# A float32 reaches up to 3.4e38. That sounds like enough for anything, until somebody takes an
# exponential. A number that is too large becomes **infinity**; that is called overflow. One that is
# too small becomes 0; that is underflow.

# %%
print("exp(88) ", torch.tensor(88.0).exp().item())
print("exp(89) ", torch.tensor(89.0).exp().item())
print("exp(-104)", torch.tensor(-104.0).exp().item())
for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
    largest = torch.finfo(dtype).max
    limit = torch.tensor(largest, dtype=torch.float64).log().item()
    print(f"{str(dtype)[6:]:9} up to {largest:.1e}: exp overflows above {limit:.1f}")

check("exp(89) is too large for float32", torch.tensor(89.0).exp() == torch.inf)
check("exp(12) is too large for float16", torch.tensor(12.0).half().exp() == torch.inf)
check("exp(-104) is 0 in float32", torch.tensor(-104.0).exp() == 0)

# %% [markdown]
# Infinity itself is harmless. It compares as it should, and 1 / inf is 0. But some questions about
# it have no answer, and "no answer" is written **NaN**. Whatever is computed with NaN is NaN again,
# and NaN is not even equal to itself.

# %%
inf = torch.tensor(torch.inf)
nan = inf - inf
print("inf - inf", nan.item(), "  inf / inf", (inf / inf).item(), "  1 / inf", (1 / inf).item())

unanswered = torch.stack([nan, inf / inf, 0 * inf])
check("inf - inf, inf / inf and 0 * inf are NaN", unanswered.isnan().all())
check("NaN is not equal to itself", nan != nan)
check("one NaN makes the whole mean NaN", torch.tensor([1.0, 2.0, torch.nan]).mean().isnan())

# %% [markdown]
# ## Softmax
#
# Softmax turns scores into probabilities, here written p: `exp` of every score, divided by the sum
# along the axis of classes (lesson 09).
#
#     p_i = exp(x_i) / (exp(x_1) + exp(x_2) + ... + exp(x_C))
#
# All are positive and together they add up to 1. A score that is larger by 1 gets 2.72 times the
# probability. So only *differences* of scores count; adding the same number to all of them changes
# nothing. Take the formula at its word:

# %%


def naive_softmax(x):
    e = x.exp()
    return e / e.sum(dim=-1, keepdim=True)


scores = torch.tensor([1.0, 3.0, 0.5, 1.5])
p = naive_softmax(scores)
print("p of", scores.tolist(), "is", [f"{value:.4f}" for value in p.tolist()])

check("they add up to 1", torch.isclose(p.sum(), torch.tensor(1.0)))
check("the score 1.5 against 0.5: 2.72 times", 2.71 < p[3] / p[2] < 2.72)
check("adding 10 to all changes nothing", torch.allclose(naive_softmax(scores + 10), p))

# %% [markdown]
# Adding 10 changes nothing. So adding 1000 changes nothing either, on paper.

# %%
print("plus 1000: ", naive_softmax(scores + 1000).tolist())
print("minus 1000:", naive_softmax(scores - 1000).tolist())

check("too large: inf / inf", naive_softmax(scores + 1000).isnan().all())
check("too small: 0 / 0", naive_softmax(scores - 1000).isnan().all())

# %% [markdown]
# ## The shift
#
# If we may add any number to all scores, we may choose it. Subtract the largest score. Then the
# largest exponent is 0 and its exponential is 1: nothing overflows, and the sum is at least 1, so
# nothing is divided by 0. A score that is 200 below the largest still underflows to 0, and that is
# right: its probability, 1e-87, is 0 to all the digits we have.

# %%


def softmax(x):
    e = (x - x.amax(dim=-1, keepdim=True)).exp()
    return e / e.sum(dim=-1, keepdim=True)


wild = torch.tensor([[1e4, 0.0, -1e4], [1000.0, 1001.0, 1002.0], [-1000.0, -1001.0, -1002.0]])
print(softmax(wild))

check("the shift changes no result", torch.allclose(softmax(scores), p))
check("and takes any finite scores", softmax(wild).isfinite().all())

# %% [markdown]
# Each row has its own maximum, so watch the axis. One maximum for the whole batch looks simpler,
# but fails where one row is far below another.
#
# The axis of softmax itself deserves a look, too. `dim` is the axis along which the probabilities
# add up to 1, the classes. With the wrong one nothing complains; the columns add up to 1 instead. A
# sum along the rows shows it at once.

# %%
batch = torch.tensor([[1.0, 2.0, 3.0], [1.0, 5.0, 0.0]])  # (B, C)
right, wrong = scratchnet.softmax(batch, dim=1), scratchnet.softmax(batch, dim=0)
print("rows add up to", right.sum(dim=1).tolist(), "  with dim=0 to", wrong.sum(dim=1).tolist())

check("dim=1: every row adds up to 1", torch.allclose(right.sum(dim=1), torch.ones(2)))
check("dim=0: the columns do", torch.allclose(wrong.sum(dim=0), torch.ones(3)))
check("and the rows do not", not torch.allclose(wrong.sum(dim=1), torch.ones(2)))

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    nn.Softmax()(batch)
print("\nnn.Softmax() without dim:", caught[0].message)
check("leaving dim to chance gets a warning", "Implicit dimension" in str(caught[0].message))

# %% [markdown]
# ## Temperature
#
# A language model that always writes its most probable word is dull; one that rolls fair dice
# writes nonsense. Between the two there is a knob: divide the scores by a **temperature** T before
# the softmax. Below 1 it exaggerates differences, and in the limit only the largest is left:
# argmax. Above 1 it evens them out, in the limit to equal shares.

# %%
hot = {}
for temperature in (0.1, 0.5, 1.0, 2.0, 100.0):
    hot[temperature] = softmax(scores / temperature)
    shares = hot[temperature].tolist()
    bars = "  ".join(f"{share:.3f} {'#' * round(10 * share):10}" for share in shares)
    print(f"T = {temperature:<6}{bars}")

check("cold: all on the largest", hot[0.1][1] > 0.999)
check("hot: equal shares", torch.allclose(hot[100.0], torch.full((4,), 0.25), atol=0.01))
check("the order never changes", all(p.argmax() == 1 for p in hot.values()))
check("a cold softmax needs the shift, too", naive_softmax(scores / 0.01).isnan().any())

# %% [markdown]
# ## The logarithm of a probability
#
# Training asks: how surprised was the model by the right answer? That is -log p, the loss of lesson
# 19. Say the right class has a score 1000 below the best. The true surprise is 1000. But p has
# underflowed to 0, and log 0 is minus infinity. The digits were lost one step too early.
#
# People then write `log(p + eps)`, to be safe. That is worse: no warning, and an answer that is far
# off.

# %%
x = torch.tensor([0.0, 1000.0])
p = softmax(x)
print("log(p):        ", p.log().tolist())
print("log(p + 1e-12):", (p + 1e-12).log().tolist())
print("log_softmax:   ", scratchnet.log_softmax(x, dim=0).tolist())

check("p has underflowed", p[0] == 0)
check("log(p + eps) is capped near log(eps)", abs((p + 1e-12).log()[0] + 27.6) < 0.1)
check("log_softmax knows: -1000", scratchnet.log_softmax(x, dim=0)[0] == -1000)

# %% [markdown]
# How does it know? Take the logarithm of the formula instead of the number:
#
#     log p_i  =  x_i - log(exp(x_1) + ... + exp(x_C))  =  x_i - logsumexp(x)
#
# **logsumexp** is one number for each row, and it needs the shift again: take the maximum m out of
# the sum, and it comes out of the logarithm unchanged.
#
#     logsumexp(x)  =  m + log(exp(x_1 - m) + ... + exp(x_C - m))
#
# It is a smooth maximum: at least m, and at most log C more.

# %%


def logsumexp(x):
    m = x.amax(dim=-1, keepdim=True)
    return (m + (x - m).exp().sum(dim=-1, keepdim=True).log()).squeeze(-1)


print("max 1000, 1000:      ", logsumexp(torch.tensor([1000.0, 1000.0])).item())
print("max 1, 3, 0.5, 1.5:  ", logsumexp(scores).item())

check("between max and max + log C", 3 <= logsumexp(scores) <= 3 + torch.tensor(4.0).log())
log_p = softmax(scores).log()
check("x - logsumexp(x) is log p", torch.allclose(scores - logsumexp(scores), log_p))

# %% [markdown]
# ## Rows of minus infinity
#
# A class that is ruled out gets the score -inf. Its exponential is 0, as it should be, and the
# others share the whole probability. But when *all* classes of a row are ruled out, the maximum is
# -inf too, and -inf - (-inf) is NaN. What is right? The logsumexp of such a row is the log of an
# empty sum, log 0 = -inf; a careful function says so. Probabilities that add up to 1 do not exist,
# so softmax answers NaN, in torch as well.
#
# Here is everything in scratchnet that takes these rows, on each backend:

# %%
minus = -torch.inf
rows = torch.tensor([[1e4, 0.0, -1e4], [0.0, minus, 0.0], [minus, minus, minus]])
print("our own logsumexp:", logsumexp(rows).tolist())
for name in backends.runnable(OPS["cross_entropy"]):
    with scratchnet.backend(name):
        sums = scratchnet.logsumexp(rows, dim=1)
        shares = scratchnet.softmax(rows, dim=1)
        loss = scratchnet.cross_entropy(wild, torch.tensor([2, 0, 0]), reduction="none")
    print(f"{name:6} logsumexp {sums.tolist()}, losses {loss.tolist()}")
    check(f"{name}: the log of nothing is -inf", sums[2] == minus)
    check(f"{name}: a ruled-out class gets nothing", shares[1].tolist() == [0.5, 0.0, 0.5])
    check(f"{name}: no probabilities, NaN", shares[2].isnan().all())
    check(f"{name}: a loss of 20,000 is a number", loss[0] == 20_000)

check("our own is not careful yet", logsumexp(rows)[2].isnan())

# %% [markdown]
# Making it careful is one of the exercises. (These losses are *one* function in the library, not
# softmax followed by log and pick. This lesson is the reason.)
#
# ## Numbers have a last digit
#
# The other limit: a float32 has 24 binary digits, about 7 decimal ones. From 2^24 = 16,777,216 on
# it can only hold even numbers. Adding 1 then does nothing, and a sum of many small numbers stops
# growing. In bfloat16, with its 8 digits, counting ends at 256.

# %%
million = torch.tensor(2.0**24)
print("16777216 + 1 =", f"{(million + 1).item():.0f}", " in float32")
print("256 + 1 =", (torch.tensor(256.0).bfloat16() + 1).item(), " in bfloat16")

check("2^24 + 1 is 2^24 in float32", million + 1 == million)
check("256 + 1 is 256 in bfloat16", torch.tensor(256.0).bfloat16() + 1 == 256)
ones = torch.ones(1000, dtype=torch.bfloat16)
check("torch sums in a wider type", ones.sum() == 1000)

# %% [markdown]
# Good kernels take care of this: they add up 16-bit numbers in 32 bits, and long rows in pieces.
#
# The worst way to lose digits is to **subtract numbers that are nearly equal**. The leading digits
# are the same and vanish, and only the rounded part is left. The famous victim is the variance. On
# paper, mean((x - m)^2) = mean(x^2) - m^2, and the right side needs only one walk through the data.
# Try it on numbers around 10,000:

# %%
torch.manual_seed(0)
x = 10_000 + torch.randn(1000)  # variance 1
two_walks = ((x - x.mean()) ** 2).mean()
one_walk = (x**2).mean() - x.mean() ** 2
print(f"mean((x - m)^2) = {two_walks:.3f}    mean(x^2) - m^2 = {one_walk:.3f}")

exact = x.double().var(correction=0)
check("distances first, then squares: right", abs(two_walks - exact) < 1e-3)
check("difference of two squares: far off", abs(one_walk - exact) > 0.5)
last_digit = 2.0**26 * torch.finfo(torch.float32).eps
check("x^2 is near 100,000,000, where float32 counts in steps of 8", last_digit == 8)

# %% [markdown]
# It may even come out negative, and its root is NaN. The same happens on a small scale in log(1 +
# x) for a tiny x: 1 + x rounds to 1 before the logarithm sees it. So there are `log1p(x)` and
# `expm1(x)`, which never form the 1.

# %%
tiny = torch.tensor(1e-8)
print("log(1 + 1e-8):", (1 + tiny).log().item(), "  log1p(1e-8):", tiny.log1p().item())

check("log(1 + x) forgets a tiny x", (1 + tiny).log() == 0)
check("log1p does not", torch.isclose(tiny.log1p(), tiny))

# %% [markdown]
# ## What eps is for
#
# A LayerNorm divides by the standard deviation of a row. A constant row has none: 0 / 0. So the
# formula divides by sqrt(v + eps) with a small **eps**, 1e-5. It stands *inside* the root: there it
# also keeps the slope of the root finite, which is infinite at 0. For ordinary rows it changes next
# to nothing.
#
# Such an eps guards a division in which 0 may really occur. It is no cure for lost digits: that is
# why it did the logarithm so little good.

# %%
constant = torch.full((1, 4), 7.0)
print("a constant row:", scratchnet.layer_norm(constant, (4,)).tolist())

check("0 / sqrt(0 + eps) is 0", (scratchnet.layer_norm(constant, (4,)) == 0).all())
check("without eps it is NaN", scratchnet.layer_norm(constant, (4,), eps=0.0).isnan().all())

# %% [markdown]
# ## What to keep
#
# - `exp` overflows at 89 in float32, at 12 in float16; inf - inf, inf / inf, 0 * inf are NaN
# - softmax: subtract the maximum of each row; only differences of scores count
# - temperature divides the scores: cold is argmax, hot is equal shares
# - log p is x - logsumexp(x), never log(p + eps)
# - subtract before you square; use log1p and expm1 near 0
# - when NaN appears: which formula has an exp, a log, a root or a division?

# %% tags=["hide-input"]
check.done()
