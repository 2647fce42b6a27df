# %% [markdown]
# # Lesson 19: Cross-entropy wants logits, and gives back guess minus truth
#
# Concepts: 59, 60, 61, 77. Builds on lessons 03, 10 and 18.
#
# Every classifier, and every language model, is trained with one loss: how surprised was the model
# by the right answer? This lesson takes it apart: from scores to probabilities to a loss, then the
# short way that skips the probabilities and is faster, smaller and more exact, then its gradient,
# perhaps the most beautiful line of the course. At the end you train a classifier with little more
# than that line, and you recognise the most common bug of all: softmax before the loss.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("19")

# %%
import math
import warnings

import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, nn, optim, training
from scratchnet.course import best
from scratchnet.ops import OPS

# %% [markdown]
# ## Logits
#
# The last layer of a classifier gives one score for each class, any number, positive or negative.
# They are the **logits**. Softmax (lesson 10) turns them into probabilities. Only the *differences*
# between the logits of a row count: a lead of 1 is a factor of 2.72 in probability, a lead of 2 a
# factor of 7.39.

# %%
row = torch.tensor([2.0, 1.0, -1.0])
rows = torch.stack([row, row + 100, row - 3, 10 * row])
p = F.softmax(rows, dim=1)
for row, probabilities in zip(rows.tolist(), p.tolist(), strict=True):
    print(f"{row!s:22} -> {[round(value, 3) for value in probabilities]}")

check("a lead of 1 is a factor of e", torch.isclose(p[0, 0] / p[0, 1], torch.tensor(math.e)))
check("100 more for all changes nothing", torch.allclose(p[0], p[1], atol=1e-5))
check("all of them negative: no harm", torch.allclose(p[0], p[2]))
check("ten times the logits: the same answer", p[3].argmax() == p[0].argmax())
check("but nearly certain", p[0, 0] < 0.75 and p[3, 0] > 0.999)

# %% [markdown]
# The largest probability is called the **confidence**. Look at the last row: ten times the logits,
# the same answer, and the confidence goes from 0.7 to almost 1. So confidence is not accuracy. A
# model may be very sure and wrong.
#
# ## The loss: surprise
#
# Take the probability that the model gave to the *right* class. The loss is minus its logarithm. It
# is 0 if the model was certain and right, and it grows without limit as the right class becomes
# less likely: the surprise.

# %%
for probability in (1.0, 0.5, 0.1, 0.01, 0.0001):
    print(f"the right class had p = {probability:<6}  loss {abs(math.log(probability)):.2f}")

logits = torch.tensor([1.0, 2.0, 7.0]).log().expand(3, 3)  # so that p is 0.1, 0.2, 0.7
y = torch.tensor([0, 1, 2])
p = F.softmax(logits, dim=1)
picked = p[torch.arange(3), y]  # one entry per row, lesson 03
loss = -picked.log()
for c in range(3):
    print(f"class {c} is right and had p = {picked[c]:.1f}: loss {loss[c]:.2f}")

built_in = F.cross_entropy(logits, y, reduction="none")
check("softmax, pick, logarithm: that is cross-entropy", built_in.allclose(loss))
check("ten times less likely: log 10 more", math.isclose(math.log(0.1 / 0.01), math.log(10)))
equal = F.cross_entropy(torch.zeros(1, 10), torch.tensor([3]))
check("ten equal logits cost log 10", math.isclose(equal, math.log(10), rel_tol=1e-6))

# %% [markdown]
# ## The short way
#
# Substitute one formula into the other. The logarithm undoes the exponential, and the probabilities
# disappear:
#
#     -log( exp(x_t) / sum of exp(x_c) )   =   log( sum of exp(x_c) )  -  x_t
#
#                                          =   logsumexp(x)  -  x_t
#
# This is not only shorter. In two steps the probability of a very unlikely class is rounded to 0,
# and log(0) is minus infinity. The short way never makes that 0. It subtracts two ordinary numbers.

# %%
sure = torch.tensor([[0.0, 200.0]])
wrong_class = torch.tensor([0])
two_steps = -F.softmax(sure, dim=1)[0, 0].log()
short = F.cross_entropy(sure, wrong_class)
print(f"two steps: {two_steps.item()}   logsumexp: {short.item()}")

check("in two steps the loss is infinite", two_steps == math.inf)
check("the short way finds 200", short == 200)
check("it is logsumexp - x_t", short == scratchnet.logsumexp(sure, 1)[0] - sure[0, 0])

# %% [markdown]
# So `cross_entropy` takes **logits** (N, C) and class numbers (N,), int64: no softmax, no one-hot
# rows. When you need probabilities, to show them, take softmax outside.
#
# ## The gradient
#
# How does the loss change with a logit? The `- x_t` has slope -1 for the right class. And the slope
# of logsumexp with respect to x_c is exp(x_c) over the sum of all exp: the probability of c.
# Together:
#
#     dloss/dx_c  =  p_c - 1   for the right class
#                    p_c       for all others
#
# **Guess minus truth.** Each wrong class is pushed down by as much as it was believed, and the
# right one is pulled up by what was missing. (With the mean over N rows, all of it is divided by
# N.)

# %%
torch.manual_seed(0)
x = torch.randn(4, 3, requires_grad=True)
y = torch.tensor([0, 2, 1, 1])
(gradient,) = torch.autograd.grad(F.cross_entropy(x, y), x)
truth = F.one_hot(y, 3)
by_hand = (F.softmax(x, dim=1) - truth) / 4
print("guess - truth, row 0:", [round(v, 3) for v in (4 * by_hand[0]).tolist()])

check("the gradient is (p - truth) / N", torch.allclose(gradient, by_hand, atol=1e-7))
check("every row adds up to 0: what one gains, others lose", gradient.sum(1).abs().max() < 1e-6)
check("no entry is beyond 1 / N, however wrong", gradient.abs().max() <= 1 / 4)

# %% [markdown]
# You have met it before: the slope of the MSE is the error, that of BCE is `p - t`. Compare with
# what a squared error on *probabilities* would do: its slope has a factor p (1 - p), which vanishes
# when the model is sure, even when it is sure and wrong. Cross-entropy pulls hardest exactly there.
#
# ## The most common bug
#
# A model that ends in softmax, and then a loss that takes softmax again. It runs, and it even
# learns. But the second softmax sees numbers between 0 and 1, and the lead of one class over
# another can never be more than 1. For a perfect guess among three classes the loss is not 0:

# %%
logits, y = torch.tensor([[10.0, 0.0, 0.0]]), torch.tensor([0])
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    doubled = nn.CrossEntropyLoss()(F.softmax(logits, dim=1), y)
right = nn.CrossEntropyLoss()(logits, y)
print(f"right {right:.5f}   with softmax twice {doubled:.4f}")
print("warning:", heard[0].message)

check("right: nearly 0", right < 0.0001)
check("twice: more than a half", 0.551 < doubled < 0.552)
check("the layer notices at its first call", "leave the softmax" in str(heard[0].message))
floor = math.log(math.e + 9) - 1
check("with ten classes the loss cannot fall below 1.46", 1.46 < floor < 1.47)

# %% [markdown]
# torch itself says nothing. Remember the number: if a classifier of ten digits has a loss stuck
# near 1.5 while its accuracy is fine, it has softmax twice.
#
# ## Memory
#
# For the backward pass, autograd keeps what it will need (lesson 12). In two steps it keeps the
# probabilities, as many numbers as there are logits. The short way needs only one number per row,
# the logsumexp: from it p is recomputed on the way back, as `exp(x - logsumexp)`. We can watch
# autograd keep things:


# %%
def kept(loss_of, x, y):
    """Bytes that autograd keeps for backward, besides the logits and targets themselves."""
    sizes = {}

    def keep(tensor):
        memory = tensor.untyped_storage()
        sizes[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_of(x, y)
    loss.backward()
    return sum(sizes[place] for place in sizes if place not in (x.data_ptr(), y.data_ptr()))


def in_two_steps(x, y):
    return -F.softmax(x, dim=1)[torch.arange(len(y)), y].log().mean()


torch.manual_seed(0)
x = torch.randn(512, 8000, requires_grad=True)  # a small language model: 8,000 words
y = torch.randint(8000, (512,))
for name, loss_of in (("two steps", in_two_steps), ("fused", F.cross_entropy)):
    milliseconds = best(lambda loss_of=loss_of: loss_of(x, y).backward(), 3)
    megabytes = kept(loss_of, x, y) / 1e6
    print(f"{name:10} kept {megabytes:7.3f} MB   forward and backward {milliseconds:6.1f} ms")

check("two steps keep one number per logit", kept(in_two_steps, x, y) >= 4 * x.numel())

# %% [markdown]
# A loss that does all this in one kernel is called **fused**. For a language model with 100,000
# words the probabilities of a batch of 10,000 would be 4 GB; this is where that memory is saved.
# Every backend of the library has such a kernel, from the naive loop to the fast one. Only the one
# called "reference", which is there to be read, keeps what its separate steps keep. All of them
# give the same loss and the same gradient:

# %%
torch.manual_seed(0)
x = (3 * torch.randn(16, 50)).requires_grad_()
y = torch.randint(50, (16,))
exact = (F.softmax(x.double(), dim=1) - F.one_hot(y, 50)) / 16
for name in backends.runnable(OPS["cross_entropy"]):
    with scratchnet.backend(name):
        loss = scratchnet.cross_entropy(x, y)
        (gradient,) = torch.autograd.grad(loss, x)
        bytes_kept = kept(scratchnet.cross_entropy, x, y)
    off = (gradient - exact).abs().max().item()
    print(f"{name:8} loss {loss:.5f}   gradient off by {off:.0e}   kept {bytes_kept:6,} bytes")
    check(f"{name}: the gradient is guess minus truth", off < 1e-6)
    if name != "reference":
        check(f"{name}: no probabilities are kept", bytes_kept < x.numel())

# %% [markdown]
# ## A classifier from one line
#
# **Softmax regression** is a linear layer with cross-entropy: linear regression for classes. Here
# are 200 points with four features, in three clouds. By hand we need softmax, guess minus truth,
# and the gradients of a linear layer (lesson 15): `g.T @ x` and the sum of g.

# %%
torch.manual_seed(0)
y = torch.arange(200) % 3
centres = 2 * torch.randn(3, 4)
x = centres[y] + torch.randn(200, 4)

W, b = torch.zeros(3, 4), torch.zeros(3)
for _ in range(100):
    g = (F.softmax(x @ W.T + b, dim=1) - F.one_hot(y, 3)) / len(x)
    W -= 0.5 * g.T @ x
    b -= 0.5 * g.sum(0)
logits = x @ W.T + b
accuracy = training.accuracy(logits, y)
print(f"by hand: loss {F.cross_entropy(logits, y):.4f}   accuracy {accuracy:.1%}")

model = nn.Linear(4, 3)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
optimizer = optim.SGD(model.parameters(), lr=0.5)
for _ in range(100):
    loss = training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
loss = F.cross_entropy(model(x), y)
print(f"with nn: loss {loss:.4f}   accuracy {training.accuracy(model(x), y):.1%}")

check("it learned: far above one third", accuracy > 0.9)
check("the library did the same steps", torch.allclose(model.weight, W, atol=1e-4))

# %% [markdown]
# ## What to keep
#
# - logits are scores; only differences count; confidence is not accuracy
# - the loss is the surprise, -log of the right class's probability; log C at the start
# - give the loss logits, never probabilities; stuck at 1.46 with ten classes: softmax twice
# - loss = logsumexp(x) - x_t, and its gradient is guess minus truth, over N
# - a fused loss keeps one number per row instead of C

# %% tags=["hide-input"]
check.done()
