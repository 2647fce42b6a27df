# %% [markdown]
# # Lesson 14: A module is a function that owns its numbers
#
# Concepts: 44, 45, 46, 47, 48, 49, 50. Builds on lessons 01 and 12.
#
# A network is a function with many numbers inside, and training changes those numbers. Something
# has to know where they all are: to move them, to count them, to save them, to hold some of them
# still. That is the whole job of a **module**. At the end you can write one, find every number in a
# network by its name, give its weights a good size to start with, freeze a part of it and let two
# parts share their weights.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("14")

# %%
import copy
import io
from collections import OrderedDict

import torch

import scratchnet.nn.functional as F
from scratchnet import nn, optim

# %% [markdown]
# ## Write one
#
# Here is the smallest layer worth having: it multiplies each feature by a number of its own. Two
# methods make a module. `__init__` makes the numbers that the layer owns, and `forward` says what
# the layer does with an input.
#
# A number that training may change is a **parameter**. You say so by wrapping the tensor in
# `nn.Parameter`. That does two things: autograd follows it from now on, and the module writes it
# into its list. A plain tensor is only an attribute like any other.


# %%
class Scale(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))  # learned
        self.unit = torch.ones(features)  # a plain tensor: the module will not find it

    def forward(self, x):  # (..., features)
        return x * self.gain


layer = Scale(3)
print("parameters:", dict(layer.named_parameters()))
print("output:    ", layer(torch.tensor([[1.0, 2.0, 3.0]])))

names = [name for name, _ in layer.named_parameters()]
check("a Parameter is found, a plain tensor is not", names == ["gain"])
check("a Parameter wants a gradient without being asked", layer.gain.requires_grad)

# %% [markdown]
# The first line, `super().__init__()`, prepares the list in which the parameters are kept. Forget
# it, and the first parameter has nowhere to go. Luckily that is an error.


# %%
class Forgetful(nn.Module):
    def __init__(self):
        self.gain = nn.Parameter(torch.ones(3))


try:
    Forgetful()
except AttributeError as error:
    print("AttributeError:", error)
    check("without super().__init__() there is no list", "Module.__init__()" in str(error))

# %% [markdown]
# We wrote `forward` and then called `layer(x)`, not `layer.forward(x)`. The call does a little
# more: it also runs the **hooks**, functions that others have attached to the module to watch it.
# So always call the module itself.

# %%
seen = []
watched = Scale(3)
watched.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
watched(torch.ones(5, 3))
watched.forward(torch.ones(5, 3))
print("the hook saw:", seen)

check("a hook sees the call, not the bare forward", seen == [(5, 3)])

# %% [markdown]
# ## Build from modules
#
# A module may own other modules. It finds their parameters too, and names each one by the path to
# it. The simplest container is `nn.Sequential`: what the first layer returns goes into the second,
# and so on. Its parts are numbered, or have the names that you give. This is the network for digits
# from lesson 01 (`ReLU` turns negative numbers into 0; lesson 21 is about it):

# %%
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
print(network)
for name, parameter in network.named_parameters():
    print(f"{name:10} {tuple(parameter.shape)!s:12} {parameter.numel():7,}")
total = sum(parameter.numel() for parameter in network.parameters())
print(f"{'together':23} {total:7,}")

parts = OrderedDict(hidden=nn.Linear(784, 128), relu=nn.ReLU(), out=nn.Linear(128, 10))
named = nn.Sequential(parts)
print("with names:", [name for name, _ in named.named_parameters()])

check("a part has a number or a name", network[2].bias.shape == named.out.bias.shape)
check("a weight and a bias in each of two layers", len([*network.parameters()]) == 2 * 2)
check("as many numbers as in lesson 01", total == 784 * 128 + 128 + 128 * 10 + 10)

# %% [markdown]
# The trap: a Python list hides its contents. The module looks at its attributes, sees a list, and
# does not look inside. `nn.ModuleList` is a list that it does look into.


# %%
class Tower(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


hidden = Tower([nn.Linear(4, 4) for _ in range(3)])
found = Tower(nn.ModuleList([nn.Linear(4, 4) for _ in range(3)]))
print("in a list:      ", [name for name, _ in hidden.named_parameters()])
print("in a ModuleList:", [name for name, _ in found.named_parameters()])

check("both compute", hidden(torch.ones(1, 4)).shape == found(torch.ones(1, 4)).shape)
check("but a list hides what it holds", len([*hidden.parameters()]) == 0)
check("a ModuleList does not", len([*found.parameters()]) == 6)

# %% [markdown]
# The hidden ones would never be trained, never saved and never moved to another device, and nothing
# would say so.
#
# ## Save and load
#
# `state_dict()` is a dictionary from names to tensors: all that a trained network knows, without
# the code. Anyone who builds the same modules can load it. scratchnet uses torch's names and
# shapes, so a network moves freely between the two. It even starts with the same bits, because it
# draws the same random numbers in the same order.

# %%
torch.manual_seed(0)
twin = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
same = [torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True)]
check("the same seed gives torch's layers and ours the same bits", all(same))

file = io.BytesIO()  # stands for a file on disk: torch.save(..., "digits.pt")
with torch.no_grad():
    network[2].bias += 1  # as if it had learned something
torch.save(network.state_dict(), file)
file.seek(0)
twin.load_state_dict(torch.load(file))
x = torch.randn(2, 784)

check("ours, saved and loaded into torch's", torch.allclose(network(x), twin(x), atol=1e-5))

narrow = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
try:
    narrow.load_state_dict(network.state_dict())
except RuntimeError as error:
    print(error)
    check("other sizes do not load, and the error lists them", "size mismatch" in str(error))

# %% [markdown]
# ## How to start: initialisation
#
# Which numbers should the weights begin with? Not zeros. If all the units of a layer start alike,
# they get the same gradient and move alike, and stay copies of each other for ever. Random numbers
# break the tie. A **bias**, the number that is added at the end, may start at 0: the weights
# already differ.


# %%
def gradient_rows(start):
    """The gradient of each unit's weights, in a network with 4 hidden units."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    for layer in (model[0], model[2]):
        start(layer.weight)
        nn.init.zeros_(layer.bias)
    model(torch.randn(8, 3)).sum().backward()
    return model[0].weight.grad


alike = gradient_rows(lambda weight: nn.init.constant_(weight, 0.5))
mixed = gradient_rows(nn.init.normal_)
print("all 0.5: ", [f"{row.norm():.2f}" for row in alike])
print("random:  ", [f"{row.norm():.2f}" for row in mixed])

check("units that start alike get one gradient", torch.allclose(alike, alike[0].expand(4, 3)))
check("random ones differ", len(mixed.norm(dim=1).unique()) == 4)

# %% [markdown]
# And how large? Each output of a layer is a sum over its `fan_in` inputs. Add up `n` independent
# numbers around 0 and the sum is about `sqrt(n)` times as wide as one of them: the variances add,
# and the variance is the square of the width. For an output as wide as the inputs, the weights must
# make up for it:
#
#     variance of output = fan_in * variance of weight * variance of input
#
# | name | standard deviation of a weight (out, in) | reason |
# |---|---|---|
# | small Gaussian | 0.01, whatever the size | none; fine for one or two layers |
# | Xavier | sqrt(2 / (fan_in + fan_out)) | keeps the width, forward and backward |
# | Kaiming (He) | sqrt(2 / fan_in) | the same behind ReLU, which halves the mean square |
#
# `fan_out` counts the outputs: going backward, each gradient is a sum over them. Xavier is a
# compromise between the two. The effect of a wrong size shows after a few layers:


# %%
def widths(start, depth=10):
    """The root of the mean square after each of `depth` layers of ReLU."""
    torch.manual_seed(0)
    x = torch.randn(64, 256)
    result = []
    for _ in range(depth):
        weight = start(torch.empty(256, 256))
        x = F.relu(x @ weight.T)
        result.append(x.square().mean().sqrt().item())
    return result


starts = {
    "normal 0.01": lambda w: nn.init.normal_(w, std=0.01),
    "Xavier": nn.init.xavier_normal_,
    "Kaiming": nn.init.kaiming_normal_,
    "normal 1": nn.init.normal_,
}
after = {name: widths(start) for name, start in starts.items()}
for name, result in after.items():
    steps = [f"{layer}: {result[layer - 1]:<8.2g}" for layer in (1, 5, 10)]
    print(f"{name:12} width after layer", *steps)

check("0.01 fades: nothing is left after ten layers", after["normal 0.01"][9] < 1e-6)
check("1 explodes", after["normal 1"][9] > 1e9)
first, second = after["Xavier"][:2]
check("Xavier loses a factor of about sqrt(2) at each ReLU", 1.2 < first / second < 1.6)
check("Kaiming keeps the width", 0.5 < after["Kaiming"][9] < 2)

# %% [markdown]
# `nn.Linear` draws its weight and its bias evenly between -1/sqrt(fan_in) and 1/sqrt(fan_in). That
# is a variance of 1 / (3 fan_in): torch's choice from long ago, a sixth of Kaiming's, and good
# enough for a few layers. For deeper ones there is `nn.init`.
#
# ## Freeze
#
# To **freeze** a parameter is to take it out of training: `requires_grad_(False)`. It gets no
# gradient, so an optimizer leaves it alone. On a module, `requires_grad_` does it for everything
# inside. That is how a trained network is given a new last layer: freeze the rest, train the head.
# (An optimizer moves each parameter against its gradient; lesson 17 begins with that.)

# %%
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
model[0].requires_grad_(False)
before = copy.deepcopy(model.state_dict())
optimizer = optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    model(torch.randn(16, 4)).square().mean().backward()
    optimizer.step()
after = model.state_dict()
moved = [name for name in before if not torch.equal(after[name], before[name])]
print("moved:", moved)

check("the frozen layer kept every bit", moved == ["2.weight", "2.bias"])
check("it never got a gradient", model[0].weight.grad is None)

model[2].requires_grad = False  # an attribute of the module, which nothing reads
check("setting requires_grad on a module freezes nothing", model[2].weight.requires_grad)

# %% [markdown]
# The last line is a trap: Python lets you set any attribute on any object, and says nothing. On a
# parameter `requires_grad = False` works; on a module use the method with the underscore.
#
# ## Share
#
# Two modules may own the *same* parameter. Language models do: the table that turns words into
# vectors and the layer that turns vectors back into scores for words have the same shape, (words,
# features), and can be one. Assign it, and there is one Parameter with two names.


# %%
class Tied(nn.Module):
    def __init__(self, words, features):
        super().__init__()
        self.embed = nn.Embedding(words, features)  # weight (words, features)
        self.head = nn.Linear(features, words, bias=False)  # weight (words, features)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.embed(tokens))


torch.manual_seed(0)
tied = Tied(50, 8)
print("parameters:", [name for name, _ in tied.named_parameters()])
print("state_dict:", list(tied.state_dict()))

check("counted once", sum(p.numel() for p in tied.parameters()) == 50 * 8)
check("saved under both names", list(tied.state_dict()) == ["embed.weight", "head.weight"])

# %% [markdown]
# And the gradient? Lesson 04 had the answer: what is used twice going forward is added up going
# backward. To see it, we untie the two in a copy, with equal numbers, and look at each gradient
# alone.

# %%
untied = copy.deepcopy(tied)
untied.head.weight = nn.Parameter(untied.embed.weight.detach().clone())
tokens = torch.tensor([3, 1, 4, 1, 5])
for model in (tied, untied):
    F.cross_entropy(model(tokens), tokens).backward()
parts = untied.embed.weight.grad, untied.head.weight.grad
for role, part in zip(("as table", "as head "), parts, strict=True):
    print(f"{role}: gradient of word 3:", [f"{value:.2f}" for value in part[3].tolist()])

both = tied.embed.weight.grad
check("a shared weight gets the sum of the two", torch.allclose(both, parts[0] + parts[1]))
check("and there is only one gradient", tied.head.weight.grad is both)

# %% [markdown]
# ## What to keep
#
# - a module owns parameters and modules: `__init__` makes them, `forward` uses them
# - only `nn.Parameter`, modules and ModuleList are found; plain tensors and lists are not
# - call `layer(x)`, not `layer.forward(x)`
# - `state_dict`: name -> tensor, the same names as torch's
# - start at random, about 1 / sqrt(fan_in) wide; Kaiming for ReLU; bias 0
# - freeze with `requires_grad_(False)`; share by assigning the Parameter: gradients add up

# %% tags=["hide-input"]
check.done()
