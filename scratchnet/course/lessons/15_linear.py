# %% [markdown]
# # Lesson 15: A linear layer asks every sample the same weighted questions
#
# Concepts: 40, 41, 42, 43. Builds on lessons 07 and 14.
#
# Nearly all the numbers of a network sit in linear layers, and nearly all its time is spent there.
# A linear layer is a matrix product and a sum, nothing more. So it pays to know it inside out: what
# one weight does, why the matrix is stored the way it is, what the bias is for, and how the three
# gradients come out of one line of algebra. At the end you can write the layer, forward and
# backward, and propagate through two of them by hand.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("15")

# %%
import numpy as np
import torch

import scratchnet
import scratchnet.nn.functional as F
import scratchnet.numpy
from scratchnet import backends, nn
from scratchnet.ops import OPS

# %% [markdown]
# ## One row of weights, one question
#
# A sample is a row of features. An output of the layer multiplies each feature by a weight and adds
# everything up. So a row of weights is a *question* put to the sample, and the output is the
# answer. Here is one sample and six questions; work out each answer in your head before you look.

# %%
x = torch.tensor([2.0, 4.0, 9.0])
questions = {
    "select the second": [0.0, 1.0, 0.0],
    "average": [1 / 3, 1 / 3, 1 / 3],
    "compare third and first": [-1.0, 0.0, 1.0],
    "excited by all": [1.0, 1.0, 1.0],
    "excited by first, inhibited by third": [1.0, 0.0, -1.0],
    "the same, louder": [10.0, 0.0, -10.0],
}
weight = torch.tensor(list(questions.values()))  # (6, 3): one row per question
answers = weight @ x
for name, row, answer in zip(questions, weight.tolist(), answers.tolist(), strict=True):
    print(f"{name:38} {str([round(w, 2) for w in row]):20} {answer:6.1f}")

check("a 1 among zeros selects", answers[0] == x[1])
check("equal weights that sum to 1 average", torch.isclose(answers[1], x.mean()))
check("opposite signs compare", answers[2] == x[2] - x[0])
check("ten times the weight, ten times the answer", answers[5] == 10 * answers[4])

# %% [markdown]
# A positive weight **excites**: more of this feature, more output. A negative one **inhibits**. A
# weight near 0 ignores it. The magnitude says how much a feature counts, *compared with the size of
# the feature*: a weight of 0.001 on a salary may matter more than a weight of 1 on a number of
# children. Nobody writes these rows by hand; training finds the questions.
#
# ## The layer
#
# All the questions together are a matrix, one row for each output: weight (out, in). A batch of
# samples is a matrix too, one row for each sample: x (B, in). Every sample meets every question in
# one product, and then each output gets a number of its own, the **bias**:
#
#     y  =  x  @  weight.T  +  bias
#
#     (B, out) = (B, in) @ (in, out) + (out,)
#
# The weight is stored as (out, in), so that a row is a question, and transposed for the product,
# which costs nothing (lesson 05).

# %%
torch.manual_seed(0)
layer = nn.Linear(3, 2)
batch = torch.randn(4, 3)
by_hand = batch @ layer.weight.T + layer.bias
for name, value in (("weight", layer.weight), ("bias", layer.bias), ("y", by_hand)):
    print(f"{name:6} {tuple(value.shape)}")

check("the layer is the product and the sum", torch.allclose(layer(batch), by_hand))

# %% [markdown]
# Only the last axis matters to the layer: it must have `in` entries. Everything in front is batch,
# however many axes there are. A sentence goes in, word by word, without a loop. A wrong last axis
# is the most common error of all, and here is how to read it: the first shape is your data, the
# second the transposed weight, and the two numbers in the middle should have been equal.

# %%
words = torch.randn(2, 5, 3)  # (B, S, in)
print("(2, 5, 3) ->", tuple(layer(words).shape))
try:
    layer(torch.randn(4, 5))
except RuntimeError as error:
    print(error)
    check("the error says which sizes do not meet", "4x5 and 3x2" in str(error))

check("any leading axes", layer(words).shape == (2, 5, 2))
check("each word is treated alone", layer(words)[1, 3].allclose(layer(words[1, 3])))

# %% [markdown]
# Books do not agree on the layout. All three say the same thing; know which one you are reading.
#
# | who | data | weight | formula |
# |---|---|---|---|
# | torch, and scratchnet.nn | (m, in), a row is a sample | (out, in) | X W^T + b |
# | many textbooks | (m, in) | (in, out) | X W + b |
# | older courses; our NumPy `Dense` | (in, m), a *column* is a sample | (out, in) | W X + b |

# %%
dense = scratchnet.numpy.Dense(3, 2, "linear")
dense.W = layer.weight.detach().double().numpy()  # (out, in)
dense.b = layer.bias.detach().double().numpy()[:, None]  # (out, 1)
columns = dense.forward(batch.double().numpy().T)  # (out, m)
print("Dense:", columns.shape, " nn.Linear:", tuple(layer(batch).shape))

check("Dense on columns is Linear on rows", np.allclose(columns.T, by_hand.detach(), atol=1e-6))

# %% [markdown]
# ## What the bias is for
#
# Without a bias, the input 0 gives the output 0, whatever the weights: every line goes through the
# origin. The bias is the **intercept**, the answer before any feature has spoken. Here are four
# points on y = 2 x + 5, and the best line for them, once with and once without an intercept
# (`lstsq` finds the best weights; lesson 16 explains it).

# %%
x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
y = 2 * x + 5
without = torch.linalg.lstsq(x, y).solution
with_ones = torch.linalg.lstsq(torch.cat([x, torch.ones(4, 1)], dim=1), y).solution
print(f"without a bias: slope {without.item():.2f}")
slope, intercept = with_ones.flatten().tolist()
print(f"with a bias:    slope {slope:.2f}, intercept {intercept:.2f}")

check("without an intercept the slope is bent to make up for it", without.item() > 3)
check("with one, the line is found", abs(slope - 2) < 1e-4 and abs(intercept - 5) < 1e-4)

# %% [markdown]
# (A column of ones whose weight is the intercept: that is all a bias is.)
#
# **When to drop it.** Some layers subtract from every feature its mean over the samples; batch norm
# is the best known. A number that was added to all samples vanishes again there. In front of such a
# layer, `bias=False` saves parameters and loses nothing.
#
# **Unequal classes.** A classifier that has seen nothing yet should answer with what is common. If
# 90 of 100 mails are not spam, the best blind guess is 90 % to 10 %. Put the logarithm of the
# frequencies into the bias of the last layer: softmax turns it back into them (lesson 10), and
# training need not spend its first steps finding that out.

# %%
head = nn.Linear(3, 2)
frequencies = torch.tensor([0.9, 0.1])
nn.init.zeros_(head.weight)
with torch.no_grad():
    head.bias.copy_(frequencies.log())
blind = F.softmax(head(batch), dim=-1)
print("a blind guess:", [f"{p:.2f}" for p in blind[0].tolist()])

z = torch.randn(8, 2)
biased = z + torch.tensor([3.0, -1.0])
centred = biased - biased.mean(0)
check("log frequencies become frequencies", blind.allclose(frequencies.expand(4, 2)))
check("subtracting the mean takes a bias out again", centred.allclose(z - z.mean(0), atol=1e-6))

# %% [markdown]
# ## Backward
#
# Let `g` be the gradient of `y`: how fast the loss grows with each output, (B, out). Write out one
# entry of the forward pass and look where each number goes:
#
#     y[n, o] = sum over i of  x[n, i] * weight[o, i]   + bias[o]
#
# - `bias[o]` went, with factor 1, into y[n, o] of every sample n, and
#   what is copied forward is added backward: `db[o] = sum over n of g[n, o]`
# - `weight[o, i]` met x[n, i] in every sample:
#   `dW[o, i] = sum over n of g[n, o] * x[n, i]`
# - `x[n, i]` met weight[o, i] in every output:
#   `dx[n, i] = sum over o of g[n, o] * weight[o, i]`
#
# Sums of products are matrix products:
#
#     dx = g @ weight        (B, out) @ (out, in)  = (B, in)
#     dW = g.T @ x           (out, B) @ (B, in)    = (out, in)
#     db = g.sum(0)                                  (out,)
#
# You need not remember where the transpose goes. A gradient has the shape of the thing itself, and
# if the sizes differ, only one order of the two matrices gives it.

# %%
batch.requires_grad_()
g = torch.randn(4, 2)
autograd = torch.autograd.grad(layer(batch), [batch, layer.weight, layer.bias], g)
by_hand = g @ layer.weight, g.T @ batch, g.sum(0)
for name, gradient in zip(("dx", "dW", "db"), by_hand, strict=True):
    print(name, tuple(gradient.shape))

for name, mine, theirs in zip(("dx", "dW", "db"), by_hand, autograd, strict=True):
    check(f"{name} by hand is what autograd finds", torch.allclose(mine, theirs, atol=1e-6))

# %% [markdown]
# ## Two layers by hand
#
# A network is a row of layers, and its backward is their backwards in reverse: the `dx` of a layer
# is the `g` of the layer below. Here is all of it in NumPy, for two linear layers with a ReLU
# between them (negative numbers become 0, and so do the gradients in those places). The loss is
# half the sum of the squared outputs, because its gradient is the output itself.

# %%
rng = np.random.default_rng(0)
X = rng.normal(size=(5, 3))  # five samples
W1, b1 = rng.normal(size=(4, 3)), rng.normal(size=4)
W2, b2 = rng.normal(size=(2, 4)), rng.normal(size=2)

z = X @ W1.T + b1  # (5, 4)
h = np.maximum(z, 0)
y = h @ W2.T + b2  # (5, 2)

g = y  # of half the sum of squares
dW2, db2 = g.T @ h, g.sum(0)
g = g @ W2  # down through the second layer, (5, 4)
g = g * (z > 0)  # through the ReLU
dW1, db1 = g.T @ X, g.sum(0)

tensors = [torch.tensor(value, requires_grad=True) for value in (W1, b1, W2, b2)]
h = F.relu(F.linear(torch.tensor(X), tensors[0], tensors[1]))
(F.linear(h, tensors[2], tensors[3]).square().sum() / 2).backward()
by_hand = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
for (name, mine), tensor in zip(by_hand.items(), tensors, strict=True):
    difference = np.abs(mine - tensor.grad.numpy()).max()
    print(f"{name}: largest difference from autograd {difference:.0e}")
    check(f"{name} is right", difference < 1e-12)

# %% [markdown]
# There is one trap, the order. If you update `W2` *before* you send the gradient down through it,
# the lower layer gets the gradient of a network that never ran. First all gradients, then the
# update. The exercise shows what that does.
#
# ## The layer on every machine
#
# In a network the product is often followed by a bend such as GELU (lesson 21). In three separate
# steps, all the outputs go to memory and come back twice, for the bias and for the GELU. A
# **fused** kernel, such as the fast ones in C++ and Triton, does all three at once, while a piece
# of the product is still in the registers of the processor. In scratchnet this is one call,
# `linear(x, weight, bias, activation="gelu")`. Every backend that runs here must give the same:

# %%
torch.manual_seed(0)
x, weight, bias = torch.randn(33, 40), torch.randn(24, 40) / 40**0.5, torch.randn(24)
in_steps = F.gelu(x.double() @ weight.double().T + bias.double())
for name in backends.runnable(OPS["linear"]):
    with scratchnet.backend(name):
        fused = scratchnet.linear(x, weight, bias, activation="gelu")
    difference = (fused - in_steps).abs().max().item()
    print(f"{name:8} difference from the three steps in float64: {difference:.0e}")
    check(f"{name}: product, bias and GELU in one call", difference < 1e-5)

# %% [markdown]
# ## What to keep
#
# - y = x @ weight.T + bias; weight (out, in): a row is a question; any leading axes
# - weights select, average, excite, inhibit; their size counts relative to the feature's
# - the bias is the answer to an input of 0: intercept, class frequencies; useless before a batch
#   norm
# - dx = g @ W, dW = g.T @ x, db = g.sum(0): each has the shape of the thing itself
# - backward runs through the layers in reverse, with the weights that the forward pass used

# %% tags=["hide-input"]
check.done()
