# %% [markdown]
# # Lesson 09: Argmax turns scores into an answer
#
# Concepts: 26, 27. Builds on lessons 07 and 08.
#
# A network that tells digits apart does not say "seven". It gives ten scores, and something has to
# read an answer out of them, and then count how many answers are right. That is a few short lines,
# and still there are ways to fool yourself: a model that is broken can reach 100 %. In this lesson
# you build a classifier from nothing but a mean and a matrix product, and grade it in four ways.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("09")

# %%
import torch

import scratchnet
from scratchnet import data, training

# %% [markdown]
# ## Digits, and a mean digit
#
# There are 1,797 handwritten digits of 8 x 8 pixels; one in five is held out for grading. Take all
# training pictures of the same digit and average them: a reduction over the samples (lesson 08).
# Ten such means are all that our classifier will know.

# %%
(x_train, y_train), (x, y) = data.digits()  # x (N, 8, 8), y (N,)
means = torch.stack([x_train[y_train == c].mean(dim=0) for c in range(10)])  # (10, 8, 8)


def rows_of(picture):
    return ["".join(2 * " .:-=+*#%@"[int(9.99 * pixel)] for pixel in row) for row in picture]


print("the mean 0, 1 and 8, and a held-out digit\n")
for line in zip(*map(rows_of, (means[0], means[1], means[8], x[0])), strict=True):
    print("   ".join(line))

check("one mean picture for each digit", means.shape == (10, 8, 8))

# %% [markdown]
# A new picture belongs to the closest mean. With x and m as long rows of 64 pixels, the squared
# distance is
#
#     |x - m|^2  =  |x|^2  -  2 x . m  +  |m|^2
#
# We look for the smallest distance among ten means. `|x|^2` is the same for all ten, so it can go.
# What is left, times -1/2, is a score that is *large* when the picture is close:
#
#     score  =  x . m  -  |m|^2 / 2
#
# A dot product of each picture with each mean: one matrix product (lesson 07), and one number for
# each digit, broadcast (lesson 06). Scores like these, which may be any numbers, are called
# **logits**.

# %%
pixels, centres = x.flatten(1), means.flatten(1)  # (N, 64), (10, 64)
logits = scratchnet.matmul(pixels, centres.T) - centres.square().sum(dim=1) / 2  # (N, 10)
print("logits", tuple(logits.shape))
print("picture 0:", [f"{score:.1f}" for score in logits[0].tolist()])

differences = pixels[:, None] - centres  # (N, 1, 64) - (10, 64): (N, 10, 64)
distances = differences.square().sum(dim=2)
nearest = distances.argmin(dim=1)
check("the largest score is the smallest distance", torch.equal(logits.argmax(dim=1), nearest))

# %% [markdown]
# ## argmax: where, not how much
#
# `max` says how large the largest entry is, **argmax** says where it is. With `dim=1` it makes the
# axis of classes disappear and leaves one answer for each picture. With `dim=0` it answers a
# question nobody asked: which picture looks most like a zero, most like a one, and so on.

# %%
predicted = logits.argmax(dim=1)
print("predicted:", predicted[:10].tolist())
print("right:    ", y[:10].tolist())

check("one answer for each picture", predicted.shape == y.shape)
check("an answer is a whole number, an index", predicted.dtype == torch.int64)
check("dim=0 finds a picture for each class", logits.argmax(dim=0).shape == (10,))

# %% [markdown]
# ## Accuracy
#
# **Accuracy** is the share of right answers: compare, and take the mean of the mask (lesson 08: it
# wants floats). Always put a second number beside it: the accuracy of a model that does not look at
# the picture. With ten digits, someone who always says "3" is right about one time in ten. With 99
# healthy patients in 100, someone who always says "healthy" reaches 99 %.

# %%
accuracy = (predicted == y).float().mean().item()
always_three = (y == 3).float().mean().item()
print(f"nearest mean {accuracy:.1%}, always 3 {always_three:.1%}")

check("nine of ten are right, without any training", 0.85 < accuracy < 0.95)
check("it is far better than not looking", accuracy > 5 * always_three)
check("the library counts the same", abs(training.accuracy(logits, y) - accuracy) < 1e-6)

# %% [markdown]
# ## Probabilities do not change the answer
#
# Later, logits will be turned into probabilities by **softmax**: `exp` of every score, then each
# row divided by its sum. (Lesson 10 does it safely.) `exp` is increasing: what was larger stays
# larger. Dividing a row by one positive number changes no order either. So the largest logit
# becomes the largest probability, and if you only want the answer you need no softmax.

# %%
probabilities = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
print("picture 0:", [f"{p:.2f}" for p in probabilities[0].tolist()])

check("every row adds up to 1", torch.allclose(probabilities.sum(dim=1), torch.ones(len(y))))
check("the answers stay the same", torch.equal(probabilities.argmax(dim=1), predicted))
check("even for the logits times 2 plus 1", torch.equal((2 * logits + 1).argmax(1), predicted))

# %% [markdown]
# Why then do we not train networks for high accuracy? Ask as in lesson 04: if you nudge the logits
# a little, how far does the accuracy move? Not at all. It is a staircase, flat nearly everywhere,
# and on a flat floor nothing tells you which way is up. Training needs a smooth loss (lesson 19).
# Accuracy is for people.

# %%
torch.manual_seed(0)
nudged = logits + 1e-6 * torch.randn_like(logits)
check("a nudge moves every logit", (nudged != logits).any(dim=1).all())
check("and not a single answer", torch.equal(nudged.argmax(dim=1), predicted))

# %% [markdown]
# ## Top-k: the right answer among the best few
#
# Some pictures are hard even for people. Is the right digit at least the second or third guess?
# `topk(k)` gives the k largest entries of each row and their places, the largest first. Compare the
# places, (N, k), with the labels stood upright, (N, 1), and ask for any yes in the row.

# %%
guesses = logits.topk(3, dim=1)
print("picture 0: scores", [f"{score:.1f}" for score in guesses.values[0].tolist()])
print("           digits", guesses.indices[0].tolist(), " right:", y[0].item())

top = {}
for k in (1, 2, 3, 5, 10):
    hit = (logits.topk(k, dim=1).indices == y[:, None]).any(dim=1)  # (N, k), then (N,)
    top[k] = hit.float().mean().item()
    print(f"top-{k:<3}{top[k]:.1%}")

check("top-1 is the accuracy", top[1] == accuracy)
check("a longer list never hurts", top[1] <= top[2] <= top[3] <= top[5] <= top[10])
check("among all ten there is always the right one", top[10] == 1)

# %% [markdown]
# ## Ties
#
# Who wins if two scores are equally large? NumPy promises: the first. torch promises nothing, and
# the place may differ between the processor and a graphics card. `topk` on ten equal numbers may
# even look like dice.

# %%
tied = torch.tensor([1.0, 3.0, 3.0, 2.0])
print("argmax:", tied.argmax().item(), "  NumPy's:", tied.numpy().argmax())
print("topk(3) of ten zeros:", torch.zeros(10).topk(3).indices.tolist())

check("argmax picks one of the tied", tied.argmax().item() in (1, 2))
check("NumPy picks the first", tied.numpy().argmax() == 1)
check("a mask finds all of them", (tied == tied.max()).nonzero().flatten().tolist() == [1, 2])

# %% [markdown]
# Ties sound rare. But a network that has died gives the same score to every class, and then
# *everything* is tied. How a top-k accuracy treats ties decides whether you notice. For every
# picture, count the classes that do better than the right one. There are two ways to say "better":
#
#     generous   larger:              a hit if fewer than k scores are larger
#     strict     at least as large:   a hit if at most k scores are at least as large (its own is one)


# %%
def generous(logits, own, k):
    return ((logits > own).sum(dim=1) < k).float().mean().item()


def strict(logits, own, k):
    return ((logits >= own).sum(dim=1) <= k).float().mean().item()


top_3 = {}
for model, scores in (("nearest mean", logits), ("dead", torch.zeros_like(logits))):
    own = scores.gather(1, y[:, None])  # (N, 1): the score of the right class (lesson 03)
    top_3[model] = generous(scores, own, 3), strict(scores, own, 3)
    print(f"{model:14}generous {top_3[model][0]:.1%}, strict {top_3[model][1]:.1%}")

check("without ties both are topk", top_3["nearest mean"] == (top[3], top[3]))
check("the generous rule gives a dead model 100 %", top_3["dead"][0] == 1)
check("the strict rule gives it nothing", top_3["dead"][1] == 0)

# %% [markdown]
# The worst broken score is NaN. It is not larger than anything, and yet argmax reports it as the
# largest, so that it is not overlooked. But the *answer* is then a class like any other, and the
# accuracy of a network full of NaN looks like that of a bad network. When an accuracy is near pure
# chance, look for NaN first.

# %%
broken = torch.tensor([[1.0, torch.nan, 5.0]])
print("argmax of", broken.tolist(), "is", broken.argmax(dim=1).item())

check("argmax goes to the NaN", broken.argmax(dim=1) == 1)
check("`isnan().any()` is the question to ask", broken.isnan().any())
check("our logits are healthy", not logits.isnan().any())

# %% [markdown]
# ## Which ones are mixed up?
#
# One number hides which digit is taken for which. The **confusion matrix** shows it: row = the
# right digit, column = the answer, entry = how often. Many pictures fall into the same cell and
# must be *added* there. That is the scatter-add of lesson 04, and the same trap waits.

# %%
confusion = torch.zeros(10, 10, dtype=torch.int64)
confusion.index_put_((y, predicted), torch.ones_like(y), accumulate=True)
print("right\\answer" + "".join(f"{digit:4}" for digit in range(10)))
for digit, row in enumerate(confusion.tolist()):
    print(f"{digit:12}" + "".join(f"{count or '.':>4}" for count in row))

mixed = confusion.clone().fill_diagonal_(0)  # only the mistakes
worst = mixed.argmax().item()  # without dim: a place in the flattened matrix
print(f"most often: a {worst // 10} is taken for a {worst % 10}, {mixed.max()} times")

right = confusion.diagonal().sum().item()
check("every picture is counted once", confusion.sum() == len(y))
check("right answers are on the diagonal", abs(right / len(y) - accuracy) < 1e-6)
check("argmax without dim counts through rows", mixed[worst // 10, worst % 10] == mixed.max())

# %% [markdown]
# ## What to keep
#
# - `argmax(dim=1)` makes the classes disappear and leaves the answer
# - accuracy is the mean of a mask; compare it with that of a model that does not look
# - softmax changes no answer, and accuracy gives no gradient
# - top-k: is the right answer among the k best? Count ties against the model
# - NaN wins every argmax; a confusion matrix says what is mixed up

# %% tags=["hide-input"]
check.done()
