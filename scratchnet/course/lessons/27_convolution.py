# %% [markdown]
# # Lesson 27: A convolution looks everywhere with the same small window
#
# Concepts: 15, 83. Builds on lessons 04, 15 and 26.
#
# The network of lesson 26 reads digits well, as long as they sit where it learned them. Move one by
# two pixels, and you see the same digit, while the network sees 64 new numbers. This lesson builds
# the layer that cures this. You will compute it by hand, find that it is made of two primitives you
# know, gather and matmul, derive its backward from theirs, and see it beat the network of lesson 26
# on digits that are not in the middle.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("27")

# %%
import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, data, nn, optim, training
from scratchnet.ops import OPS

# %% [markdown]
# ## What a shift does to an MLP
#
# Here the digits of lesson 26 are placed on a dark square of 12 x 12 pixels. The first network
# learns them in the middle. Then it is asked twice: about new digits in the middle, and about the
# same digits moved by up to two pixels in each direction.
#
# Pictures have four axes: (N, C, H, W), number, channels, height, width. A **channel** is one
# number for each pixel: a grey picture has 1, a coloured one 3 (red, green, blue).

# %%


def on_canvas(pictures, most, seed=0):
    """(N, 8, 8) -> (N, 1, 12, 12): each picture at most `most` <= 2 pixels from the middle."""
    torch.manual_seed(seed)
    places = torch.randint(2 - most, 3 + most, (len(pictures), 2))
    canvas = torch.zeros(len(pictures), 1, 12, 12)
    for picture, square, (row, column) in zip(pictures, canvas, places.tolist(), strict=True):
        square[0, row : row + 8, column : column + 8] = picture
    return canvas


def learn(model, x, y, epochs=8):
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    batches = training.Batches(x, y, batch_size=32, seed=0)
    for _ in range(epochs):
        for batch in batches:
            training.train_step(model, F.cross_entropy, optimizer, *batch)
    return model


def right(model, x):
    return training.accuracy(training.predict(model, (x, test.y))[0], test.y)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(144, 128), nn.ReLU(), nn.Linear(128, 10))


train, test = data.digits()
middle, moved = on_canvas(test.x, most=0), on_canvas(test.x, most=2)
model = learn(mlp(), on_canvas(train.x, most=0), train.y)
print(f"in the middle {right(model, middle):.1%} right, moved {right(model, moved):.1%}")

check("in the middle the MLP reads well", right(model, middle) > 0.9)
check("moved, it reads fewer than half", right(model, moved) < 0.5)

# %% [markdown]
# No wonder: each pixel has weights of its own. What was learned about a stroke in one place says
# nothing about the same stroke next to it.
#
# ## One small window
#
# So take a *small* table of weights, a **filter**, say 3 x 3. Lay it on a corner of the picture,
# multiply each weight by the pixel under it, add up: a dot product, one number. Move it by one
# pixel, do it again, with the *same* weights. The numbers, laid out as they were found, are the
# result. That is a **convolution**.
#
# This filter asks: "is it brighter on the right than on the left?" The picture is dark up to column
# 2 and bright from column 3 on.

# %%
picture = torch.zeros(5, 6)
picture[:, 3:] = 1.0
edge = torch.tensor([[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]])

found = torch.zeros(3, 4)  # 3 places from top to bottom, 4 from left to right
for i in range(3):
    for j in range(4):
        found[i, j] = (picture[i : i + 3, j : j + 3] * edge).sum()
print(found)

x, W = picture[None, None], edge[None, None]  # (N, C, H, W) and (F, C, kh, kw)
y = F.conv2d(x, W)
check("the window responds only where the edge is", found[0].tolist() == [0, 3, 3, 0])
check("conv2d walks the same way", torch.equal(y[0, 0], found))

# %% [markdown]
# Now move the picture by one pixel: the answer moves by one pixel, and is otherwise the same. The
# layer need not learn the edge again at each place. And it has 9 weights, however large the
# picture.
#
# (Mathematicians call "convolution" what you get with the filter turned by 180 degrees. Because the
# weights are learned, nobody turns them in deep learning. But remember it when you copy a formula.)

# %%
shifted = picture.roll(-1, dims=1)
shifted[:, -1] = 1.0  # repair what wrapped around the edge
z = F.conv2d(shifted[None, None], W)
print(z[0, 0])
check("a moved picture gives a moved answer", torch.equal(z[..., :-1], y[..., 1:]))

# %% [markdown]
# ## Channels, padding, stride
#
# One filter asks one question. A layer has F of them and produces F pictures: F output channels.
# If the input has C channels, each filter is C tables, one per channel, and their dot products are
# added. So the weight has the shape (F, C, kh, kw), and there is one bias for each filter.
#
# At the edge a window of k fits n - k + 1 times, so the picture shrinks. **Padding** lays a frame
# of p zeros around it first; with k = 3 and p = 1 the size stays. A **stride** of s moves the
# window by s pixels at a time. Along each axis:
#
#     out = (n + 2 p - k) // s + 1
#
# `//` rounds down: a window that does not fit is left out.

# %%
images = torch.randn(2, 3, 8, 8)  # two coloured pictures
sizes = {}
for options in ({}, {"padding": 1}, {"stride": 2}, {"padding": 1, "stride": 2}):
    layer = nn.Conv2d(3, 16, kernel_size=3, **options)
    k, p, s = 3, options.get("padding", 0), options.get("stride", 1)
    sizes[p, s] = layer(images).shape[-1]
    print(f"padding {p}, stride {s}: {tuple(layer(images).shape)}")
    check(f"padding {p}, stride {s}: the formula", sizes[p, s] == (8 + 2 * p - k) // s + 1)

count = sum(parameter.numel() for parameter in layer.parameters())
print(f"{tuple(layer.weight.shape)} and a bias for each filter: {count} numbers")
check("16 filters of 3 x 3 x 3, and 16 biases", count == 16 * 27 + 16)

# %% [markdown]
# Two mistakes come up all the time. Pictures from files and from NumPy have their channels *last*,
# (N, H, W, C), and must be permuted (lesson 05). And after some layers the picture may be smaller
# than the window.

# %%
messages = []
for wrong in (images.permute(0, 2, 3, 1), torch.randn(2, 3, 2, 2)):
    try:
        F.conv2d(wrong, layer.weight)
    except RuntimeError as error:
        messages.append(str(error))
        print(f"- {error}\n")

check("channels last: expected 3 channels, got 8", "to have 3 channels" in messages[0])
check("a window larger than the picture", "Kernel size can't be greater" in messages[1])

# %% [markdown]
# ## It is a gather and a matrix product
#
# Write the pixels of a 3 x 4 picture in a row, 0 to 11, as they lie in memory. A 2 x 2 window fits
# 2 * 3 = 6 times. Below, each *column* is one window: the places of its four pixels. This table
# depends only on the sizes. Collecting the pixels is a gather, and it has a name: **im2col**, image
# to columns.

# %%
places = torch.arange(12).reshape(3, 4)
windows = places.unfold(0, 2, 1).unfold(1, 2, 1)  # a view (2, 3, 2, 2): every 2 x 2 window
table = windows.reshape(6, 4).T.contiguous()  # (kh * kw, out_h * out_w)
print(table)

torch.manual_seed(0)
x = torch.randn(1, 1, 3, 4, requires_grad=True)
W = torch.randn(5, 1, 2, 2, requires_grad=True)  # 5 filters
columns = scratchnet.gather(x.flatten(), 0, table.flatten()).reshape(4, 6)
y = (W.reshape(5, 4) @ columns).reshape(1, 5, 2, 3)

check("the first window holds the pixels 0, 1, 4, 5", table[:, 0].tolist() == [0, 1, 4, 5])
check("gather and matmul make a convolution", torch.allclose(y, F.conv2d(x, W), atol=1e-6))

# %% [markdown]
# Pixel 5 occurs four times in the table: four windows cover it. With 3 x 3 windows the columns hold
# nine times the picture. That is the price of im2col; it buys the fastest operation there is.
# scratchnet's fast C++ kernel computes the product without the copies, from shifted views of the
# picture; you will write that in the exercise. The NumPy version does it as you just did, and they
# agree:

# %%
kept = {}
for name in backends.runnable(OPS["conv2d"]):
    with scratchnet.backend(name):
        kept[name] = F.conv2d(images, layer.weight, layer.bias, padding=1)
for name, result in kept.items():
    print(f"{name:8} difference from NumPy {(result - kept['numpy']).abs().max():.0e}")
check("all backends agree", all((r - kept["numpy"]).abs().max() < 1e-5 for r in kept.values()))

# %% [markdown]
# ## The way back
#
# There is nothing new to derive. The backward of a product is two products (lesson 07), that of a
# gather is scatter-add (lesson 04). With G the gradient of the result, one row for each filter:
#
#     dW       = G @ columns.T
#     dcolumns = W.T @ G          then each entry goes home, and what meets is added
#
# Sending the columns home is called **col2im**. A pixel covered by four windows gets four
# gradients. And a filter that looked at every place learns from every place: dW is a *sum* over all
# windows.

# %%
g = torch.randn(1, 5, 2, 3)
G = g.reshape(5, 6)
with torch.no_grad():
    dW = (G @ columns.T).reshape(W.shape)
    dcolumns = W.reshape(5, 4).T @ G
    dx = torch.zeros(12).index_add_(0, table.flatten(), dcolumns.flatten()).reshape(x.shape)

for name in backends.runnable(OPS["conv2d"]):
    with scratchnet.backend(name):
        theirs = torch.autograd.grad(F.conv2d(x, W), (x, W), g)
    same = all(torch.allclose(a, b, atol=1e-5) for a, b in zip(theirs, (dx, dW), strict=True))
    check(f"{name}: dx is scatter-add, dW is a product", same)

covered = torch.bincount(table.flatten(), minlength=12).reshape(3, 4)
print("how many windows cover each pixel:", covered.tolist())
check("corners are seen once, the inside four times", covered[0, 0] == 1 and covered[1, 1] == 4)

# %% [markdown]
# ## Pooling: it does not matter exactly where
#
# A convolution moves its answer when the picture moves. Often you want an answer that does *not*
# move: is there an edge, wherever it is? **Max pooling** keeps the largest number of each window,
# usually of 2 x 2 with stride 2. The picture is half as high and half as wide, and a small shift is
# often swallowed. It has no weights. Its backward sends each gradient to the pixel that won; the
# others did not matter.

# %%
x = torch.tensor([[[[1.0, 2.0, 0.0, 5.0], [4.0, 3.0, 6.0, 1.0]]]], requires_grad=True)
y = F.max_pool2d(x, 2)
(dx,) = torch.autograd.grad(y, x, torch.tensor([[[[10.0, 20.0]]]]))
print("kept:", y.flatten().tolist(), "  gradient:", dx.squeeze().tolist())

check("the largest of each window", y.flatten().tolist() == [4, 6])
check("only the winner gets a gradient", dx.flatten().tolist() == [0, 0, 0, 0, 10, 0, 20, 0])
check("average pooling keeps the mean", F.avg_pool2d(x, 2).flatten().tolist() == [2.5, 3])

# %% [markdown]
# ## A network, layer by layer
#
# Convolution, bend, pooling, and again; then a linear layer as in lesson 26. The second convolution
# sees the 16 answers of the first: not pixels but strokes. After the pooling, its 3 x 3 window
# covers 8 x 8 pixels of the picture. At the end, each of the 64 filters gives one number: how much
# it found of what it looks for, *anywhere*.
#
# How many inputs does the linear layer need? Do not guess. Send one picture through and print.


# %%
def cnn():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


x = moved[:1]
print(f"{'':12}{tuple(x.shape)}")
for layer in cnn():
    x = layer(x)
    print(f"{type(layer).__name__:12}{tuple(x.shape)}")

check("one number for each filter, then ten logits", x.shape == (1, 10))

# %% [markdown]
# When the number is wrong, it is the matrix product that complains, and it tells you the size that
# arrived:

# %%
model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Flatten(), nn.Linear(16 * 12 * 12, 10))
try:
    model(moved[:1])
except RuntimeError as error:
    message = str(error)
    print(message)

check("without padding 12 becomes 10: 1600 arrived", 16 * 10 * 10 == 1600 and "1600" in message)

# %% [markdown]
# ## Milestone: shifted digits
#
# A fair race. Both networks train on digits that are *moved*, and then read new, moved ones. The
# MLP has nearly twice as many numbers to learn with.

# %%
scattered = on_canvas(train.x, most=2, seed=1)
share = {}
for name, build in (("MLP", mlp), ("CNN", cnn)):
    model = learn(build(), scattered, train.y)
    share[name] = right(model, moved)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {count:6,} numbers, {share[name]:.1%} right")

check("the CNN reads more than 90 percent", share["CNN"] > 0.9)
fewer = 1 - share["CNN"] < (1 - share["MLP"]) / 2
check("it makes less than half as many mistakes as the MLP", fewer)

# %% [markdown]
# What made the difference was not size. It was something you *knew* and built in: a digit is the
# same digit wherever it is. Weights that are shared across all places say exactly that; the MLP
# would have to learn it from examples, place by place.
#
# For larger pictures there is more of the same. This is the network that the course trains on
# MNIST, 28 x 28 pixels; `scratchnet train mnist` runs it.

# %%
mnist = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
)  # fmt: skip
counts = [sum(p.numel() for p in layer.parameters()) for layer in mnist]
counts = [count for count in counts if count]
print(" + ".join(f"{count:,}" for count in counts), f"= {sum(counts):,}")
check("421,642 numbers, nearly all in the first linear layer", counts[2] == 401_536)

# %% [markdown]
# ## What to keep
#
# - one small filter, the same weights at every place; a moved picture gives a moved answer
# - (N, C, H, W); weight (F, C, kh, kw); out = (n + 2 p - k) // s + 1
# - im2col is a gather, then one matrix product; backward is two products and a scatter-add
# - max pooling keeps the largest and sends the gradient to the winner
# - print the shapes, layer by layer, before you write the linear layer

# %% tags=["hide-input"]
check.done()
