# %% [markdown]
# # Lesson 12: torch remembers what you compute, and adds up what it finds
#
# Concepts: 18, 30, 31, 34, 35, 36, 37, 38, 39. Builds on lesson 11.
#
# You know how gradients are found. This lesson is about living with the machine that finds them:
# when it remembers and when it does not, where it leaves its results, why they are doubled, and
# what it means when it refuses. Nearly every autograd error you will meet is one of the six below.
# Make each of them once on purpose, and later it will cost you a minute instead of an evening.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("12")

# %%
import inspect
import warnings

import torch

import scratchnet
from scratchnet import backends, nn
from scratchnet.course import tree
from scratchnet.functions.gelu import GELU
from scratchnet.ops import OPS

# %% [markdown]
# ## What is remembered
#
# torch follows a computation only if asked to. You ask with `requires_grad=True` on a tensor that
# you make. Such a tensor is a **leaf**: it was not computed from anything. Every result with at
# least one such tensor behind it is followed too; it requires a gradient, and it has a `grad_fn`,
# its note of the way back. Plain data stay plain, and cost nothing. (They count as leaves too:
# nothing that torch follows stands behind them.)

# %%
w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)  # a weight
x = torch.tensor([10.0, 20.0, 30.0])  # data
scaled = w * x
loss = scaled.sum()
print(f"{'':8}leaf   requires_grad  grad_fn")
for name, t in (("w", w), ("x", x), ("scaled", scaled), ("loss", loss), ("x + 1", x + 1)):
    print(f"{name:8}{t.is_leaf!s:7}{t.requires_grad!s:15}{type(t.grad_fn).__name__}")

check("w is a leaf, what is computed from it is not", w.is_leaf and not scaled.is_leaf)
check("one tracked operand makes the result tracked", scaled.requires_grad)
check("plain data stay plain", not (x + 1).requires_grad)
check("a layer's parameters ask by themselves", nn.Linear(3, 2).weight.requires_grad)

# %% [markdown]
# A gradient asks what happens when a number moves *a little*. Whole numbers cannot, so only floats
# may require gradients. And at the end of it all there has to be **one number**: "how far does the
# loss move" has no meaning for a loss of three numbers. Reduce it first, to the mean or the sum.

# %%
refused = []


def attempt(call):
    """Run what torch will refuse, and show its message."""
    try:
        call()
    except RuntimeError as error:
        refused.append(str(error))
        print(f"- {str(error).splitlines()[0]}\n")


attempt(lambda: torch.tensor([1, 2, 3], requires_grad=True))
attempt(lambda: (w * x).backward())

check("integers cannot require gradients", "Only Tensors of floating point" in refused[-2])
check("backward wants one number", "only for scalar outputs" in refused[-1])

# %% [markdown]
# ## Where the gradients are
#
# `backward` leaves its results in the leaves, as `.grad`. Before the first backward it is None: not
# zero, but nothing. Afterwards it has the shape of its tensor, always: one number for each weight,
# because each weight asks its own question.

# %%
print("before:", w.grad)
loss.backward()
print("after: ", w.grad)

check("d(loss)/dw is x: the other factor", torch.equal(w.grad, x))
check("a gradient has the shape of its tensor", w.grad.shape == w.shape)
check("data get no gradient", x.grad is None)

# %% [markdown]
# A result in between, such as `scaled`, does not keep its gradient: it was needed on the way and is
# then forgotten. Asking for its `.grad` gives None and a warning. If you are curious about it, for
# instance to find out where gradients vanish, call `retain_grad()` before backward.

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print("scaled.grad:", scaled.grad, f" with {len(caught)} warning")

scaled = w * x
scaled.retain_grad()
(scaled**2).sum().backward()
print("retained:   ", scaled.grad)

check("the warning says why", "not a leaf" in str(caught[0].message))
check("unless you ask for it", torch.equal(scaled.grad, 2 * scaled))

# %% [markdown]
# ## Backward adds
#
# That was the second backward, and we have not looked at `w.grad` since. The first left x in it,
# and the second did not replace it. It **added**. Always: `.grad` is a running sum over all
# backward calls until you empty it. There are three ways to do so:
#
#     w.grad = None            nothing again
#     w.grad.zero_()           zeros, in place
#     model.zero_grad()        all parameters of a model, to None; so does optimizer.zero_grad()

# %%
w.grad = None
for count in (1, 2, 3):
    (w * x).sum().backward()
    print(f"after {count} backward: {w.grad.tolist()}")

check("three backward calls, three times the gradient", torch.equal(w.grad, 3 * x))

layer = nn.Linear(3, 1)
layer(x).sum().backward()
layer.zero_grad()
check("zero_grad leaves None, not zeros", layer.weight.grad is None)

# %% [markdown]
# If you forget to empty it, you step along the sum of all gradients so far. Nothing complains.
# Watch both: the same start, the same step size, one line of difference. The right one rolls into
# the valley of (w - 1)^2 and settles. The other gathers speed, overshoots and swings.

# %%


def descend(empty_first):
    w, path = torch.tensor(0.0, requires_grad=True), []
    for _ in range(12):
        if empty_first:
            w.grad = None
        loss = (w - 1) ** 2
        loss.backward()
        with torch.no_grad():
            w -= 0.2 * w.grad
        path.append(w.item())
    return path


right, forgotten = descend(True), descend(False)
print("emptied:  ", "  ".join(f"{w:5.2f}" for w in right))
print("forgotten:", "  ".join(f"{w:5.2f}" for w in forgotten))

check("with an empty grad it settles at 1", abs(right[-1] - 1) < 0.01)
check("with a full one it overshoots", max(forgotten) > 1.5)

# %% [markdown]
# ## Adding on purpose
#
# Why does torch add at all, when it is such a trap? Because gradients of parts add up to the
# gradient of the whole (lesson 11). A batch too large for the memory can be cut into pieces, with a
# backward for each and one step at the end: **gradient accumulation**. Watch out for the mean. The
# loss is a mean over the batch, so each piece counts in proportion to its share of the samples.

# %%
torch.manual_seed(0)
data, target = torch.randn(8, 3), torch.randn(8)
w = torch.randn(3, requires_grad=True)
((data @ w - target) ** 2).mean().backward()
whole = w.grad

w.grad = None
for piece in range(0, 8, 2):
    error = data[piece : piece + 2] @ w - target[piece : piece + 2]
    loss = (error**2).mean() * (2 / 8)  # 2 of 8 samples
    loss.backward()
print("all at once:   ", whole.tolist())
print("in four pieces:", w.grad.tolist())

check("the pieces add up to the whole", torch.allclose(w.grad, whole))

# %% [markdown]
# ## Once through the graph
#
# For its way back, each note has saved what it needs, such as the other factor of a product. These
# saved tensors are what fills memory in training. So backward frees them as it goes, and a second
# walk through the *same* graph is refused. Nearly always the cure is to compute the forward again.
# Only if two results share a graph, say `retain_graph=True` for all walks but the last.

# %%
v = torch.tensor([1.0, 2.0], requires_grad=True)
loss = (v * v).sum()
loss.backward()
attempt(loss.backward)
check("the second walk is refused", "a second time" in refused[-1])

v.grad = None
loss = (v * v).sum()
loss.backward(retain_graph=True)
loss.backward()
check("with retain_graph it adds once more", torch.equal(v.grad, 2 * (2 * v)))

# %% [markdown]
# ## Not remembering
#
# Remembering costs memory: everything the notes save, for all layers at once. Let us weigh it.
# torch can be told to call a function of ours, a **hook**, whenever a note saves a tensor; ours
# adds up the bytes.

# %%
saved = []


def weigh(tensor):
    saved.append(tensor.nbytes)
    return tensor


model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
batch = torch.randn(1000, 64)
with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
    model(batch)
    training = sum(saved)
    saved.clear()
    with torch.no_grad():
        model(batch)
print(f"saved for the way back: {training:,} bytes; under no_grad: {sum(saved)}")

check("at least the hidden layer was saved, 1000 x 256 floats", training >= 1000 * 256 * 4)
check("under no_grad nothing is saved", sum(saved) == 0)

# %% [markdown]
# So when you only want predictions, say `with torch.no_grad():`. `detach()` does it for one tensor:
# the same numbers, the same memory, without a past. And keep a loss for a plot as `loss.item()`. A
# list of loss tensors would hold on to the graph of every one of them.

# %%
with torch.no_grad():
    prediction = data @ w
detached = (data @ w).detach()
print("under no_grad:", prediction.requires_grad, "  detached:", detached.requires_grad)

check("under no_grad nothing has a grad_fn", prediction.grad_fn is None)
check("detach shares the memory", w.detach().data_ptr() == w.data_ptr())
constant = (w.detach() * w).sum()
(gradient,) = torch.autograd.grad(constant, w)
check("a detached tensor counts as a constant", torch.equal(gradient, w))

attempt(prediction.sum().backward)
check("without a past there is no way back", "does not require grad" in refused[-1])

# %% [markdown]
# Read that last message as a question: where was the past lost? Under a `no_grad` that reaches too
# far, through a `detach`, through `.item()`, or on a detour through NumPy?
#
# The update of a weight is the one computation that must *not* be remembered: it is not part of the
# model. torch insists. It refuses to change a leaf in place unless you say `no_grad`. And do not
# dodge it with `w = w - 0.1 * w.grad`: that makes a new tensor, computed from the old w, which is
# no longer a leaf; its `.grad` stays None.


# %%
def careless_update():
    global w
    w -= 0.1 * w.grad


attempt(careless_update)
dodged = w - 0.1 * w.grad
with torch.no_grad():
    w -= 0.1 * w.grad

check("a leaf is not changed in place", "a leaf Variable" in refused[-1])
check("the dodge makes a tensor that is not a leaf", not dodged.is_leaf)
check("under no_grad w changes and stays a leaf", w.is_leaf and w.requires_grad)

# %% [markdown]
# ## In place, and what was saved
#
# Lesson 06 announced a second danger of writing in place. Here it is: a note has saved a tensor for
# the way back, and you overwrite it. With the new numbers the gradient would be wrong. So every
# tensor counts how often it was written to; the note compares, and refuses.

# %%
a = v * 1  # a result, so that writing into it is allowed
product = (a * a).sum()  # the note of a * a has saved a
a.add_(1)
attempt(product.backward)
check("a saved tensor was changed", "modified by an inplace operation" in refused[-1])

a = v * 1
total = (a + a).sum()  # a sum saves nothing
a.add_(1)
v.grad = None
total.backward()
check("where nothing is saved, writing is harmless", v.grad.tolist() == [2, 2])

# %% [markdown]
# ## How a kernel joins in
#
# torch knows the way back of its own operations. A library with its own kernels has to tell it,
# with a `torch.autograd.Function`: a class with a forward, which computes and saves, and a
# backward, which is handed the gradient of the result and returns one for each argument (None where
# there is nothing to return). Here is everything that scratchnet needs for GELU, a function used in
# transformers (lesson 21). `ctx` is the note.

# %%
print(inspect.getsource(GELU))

# %%
x = torch.linspace(-3, 3, 101).requires_grad_()


def next_functions(node):
    return [following for following, _ in node.next_functions if following is not None]


gradients, graphs = {}, {}
for name in backends.runnable(OPS["gelu"]):
    with scratchnet.backend(name):
        y = scratchnet.gelu(x)
    graphs[name] = tree(y.grad_fn, next_functions, lambda node: type(node).__name__)
    (gradients[name],) = torch.autograd.grad(y.sum(), x)
for name in ("reference", "numpy"):
    print(f"the graph of {name}:\n{graphs[name]}\n")

largest = max((g - gradients["numpy"]).abs().max().item() for g in gradients.values())
check("all backends agree on the gradient", largest < 1e-5)
one_note = [name for name in graphs if graphs[name] == graphs["numpy"]]
check("all but the reference leave a single note", set(graphs) - set(one_note) == {"reference"})

# %% [markdown]
# The version named `reference` is made of plain torch operations; each left a note and saved what
# it needed: tensors as large as x. The other versions leave one note with one saved tensor, x
# itself. Fewer passes over memory and less of it: that is half of what makes a fused kernel fast.
# The price is that its backward was derived and written by hand, and may be wrong. The next lesson
# shows how to find out.

# %%
with scratchnet.backend("numpy"):
    note = scratchnet.gelu(x).grad_fn
print(type(note).__name__, "saved", [tuple(t.shape) for t in note.saved_tensors])

(only,) = note.saved_tensors
check("it saved x and nothing else", torch.equal(only, x))

# %% [markdown]
# ## What to keep
#
# - leaves ask with `requires_grad`; gradients end up in `leaf.grad`, None at first, with its shape
# - backward *adds*: empty `.grad` before each step, or add pieces of a batch on purpose
# - a graph can be walked once; compute the forward again
# - `no_grad` for predictions and updates, `detach` for constants, `.item()` for what you keep
# - do not write into a tensor that was saved
# - a Function tells torch the way back of a kernel: forward saves, backward returns gradients

# %% tags=["hide-input"]
check.done()
