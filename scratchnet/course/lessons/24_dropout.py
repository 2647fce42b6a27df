# %% [markdown]
# # Lesson 24: Dropout is there while you train and gone when you ask
#
# Concepts: 51, 79. Builds on lessons 14 and 20.
#
# A network with many units and few examples learns the examples by heart. **Dropout** makes that
# hard: in every step a random part of the units is switched off. No unit can rely on any particular
# other one, so each has to be useful on its own. But once the network is asked for answers, nothing
# may be random any more. So the same network has two modes, and forgetting to switch is one of the
# commonest mistakes there is. At the end you can write dropout, its backward and the switch.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("24")

# %%
import inspect

import torch

import scratchnet.nn.functional as F
import scratchnet.numpy
from scratchnet import data, nn, optim, training

# %% [markdown]
# ## A coin for every number
#
# `nn.Dropout(p)` tosses a coin for every single entry. With probability `p` the entry becomes 0.
# Note what `p` is: the probability of being **dropped**, not of being kept. Let us send ones
# through, to see what happens to them.

# %%
torch.manual_seed(0)
drop = nn.Dropout(p=0.25)
ones = torch.ones(2, 8)
print(drop(ones))
print(drop(ones))

many = drop(torch.ones(100_000))
check("a quarter is dropped", abs((many == 0).double().mean() - 0.25) < 0.01)
check("a new coin in every call", not torch.equal(drop(ones), drop(ones)))
try:
    nn.Dropout(p=25)
except ValueError as error:
    print(error)
    check("p is a probability, not a percentage", "between 0 and 1" in str(error))

# %% [markdown]
# ## Why the ones became 1.33
#
# The ones that stayed are 1.3333 now: they were divided by 1 - p = 0.75. Here is the reason. The
# next layer adds up what comes in. With a quarter of the numbers gone, its sums are a quarter too
# small, and later, when nothing is dropped, they would be larger than anything it has seen. So the
# rest is made larger to make up for it. Count in your head, for 100 ones and p = 0.25:
#
#     without dropout       100 ones                 sum 100
#     dropped               75 ones                  sum  75
#     dropped and scaled    75 times 1 / 0.75        sum 100

# %%
x = torch.rand(100_000)
for p in (0.1, 0.5, 0.9):
    y = F.dropout(x, p)
    print(f"p = {p}: mean before {x.mean():.3f}, after {y.mean():.3f}, spread {y.std():.2f}")
    check(f"p = {p}: the mean is kept", abs(y.mean() - x.mean()) < 0.02)

check("values are 0 or x / (1 - p)", torch.isclose(y, x / (1 - p))[y != 0].all())

# %% [markdown]
# The mean is kept *on average*; the spread grows, and that is the noise that keeps the network from
# learning by heart. This way is called **inverted dropout**: all the work is done while training,
# and afterwards the layer does nothing. (The first version scaled by 1 - p afterwards. On average
# that comes to the same thing, but everyone who uses the network has to remember it.)
#
# ## Backward: the same mask
#
# Dropout multiplies by a **mask**, whose entries are 0 or 1 / (1 - p). Multiplying by a number also
# multiplies the gradient by that number. So the mask of the forward pass must be kept, and the way
# back uses it again. A new coin would be wrong: it would blame units that were switched off.

# %%
x = torch.full((10,), 3.0, requires_grad=True)
y = F.dropout(x, 0.5)
y.sum().backward()
print("y     ", y.tolist())
print("dx    ", x.grad.tolist())
print(inspect.getsource(scratchnet.numpy.dropout_forward))
print(inspect.getsource(scratchnet.numpy.dropout_backward))

check("the gradient went through the same mask", torch.equal(x.grad, y.detach() / 3))
check("a dropped entry gets no gradient", (x.grad[y == 0] == 0).all())

# %% [markdown]
# Those few lines are all of it. scratchnet's torch version tosses the coins in the same order as
# torch's own, so on a CPU the same seed gives the same mask.

# %%
torch.manual_seed(7)
ours = F.dropout(torch.ones(1000), 0.3)
torch.manual_seed(7)
theirs = torch.nn.functional.dropout(torch.ones(1000), 0.3)
check("the same seed, the same mask as torch", torch.equal(ours, theirs))

# %% [markdown]
# ## The switch
#
# Every module has a flag, `training`. `model.train()` sets it for the module and everything inside,
# `model.eval()` clears it. A new module is in training mode. Most layers never look at the flag.
# Two kinds do, Dropout and BatchNorm (lesson 23), and layers that contain them.

# %%
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 2))
print("flags after building:", [part.training for part in model])
model.eval()
print("flags after eval():  ", [part.training for part in model])

question = torch.randn(1, 4)
check("in evaluation mode dropout hands back its input", model[2](question) is question)
same = torch.equal(model(question), model(question))
check("and the same question gets the same answer", same)

model.train()
answers = torch.cat([model(question) for _ in range(5)])
print("in training mode, the same question five times:", answers[:, 0].detach())
check("in training mode every answer is different", len(answers[:, 0].unique()) == 5)

# %% [markdown]
# There is no error and no warning. The loss is a bit too high, the accuracy a bit too low, and no
# two runs agree: those are the signs of a forgotten `eval()`. The other mistake, a forgotten
# `train()` after the evaluation, is quieter still: from then on there is no dropout at all.
#
# `eval()` has a neighbour that it is often confused with. They are two switches for two things:
#
# | | what it does | what it does not do |
# |---|---|---|
# | `model.eval()` | Dropout off, BatchNorm uses running statistics | autograd still records |
# | `torch.no_grad()` | autograd records nothing: less memory | Dropout stays on |
#
# To evaluate you want both.

# %%
model.eval()
recorded = model(question).requires_grad
model.train()
with torch.no_grad():
    differ = not torch.equal(model(question), model(question))
print("after eval() autograd records:", recorded)
print("under no_grad() dropout is on:", differ)

check("eval() does not stop autograd", recorded)
check("no_grad() does not stop dropout", differ)

# %% [markdown]
# ## The trap in the functional form
#
# A module knows its mode. A function does not: `F.dropout(x, p)` has an argument `training`, and
# its default is True. With `F.dropout(x, 0.5)` inside a `forward` you get dropout for ever,
# whatever the mode. Pass the flag on.


# %%
class Stuck(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5)  # wrong: drops in evaluation too


class Switching(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, self.training)


dropped = {}
for module in (Stuck().eval(), Switching().eval()):
    name = type(module).__name__
    dropped[name] = int((module(torch.ones(1000)) == 0).sum())
    print(f"{name:9} in evaluation mode drops {dropped[name]} of 1000")

check("without the flag half is dropped for ever", dropped["Stuck"] > 400)
check("with it nothing is dropped", dropped["Switching"] == 0)

# %% [markdown]
# ## Where to put it, and does it help?
#
# Dropout usually comes after the activation of a hidden layer, with p between 0.1 and 0.5. It does
# not come after the last layer: there it would throw away the answer itself. In a transformer it
# comes at the end of each block, before the result is added to what came in (lesson 28). For images
# there is `nn.Dropout2d`, which drops whole channels: a single pixel can be guessed from its
# neighbours, so dropping it hides nothing.
#
# It helps where there is something to cure: a large network, little data. So we take 200 digits to
# learn from, 256 hidden units, and train until the 200 are known by heart. What counts is the loss
# on digits it has never seen.

# %%
train, test = data.digits()
x, y = train.x[:200], train.y[:200]
unseen = {}
for p in (0.0, 0.5):
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Dropout(p), nn.Linear(256, 10)
    model = nn.Sequential(*layers)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    known = training.evaluate(model, (x, y), F.cross_entropy)["loss"]
    unseen[p] = training.evaluate(model, test, F.cross_entropy, [training.accuracy])
    print(f"p = {p}: on the 200 digits loss {known:.3f};  on unseen digits", end=" ")
    print(f"loss {unseen[p]['loss']:.3f}, {unseen[p]['accuracy']:.3f} right")

lower = unseen[0.5]["loss"] < unseen[0.0]["loss"]
check("with dropout the loss on unseen digits is lower", lower)

# %% [markdown]
# Both know the 200 nearly by heart; on the unseen ones the network with dropout is more certain of
# the right answers. It is no miracle: the number of right answers hardly moves here. More data
# would help more. And where a network does not even learn its examples, dropout only makes it
# worse.
#
# scratchnet's `training.evaluate` switches to evaluation mode, turns autograd off, and puts the
# mode back as it was. That last step is the one you will write in the exercise.

# %%
model.train()
training.evaluate(model, test, F.cross_entropy)
check("evaluate puts the mode back", model.training and model[3].training)

# %% [markdown]
# ## What to keep
#
# - while training: 0 with probability p, else x / (1 - p); the mean stays the same
# - p is the probability of being dropped
# - backward multiplies by the same mask
# - `model.eval()` before you ask, `model.train()` before you go on; `no_grad()` is a separate
#   switch
# - `F.dropout(x, p, self.training)`, never without the flag

# %% tags=["hide-input"]
check.done()
