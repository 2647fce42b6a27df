# %% [markdown]
# # Lesson 26: Training is five steps inside two loops
#
# Concepts: 69, 71, 72, 73, 74, 75. Builds on lessons 09, 19, 24 and 25.
#
# You have all the parts: layers, a loss, gradients, an optimizer. This lesson puts them together
# into the loop that trains every network in this course, and most others in the world. It is short.
# What needs care is everything around it: which data may be seen when, in what order, with which
# learning rate, and how you know that the network has learned and not memorised. At the end your
# network reads more than 95 of 100 handwritten digits, after a few seconds of training.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("26")

# %%
import copy
import math
import warnings

import torch

import scratchnet.nn.functional as F
from scratchnet import data, nn, optim, training
from scratchnet.course import chart, picture
from scratchnet.optim import lr_scheduler

# %% [markdown]
# ## Three piles
#
# There are 1,797 small pictures of digits, 8 by 8 pixels from 0 to 1. Before anything else, they
# are divided:
#
# | pile | what for | who sees it |
# |---|---|---|
# | training | the gradients come from it | the network |
# | validation | to choose: learning rate, size, when to stop | you, all the time |
# | test | one honest number at the very end | nobody until then |
#
# Why three? Whatever you optimise on, you will do well on. The network is tuned to the training
# pile. You tune your choices to the validation pile. Only the test pile has no influence on
# anything, so only it tells the truth about new digits.
#
# Divide at *random*. Files are often sorted, by class or by writer; the last fifth of such a file
# is not like the rest.

# %%
train, test = data.digits()  # shuffled, then divided
train, validation = data.split(train.x, train.y, held_out=237)
for name, pile in (("training", train), ("validation", validation), ("test", test)):
    print(f"{name:10} {tuple(pile.x.shape)!s:13} each digit: {torch.bincount(pile.y).tolist()}")

ordered = train.y.sort().values
check("sorted by class, the last fifth would have no 0 and no 1", ordered[-240:].min() > 1)
known = {tuple(picture.flatten().tolist()) for picture in train.x}
leaked = sum(tuple(picture.flatten().tolist()) in known for picture in test.x)
check("no test picture is among the training pictures", leaked == 0)

# %% [markdown]
# A **leak** is any way in which the test pile gets a say. The obvious one, the same sample in two
# piles, was just ruled out. The sly ones: standardising with the mean of *all* data (lesson 08), or
# trying twenty learning rates and keeping the one with the best *test* result.
#
# ## Batches and epochs
#
# A gradient from all the data costs a pass over all of it, for a single step. A **mini-batch** of
# 32 samples gives a gradient that points roughly the same way for a fraction of the work, so take
# many rough steps instead of a few exact ones. One pass over all training data, batch by batch, is
# an **epoch**. Before each epoch the data are shuffled again, so that no two epochs have the same
# batches.
#
# That needs no machinery: a random order, cut into slices.

# %%
torch.manual_seed(0)
order = torch.randperm(len(train.x))
sizes = [len(order[start : start + 32]) for start in range(0, len(order), 32)]
print(f"{len(order)} samples in {len(sizes)} batches of 32, the last one of {sizes[-1]}")

check("an epoch has 1200 / 32 steps, rounded up", len(sizes) == math.ceil(1200 / 32) == 38)
everyone = torch.equal(order.sort().values, torch.arange(1200))
check("no sample is left out, none comes twice", everyone)

# %% [markdown]
# When data do not fit into memory, or each sample has to be read from a file, slices are not
# enough. torch divides the work in two. A **Dataset** is anything that knows its length and can
# give sample number i. A **DataLoader** shuffles, asks for samples, stacks them into batches, and
# can do so in other processes, ahead of time. scratchnet uses torch's own.


# %%
class Squares(data.Dataset):
    """Sample i is the pair (i, i * i)."""

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return torch.tensor([float(i)]), i * i


for x, y in data.DataLoader(Squares(), batch_size=4, shuffle=True):
    print("x", tuple(x.shape), x.flatten().tolist(), "  y", y.tolist())

loader = data.DataLoader(data.TensorDataset(*train), batch_size=32, shuffle=True)
check("samples are stacked along a new first axis", x.shape == (2, 1) and y.shape == (2,))
check("for tensors there is TensorDataset", len(loader) == 38)

# %% [markdown]
# For tensors that fit into memory, slicing is faster, because no sample is fetched alone.
# scratchnet's `training.Batches` slices; its order comes from its own seed.
#
# ## The five steps
#
#     1  optimizer.zero_grad()            forget the gradients of the step before
#     2  outputs = model(x)               forward
#     3  loss = criterion(outputs, y)     one number: how bad
#     4  loss.backward()                  a gradient for every parameter
#     5  optimizer.step()                 move them
#
# Learn them like a rhyme. Each has its mistake, and you have met them all: without 1 gradients pile
# up, 5 before 4 uses old ones, a softmax between 2 and 3 is one too many (lesson 19).
#
# Around them is the loop over batches, and around that the loop over epochs. The outer loop sets
# the model to training mode, averages the loss, and looks at the validation pile in evaluation
# mode.


# %%
def run(model, optimizer, epochs, scheduler=None):
    """Train, and return for each epoch the training loss, the validation loss and accuracy."""
    batches = training.Batches(*train, batch_size=32, seed=0)
    history = {"loss": [], "val_loss": [], "val_accuracy": []}
    for _ in range(epochs):
        model.train()
        total = 0.0
        for x, y in batches:
            optimizer.zero_grad()
            outputs = model(x)
            loss = F.cross_entropy(outputs, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)  # item(): a number, not a tensor with its graph
        if scheduler:
            scheduler.step()
        model.eval()
        with torch.no_grad():
            outputs = model(validation.x)
        history["loss"].append(total / len(train.x))
        history["val_loss"].append(F.cross_entropy(outputs, validation.y).item())
        history["val_accuracy"].append(training.accuracy(outputs, validation.y))
    return history


def network(hidden=128):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(),  # (N, 8, 8) -> (N, 64)
        nn.Linear(64, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


model = network()
start = copy.deepcopy(model)
history = run(model, optim.Adam(model.parameters(), lr=3e-3), epochs=10)
for epoch in (1, 2, 5, 10):
    numbers = [f"{name} {values[epoch - 1]:.3f}" for name, values in history.items()]
    print(f"epoch {epoch:2}:", *numbers)
PILES = {"training": "loss", "validation": "val_loss"}
print(chart({pile: (range(1, 11), history[name]) for pile, name in PILES.items()}, log=True))

check("the training loss falls", history["loss"][-1] < history["loss"][0] / 5)
check("the validation loss falls with it", history["val_loss"][-1] < history["val_loss"][0] / 2)

# %% [markdown]
# In the first epochs the validation loss is the *lower* of the two, and the network has not even
# seen those digits. Nothing is wrong: the two were not measured at the same moment. The training
# loss of an epoch is a mean over its batches, and the first of them met a network that knew little.
# The validation loss is measured when the epoch is over. Ask for both at that moment:

# %%
first = copy.deepcopy(start)
early = run(first, optim.Adam(first.parameters(), lr=3e-3), epochs=1)
afterwards = training.evaluate(first, tuple(train), F.cross_entropy)["loss"]
on_the_way, validated = early["loss"][0], early["val_loss"][0]
print(f"epoch 1: training {on_the_way:.3f} on the way, {afterwards:.3f} afterwards", end="; ")
print(f"validation {validated:.3f}")

check("the mean along the way is the larger one", on_the_way > validated)
check("afterwards the training digits are no harder", afterwards < 1.1 * validated)

# %% [markdown]
# Two small things in `run` are easy to get wrong. The last batch of an epoch is smaller (16 here),
# so each loss is weighted with its number of samples; a mean of batch means would count those 16
# double. And `loss.item()` takes the number out: adding up the tensors would keep the graph of
# every batch in memory.
#
# The library has this loop with more around it (a progress bar, early stopping, checkpoints) as
# `training.fit`. Same start, same seed: same losses?

# %%
twin = copy.deepcopy(start)
fitted = training.fit(
    twin,
    tuple(train),
    loss=F.cross_entropy,
    optimizer=optim.Adam(twin.parameters(), lr=3e-3),
    epochs=10,
    validation=tuple(validation),
    metrics=[training.accuracy],
    progress=False,
)
print("by hand:", [f"{value:.4f}" for value in history["loss"][:4]])
print("fit:    ", [f"{value:.4f}" for value in fitted["loss"][:4]])

same = torch.allclose(torch.tensor(history["loss"]), torch.tensor(fitted["loss"]), rtol=1e-5)
check("fit is the same loop", same)

# %% [markdown]
# ## A learning rate with a plan
#
# At first large steps are good: there is far to go. Near the end they are not: the network jumps
# around the goal. A **scheduler** changes the optimizer's learning rate from epoch to epoch.
#
#     StepLR(step_size=10, gamma=0.1)    a tenth of the rate every 10 epochs
#     CosineAnnealingLR(T_max=30)        down half a cosine wave: lr (1 + cos(pi epoch / 30)) / 2
#     LinearLR(start_factor=0.1, ...)    a warm-up: from a tenth up to the full rate
#
# A **warm-up** is for large models with Adam, whose first steps are blind (its means have seen only
# one batch). `SequentialLR` runs one after the other.


# %%
def rates(make_scheduler, epochs=30):
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make_scheduler(optimizer)
    result = []
    for _ in range(epochs):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()  # stands for all the steps of an epoch
        scheduler.step()
    return result


def warm_cosine(optimizer):
    warm_up = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=5)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=25)
    return lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], milestones=[5])


plans = {
    "StepLR": rates(lambda o: lr_scheduler.StepLR(o, step_size=10, gamma=0.1)),
    "CosineAnnealingLR": rates(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=30)),
    "warm-up, then cosine": rates(warm_cosine),
}
print(chart({name: (range(30), values) for name, values in plans.items()}))

check("StepLR: a tenth after 10 epochs", math.isclose(plans["StepLR"][10], 0.01))
check("cosine: half the rate at half-time", math.isclose(plans["CosineAnnealingLR"][15], 0.05))
check("the warm-up begins at a tenth", math.isclose(plans["warm-up, then cosine"][0], 0.01))

# %% [markdown]
# The order counts: first `optimizer.step()`, then `scheduler.step()`, once per epoch. The other way
# round, the first rate of the plan is skipped, and you are warned.

# %%
optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
scheduler = lr_scheduler.StepLR(optimizer, step_size=1)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    scheduler.step()  # before any optimizer.step()
print(str(caught[0].message)[:95], "...")

check("the wrong order is noticed", "before `optimizer.step()`" in str(caught[0].message))

# %% [markdown]
# ## Too little, too much
#
# Two losses side by side show what is wrong.
#
# | training loss | validation loss | it is called | what to do |
# |---|---|---|---|
# | high | high | **underfitting** | a larger network, more epochs, a better learning rate |
# | low | much higher | **overfitting** | more data, dropout, weight decay, stop earlier |
# | low | low | good | look at the test pile, once |
#
# Here are both extremes: a network with 2 hidden units, which cannot tell ten digits apart, and one
# with 512 that gets 100 pictures whose labels were drawn *at random*. There is nothing to learn in
# those. It learns them anyway, by heart.


# %%
def losses(model, x, y, steps):
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        training.train_step(model, F.cross_entropy, optimizer, x, y)
    piles = (x, y), tuple(validation)
    measure = [training.accuracy]
    results = [training.evaluate(model, pile, F.cross_entropy, measure) for pile in piles]
    for pile, result in zip(("training", "validation"), results, strict=True):
        print(f"    {pile:10} loss {result['loss']:6.3f}, {result['accuracy']:.2f} right")
    return results


print("2 hidden units, all digits:")
small = losses(network(hidden=2), *train, steps=150)
print("512 hidden units, 100 random labels:")
random_labels = torch.randint(10, (100,))
large = losses(network(hidden=512), train.x[:100], random_labels, steps=150)

check("underfitting: both losses are high", min(small[0]["loss"], small[1]["loss"]) > 0.5)
check("overfitting: all training labels right", large[0]["accuracy"] == 1)
check("and no better than a guess on others", large[1]["accuracy"] < 0.25)

# %% [markdown]
# Remember the second one. It is perfect on the training data, and it knows nothing. A training
# accuracy alone says nothing at all.
#
# ## Milestone: digits
#
# Everything together: batches, five steps, Adam, a cosine plan, twenty epochs. The choices were
# made on the validation pile. Now look at the test pile, once.

# %%
model = network(hidden=256)
optimizer = optim.Adam(model.parameters(), lr=3e-3)
scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
history = run(model, optimizer, epochs=20, scheduler=scheduler)
result = training.evaluate(model, tuple(test), F.cross_entropy, [training.accuracy])
curves = {pile: (range(1, 21), history[name]) for pile, name in PILES.items()}
print(chart(curves, log=True))
picture.curves("26_loss", {"digits": curves}, x="epoch", y="cross-entropy (nats)", log=True)
print(f"of {len(test.x)} test digits {result['accuracy']:.1%} right, loss {result['loss']:.3f}")

check("at least 95 percent of new digits are read correctly", result["accuracy"] >= 0.95)

# %% [markdown]
# **Accuracy**, the share of right answers, is the number that people want to hear. It cannot be
# trained on: it is flat almost everywhere, nudging a weight changes no answer, and so its gradient
# is 0. That is what the loss is for. The two need not move together: the loss also feels *how sure*
# the network is.
#
# Which ones did it get wrong? Always look. Some of them you would get wrong too.

# %%
outputs, _ = training.predict(model, tuple(test))
wrong = (outputs.argmax(dim=1) != test.y).nonzero().flatten()
for i in wrong[:2].tolist():
    print(f"a {test.y[i].item()}, taken for a {outputs[i].argmax().item()}:")
    for line in test.x[i].tolist():
        print("   ", "".join(" .:-=+*#%@"[round(9 * pixel)] * 2 for pixel in line))

share = 1 - len(wrong) / len(test.x)
check("accuracy is the share of right answers", math.isclose(result["accuracy"], share))

# %% [markdown]
# ## What to keep
#
# - divide first, at random: training, validation, test; the test pile is looked at once
# - zero_grad, forward, loss, backward, step: over batches, over epochs
# - `model.train()` before an epoch, `model.eval()` and `no_grad()` for the validation
# - first `optimizer.step()`, then `scheduler.step()`; cosine is a good plan
# - both losses high: underfitting; training low, validation high: overfitting

# %% tags=["hide-input"]
check.done()
