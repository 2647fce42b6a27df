# %% [markdown]
# # Lesson 20: Linear layers stay a line, however many; a bend between them changes everything
#
# Concepts: 52, 78. Builds on lessons 15, 17 and 19.
#
# Four points are enough to defeat every linear model there is. This lesson shows why, and
# introduces the smallest remedy: a bend between two layers. With it a network can follow any curve,
# and with several such layers it can do so with far fewer numbers. At the end you will have solved
# XOR by hand and by training, seen a boundary wrap itself around two moons, and met the block that
# holds most of the numbers in a language model.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("20")

# %%
import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, data, nn, optim, training
from scratchnet.ops import OPS

# %% [markdown]
# ## Four points
#
# XOR, "one or the other, but not both", gives 1 when exactly one of two inputs is 1:
#
#     x2
#      1 |  1     0        (0, 1) -> 1      (1, 1) -> 0
#        |
#      0 |  0     1        (0, 0) -> 0      (1, 0) -> 1
#        +-----------
#           0     1   x1
#
# Try to draw one straight line with the ones on one side and the zeros on the other. You cannot,
# and here is the proof. A linear model gives each point the score `w1 x1 + w2 x2 + b`. Add the
# scores of the two ones, (0, 1) and (1, 0): w1 + w2 + 2 b. Add those of the two zeros, (0, 0) and
# (1, 1): w1 + w2 + 2 b again. The ones should be positive, and so should their sum; the zeros
# should be negative. The same sum cannot be both.

# %%
points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
xor = torch.tensor([0, 1, 1, 0])
torch.manual_seed(0)
lines = torch.randn(10_000, 3)
scores = points @ lines[:, :2].T + lines[:, 2]  # (4, 10000)
right = ((scores > 0) == xor.bool()[:, None]).sum(0)
print("10,000 random lines; the best of them gets", right.max().item(), "of 4 points right")

ones, zeros = scores[1] + scores[2], scores[0] + scores[3]
check("ones and zeros have the same sum of scores", torch.allclose(ones, zeros, atol=1e-5))
check("no line gets all four", right.max() == 3)

# %% [markdown]
# Training does not even get three of the four. Whatever raises the score of one pair raises that of
# the other pair just as much, so the smallest loss is at "fifty-fifty" for all four: log 2 = 0.693.


# %%
def train(model, x, y, steps, lr=1.0):
    """The last loss of plain gradient descent on all samples at once."""
    optimizer = optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
    return loss.item()


line = nn.Linear(2, 2)
loss = train(line, points, xor, 200)
answers = F.softmax(line(points), dim=1)[:, 1]
print(f"linear: loss {loss:.3f}, probability of a 1:", [f"{p:.2f}" for p in answers.tolist()])

check("a linear model cannot learn XOR", abs(loss - 0.6931) < 1e-3)
check("it answers fifty-fifty", torch.allclose(answers, torch.full((4,), 0.5), atol=0.01))

# %% [markdown]
# ## More linear layers do not help
#
# The obvious idea is a second layer. But a linear function of a linear function is linear.
# Substitute one into the other:
#
#     W2 (W1 x + b1) + b2   =   (W2 W1) x  +  (W2 b1 + b2)
#
# Two layers, with all their numbers, are one layer in disguise. So are a hundred.

# %%
torch.manual_seed(0)
deep = nn.Sequential(nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 2))
first, second, third = deep
weight = third.weight @ second.weight @ first.weight
bias = third.weight @ (second.weight @ first.bias + second.bias) + third.bias
x = torch.randn(5, 2)
count = sum(p.numel() for p in deep.parameters())
print(f"{count:,} numbers in three layers do what {weight.numel() + bias.numel()} can do")

check("three linear layers are one", deep(x).allclose(F.linear(x, weight, bias), atol=1e-5))

# %% [markdown]
# ## One bend
#
# Something nonlinear must come between the layers: an **activation**, a function applied to each
# number on its own. The simplest is the **ReLU**: negative numbers become 0, the others stay. A
# line with one bend. (Lesson 21 compares it with others.)
#
# With two ReLU units XOR is solved by hand. The first counts the ones. The second is 1 only if both
# are there. Subtract the second twice:
#
#     h1 = relu(x1 + x2)          0, 1, 1, 2
#     h2 = relu(x1 + x2 - 1)      0, 0, 0, 1
#     y  = h1 - 2 h2              0, 1, 1, 0

# %%
h = F.relu(F.linear(points, torch.ones(2, 2), torch.tensor([0.0, -1.0])))  # (4, 2)
y = h @ torch.tensor([1.0, -2.0])
print("h:", h.tolist())
print("y:", y.tolist())

check("two bent units solve XOR", torch.equal(y, xor.float()))
check("in h a line can separate the points", h[1].equal(h[2]))

# %% [markdown]
# See what happened to the points: the hidden layer *moved* them. Both ones landed on the same
# place, and now a line can separate them from the zeros. That is what hidden layers do. They do not
# draw a crooked line; they bend the space until a straight one will do.
#
# And training finds such weights by itself, from random ones. A network of linear, bend, linear is
# called a **multi-layer perceptron** (MLP) or **feed-forward network** (FFN).

# %%
for seed in range(3):
    torch.manual_seed(seed)
    mlp = nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 2))
    loss = train(mlp, points, xor, 200)
    p = F.softmax(mlp(points), dim=1)[:, 1]
    print(f"seed {seed}: loss {loss:.4f}, p of a 1:", [f"{value:.3f}" for value in p.tolist()])
    check(f"seed {seed}: an MLP learns XOR", loss < 0.05 and torch.equal((p > 0.5).long(), xor))

# %% [markdown]
# ## Two moons
#
# Now with noise, and with held-out points: two half circles that reach into each other. We try no
# hidden layer, then one, then two. In each picture the dots are where the model says class 1.

# %%
train_data, test_data = data.moons()


def picture(model, width=64, height=14):
    """The plane from (-1.5, -1) to (2.5, 1.5): decisions, and held-out points as o and x."""
    across, up = torch.linspace(-1.5, 2.5, width), torch.linspace(1.5, -1.0, height)
    grid = torch.cartesian_prod(up, across).flip(1)  # (height * width, 2)
    cells = [" ·"[answer] for answer in model(grid).argmax(1).tolist()]
    for (x, y), label in zip(test_data.x.tolist(), test_data.y.tolist(), strict=True):
        row, column = round((1.5 - y) / 2.5 * (height - 1)), round((x + 1.5) / 4 * (width - 1))
        if 0 <= row < height and 0 <= column < width:
            cells[row * width + column] = "ox"[label]
    return "\n".join("".join(cells[row * width : (row + 1) * width]) for row in range(height))


accuracies = []
for hidden in ([], [16], [16, 16]):
    torch.manual_seed(0)
    model, size = nn.Sequential(), 2
    for width in hidden:
        model.extend([nn.Linear(size, width), nn.GELU()])
        size = width
    model.append(nn.Linear(size, 2))
    loss = train(model, *train_data, 300)
    accuracies.append(training.accuracy(model(test_data.x), test_data.y))
    print(f"\nhidden layers {hidden}: loss {loss:.4f}, held-out accuracy {accuracies[-1]:.1%}")
    print(picture(model))

check("a straight boundary cuts through both moons", accuracies[0] < 0.95)
check("with one hidden layer it goes around them", accuracies[1] > 0.96)
check("with two as well", accuracies[2] > 0.96)

# %% [markdown]
# ## Any curve
#
# How far does one hidden layer go? All the way, and for one input you can see why. Each ReLU unit
# `relu(x - k)` is flat up to `k` and rises beyond it. Add one for each **knot** k, times the change
# of slope that you want there, and you get any chain of straight pieces. Short pieces follow any
# smooth curve. No training here: the weights are written down.


# %%
def connect(f, knots):
    """A network with one hidden layer: equal to f at the knots and straight between them."""
    x = torch.linspace(0, 2 * torch.pi, knots + 1, dtype=torch.float64)
    slopes = f(x).diff() / x.diff()
    changes = torch.cat([slopes[:1], slopes.diff()])
    return lambda z: f(x[:1]) + F.relu(z[:, None] - x[:-1]) @ changes


z = torch.linspace(0, 2 * torch.pi, 2001, dtype=torch.float64)
errors = {}
for knots in (4, 16, 64, 256):
    errors[knots] = (connect(torch.sin, knots)(z) - torch.sin(z)).abs().max().item()
    print(f"{knots:3} hidden units: sin is off by at most {errors[knots]:.5f}")
outside = connect(torch.sin, 256)(torch.tensor([4 * torch.pi]).double()).item()
print(f"at 4 pi, outside the knots, where sin is 0: {outside:.2f}")

check("four times the units, about a sixteenth of the error", 10 < errors[16] / errors[64] < 20)
check("outside the data nothing is promised", abs(outside) > 5)

# %% [markdown]
# That is the **universal approximation theorem**: one hidden layer, wide enough, comes as close as
# you like to any continuous function on a bounded region. Note what it does not say. It does not
# say how wide; for many inputs that can be hopelessly wide. It does not say that training finds the
# weights. And outside the region it says nothing at all.
#
# ## Why depth
#
# If one hidden layer can do everything, why more? Because layers *multiply*. This little network
# has two ReLU units and folds the line from 0 to 1 in the middle, like a sheet of paper: up to 1
# and down again.
#
#     tent(x) = relu(2 x) - relu(4 x - 2)
#
# Apply it to its own result, and the fold is folded. Each layer adds two units and doubles the
# number of straight pieces. With one hidden layer each unit adds at most *one* piece.


# %%
def pieces(y):
    """How many straight pieces the curve has, counted by the changes of its slope."""
    slopes = y.diff()
    return 1 + ((slopes[1:] - slopes[:-1]).abs() > 1e-9).sum().item()


x = torch.linspace(0, 1, 2**12 + 1, dtype=torch.float64)
y, found = x, []
for depth in range(1, 9):
    y = F.relu(2 * y) - F.relu(4 * y - 2)
    found.append(pieces(y))
    in_one = found[-1] - 1
    print(f"{depth} folds: {2 * depth:2} units, {found[-1]:3} pieces; in one layer {in_one:3}")

check("every layer doubles the pieces", found == [2**depth for depth in range(1, 9)])
check("16 units in 8 layers do the work of 255 in one", found[-1] - 1 == 255)

# %% [markdown]
# Real functions are not tents, but many are made of parts: edges make shapes, shapes make faces;
# letters make words. A deep network can use a part again and again, where a shallow one must write
# out each case.
#
# The price: gradients have to come back through all layers, and may fade or explode on the way
# (lesson 14 started them at a good size; lessons 21 and 23 do the rest).
#
# ## The block in every language model
#
# A transformer has an FFN in each of its layers: a Linear that makes each word's vector four times
# as wide, a GELU, and a Linear back. It is applied to each word *alone*; the words talk to each
# other elsewhere, in attention (lesson 28). It consists of just two of the primitives, matmul
# and GELU, and in scratchnet the first product and the GELU are one kernel (lesson 15).

# %%
torch.manual_seed(0)
ffn = nn.FeedForward(24)
print(ffn)
words = torch.randn(2, 5, 24)  # (B, S, D)
up, down = ffn.up, ffn.down
by_hand = F.linear(F.gelu(F.linear(words, up.weight, up.bias)), down.weight, down.bias)
with torch.no_grad():
    for name in backends.runnable(OPS["linear"]):
        with scratchnet.backend(name):
            difference = (ffn(words) - by_hand).abs().max().item()
        print(f"{name:8} difference from linear, GELU, linear: {difference:.0e}")
        check(f"{name}: the block is linear, bend, linear", difference < 1e-5)

check("each word goes through alone", ffn(words)[1, 3].allclose(ffn(words[1, 3]), atol=1e-6))
numbers = sum(p.numel() for p in ffn.parameters())
check("8 D^2 + 5 D numbers", numbers == 8 * 24**2 + 5 * 24)

# %% [markdown]
# (The dropout in the middle, with p = 0, does nothing; lesson 24.) For a width of D = 4096 that is
# 134 million numbers in one block, and a model of that width has some 32 of them.
#
# ## What to keep
#
# - no line separates XOR; linear layers in a row are one linear layer
# - a bend between them moves the points until a line will do
# - one wide hidden layer can follow any curve, on a bounded region, somehow
# - depth folds: pieces double with each layer, while width only adds them
# - FFN: D -> 4 D -> D, linear, GELU, linear, each word alone

# %% tags=["hide-input"]
check.done()
