# %% [markdown]
# # Lesson 33: Half the bits where they do no harm, found with a profiler
#
# Concepts: 4, 29, 90. Builds on lessons 10, 25, 26 and 29.
#
# Numbers of 16 bits take half the memory, and the matrix units of a GPU multiply them many times as
# fast. They have 2 or 3 digits. Somewhere in training that is plenty, and somewhere it stops
# everything without a word. You will see the three places where 16 bits fail, what is done about
# each, and then measure where the time of a training step really goes before changing anything.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("33")

# %%
import time

import torch
from torch.profiler import ProfilerActivity, profile, record_function

import scratchnet
from scratchnet import data, nn, optim

torch.manual_seed(0)

# %% [markdown]
# ## Two ways to spend 16 bits
#
# A float has bits for its digits and bits for its range. float16 spends 11 on digits and 5 on the
# range; bfloat16 8 and 8, the range of float32. (One of the digits is always 1 and takes no bit.)
#
# By hand: with 8 binary digits, the numbers from 256 to 512 are 2 apart. What is 256 + 1? Halfway
# between 256 and 258, and it goes to 256. For float16 with 11 digits the same happens at 2,048.

# %%
for dtype in (torch.float16, torch.bfloat16, torch.float32):
    info = torch.finfo(dtype)
    step, largest, smallest = info.eps, info.max, info.tiny
    print(f"{str(dtype)[6:]:9} step {step:.1e}  largest {largest:.1e}  smallest {smallest:.1e}")

bf16 = lambda value: torch.tensor(value, dtype=torch.bfloat16)
half = lambda value: torch.tensor(value, dtype=torch.float16)
check("256 + 1 is 256 in bfloat16", bf16(256.0) + 1 == 256)
check("2048 + 1 is 2048 in float16", half(2048.0) + 1 == 2048)
check(
    "70000 is infinity in float16, and fits bfloat16",
    half(70000.0).isinf() and bf16(70000.0).isfinite(),
)

# %% [markdown]
# ## First failure: the update that vanishes
#
# A weight near 1 changes by lr x gradient, say 0.001. In bfloat16 the next number above 1 is 0.0078
# (1/128) away, and the next one below it half of that, 0.0039. By hand: does 1 + 0.001 move? No: it
# is less than half a step. A thousand such updates change nothing at all, and the loss curve is
# flat.

# %%
weight = bf16(1.0)
master = torch.tensor(1.0)  # the same weight in float32
for _ in range(1000):
    weight = weight + bf16(0.001)
    master = master + 0.001
print("1000 updates of 0.001: bfloat16", weight.item(), "  float32", round(master.item(), 3))

check("in bfloat16 the weight has not moved", weight == 1)
check("in float32 it has doubled", abs(master.item() - 2) < 1e-3)

# %% [markdown]
# So weights are kept in float32, the **master weights**, and the optimizer works on those. A copy
# of 16 bits is made for the products of each step and thrown away. That is what `torch.autocast`
# does.
#
# ## Second failure: the sum that stands still
#
# By hand: add up 10,000 ones in bfloat16, one after another. How far does it get? To 256, where
# adding 1 changes nothing.

# %%
total = bf16(0.0)
for _ in range(10_000):
    total = total + 1
ones = torch.ones(1, 10_000, dtype=torch.bfloat16)
product = scratchnet.matmul(ones, ones.mT)
print(
    "one after another in bfloat16:",
    total.item(),
    "  as a product by our kernel:",
    product.item(),
)

check("it stands still at 256", total == 256)
check(
    "a product is summed up in float32, and rounded once",
    product.item() == bf16(10_000.0).item(),
)

# %% [markdown]
# Every kernel of a sum, product, mean or norm has to add up in float32, whatever its inputs are.
# Those of this package do, and so do torch's. If you write your own, it is the first thing to
# check: `scratchnet check` tells you "it is rounded to or summed in 16 bits".
#
# ## Which operations may have 16 bits
#
# Products of matrices: their rounding errors are many, small and random, and cancel. Not
# exponentials, logarithms and losses: lesson 10's traps come much earlier in 16 bits. autocast has
# a list of both.

# %%
model = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.LayerNorm(128), nn.Linear(128, 10))
x, y = torch.randn(32, 64), torch.randint(10, (32,))
with torch.autocast("cpu", dtype=torch.bfloat16):
    logits = model(x)
    loss = nn.functional.cross_entropy(logits, y)
loss.backward()
print(
    "logits",
    logits.dtype,
    "  loss",
    loss.dtype,
    "  weights",
    model[0].weight.dtype,
    "  gradients",
    model[0].weight.grad.dtype,
)

check("the product has 16 bits", logits.dtype == torch.bfloat16)
check("the loss has 32", loss.dtype == torch.float32)
check(
    "weights and their gradients have 32",
    model[0].weight.dtype == model[0].weight.grad.dtype == torch.float32,
)

# %% [markdown]
# The context ends before `backward()`: each backward runs in the precision of its forward by
# itself.
#
# ## Third failure: the gradient that is too small
#
# float16 ends at 6e-8: half of that is 0. Gradients of 1e-8 are common in the early layers of a
# deep model. The cure is to multiply the *loss*: all gradients grow by the same factor, and are
# divided by it, in float32, before the step. By hand: 1e-8 x 65,536 = 6.6e-4, well inside float16.

# %%
small, scale = 1e-8, 65536.0
print(
    "1e-8 in float16:",
    half(small).item(),
    "  scaled and divided again:",
    half(small * scale).float().item() / scale,
)

check("1e-8 is 0 in float16", half(small) == 0)
check(
    "scaled by 65536 it survives, to 3 digits",
    abs(half(small * scale).float().item() / scale / small - 1) < 1e-3,
)
check("bfloat16 has the range of float32 and needs no scale", bf16(small) > 0)

# %% [markdown]
# How large may the scale be? Nobody knows beforehand, so it is tried: if a gradient is infinite or
# NaN, the step is left out and the scale halved; after many good steps it is doubled. That is all
# of `torch.amp.GradScaler`.

# %%


def scaled_step(grads, scale):
    """Gradients of scale x loss in float16 -> those of the loss, or None; and the new scale."""
    grads = [g.float() / scale for g in grads]
    if all(g.isfinite().all() for g in grads):
        return grads, scale
    return None, scale / 2


good, kept = scaled_step([half(6.0), half(3.0)], 1024.0)
bad, lowered = scaled_step([half(6.0), half(70000.0)], 1024.0)
print("good:", [g.item() for g in good], kept, "  bad:", bad, lowered)

check("a good step is divided by the scale", good[0].item() == 6 / 1024 and kept == 1024)
check("an infinite gradient costs a step and halves the scale", bad is None and lowered == 512)

# %% [markdown]
# With bfloat16 there is no scaler. It is the choice on CPUs and on GPUs since 2020.
#
# ## Does it learn the same?
#
# The digits of lesson 26, twice: in float32, and with products in bfloat16.

# %%
train, test = data.digits()


def accuracy_after(epochs, mixed):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for x, y in zip(train.x.split(100), train.y.split(100), strict=True):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
                loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return (model(test.x).argmax(dim=1) == test.y).float().mean().item()


exact, mixed = accuracy_after(8, mixed=False), accuracy_after(8, mixed=True)
print(f"accuracy on new digits: float32 {exact:.3f}, mixed {mixed:.3f}")

check("both learn", exact > 0.85 and mixed > 0.85)
check("16 bits cost less than 3 of 100 digits", abs(exact - mixed) < 0.03)

# %% [markdown]
# ## What it saves
#
# By hand: Adam in float32 keeps for each weight the weight, its gradient and two moments, 4 x 4 =
# 16 bytes. With a bfloat16 copy for the products it is 18, *more*. What is halved are the
# activations that wait for backward, and for large batches they are most of the memory. And
# products take half the time or less, where the hardware multiplies 16 bits faster; on a CPU
# without such units they can even take longer. So measure.
#
# ## Where does the time go?
#
# A profiler writes down every operation of a step and how long it took. Give names to the parts
# with `record_function`. Here is a training step with a mistake in it that is easy to overlook.

# %%


def batch(number):
    """100 digits, prepared one by one."""
    rows = []
    for image in train.x[100 * number : 100 * number + 100]:
        time.sleep(0.003)  # a file is opened, a picture decoded
        rows.append((image - image.mean()) / image.std())
    return torch.stack(rows), train.y[100 * number : 100 * number + 100]


model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
optimizer = optim.Adam(model.parameters())


def step(number):
    with record_function("1 data"):
        x, y = batch(number)
    with record_function("2 forward"):
        loss = nn.functional.cross_entropy(model(x), y)
    with record_function("3 backward"):
        optimizer.zero_grad()
        loss.backward()
    with record_function("4 step"):
        optimizer.step()


step(0)  # the first call pays for much that later ones do not
with profile(activities=[ProfilerActivity.CPU]) as recorded:
    for number in range(1, 4):
        step(number)
events = recorded.key_averages()
parts = {event.key: event.cpu_time_total for event in events if event.key[:1].isdigit()}
for name, microseconds in sorted(parts.items()):
    share = microseconds / sum(parts.values())
    print(f"{name:11} {share:4.0%} {'█' * round(40 * share)}")

check("the profiler saw all four parts", len(parts) == 4)
check("the data take longer than the forward pass", parts["1 data"] > parts["2 forward"])

# %% [markdown]
# Half the bits would have changed nothing here: the model waits for its data. A GPU would be idle
# most of the time. By hand: if forward and backward are 10% of a step, how much is won by making
# them twice as fast? 5%. That is Amdahl's law: you can win no more than the share that you improve.
#
# Which operations are inside a part? The same record, sorted by the time of the operation itself.

# %%
operations = [event for event in recorded.key_averages() if not event.key[:1].isdigit()]
operations.sort(key=lambda event: event.self_cpu_time_total, reverse=True)
for event in operations[:5]:
    print(f"{event.key:32} {event.count:5} calls {event.self_cpu_time_total / 1000:8.2f} ms")

calls = {event.key: event.count for event in operations}
check("one call of std for each digit: 100 in each of 3 steps", calls["aten::std"] == 300)

# %% [markdown]
# Hundreds of calls for a batch are the sign of a Python loop over rows. The cure is one call for
# all: the means along an axis, lesson 08. On a GPU, `activities` takes `ProfilerActivity.CUDA` too,
# and `recorded.export_chrome_trace("trace.json")` draws the whole step as a timeline.

# %%


def batch_at_once(number):
    rows = slice(100 * number, 100 * number + 100)
    x = train.x[rows].flatten(1)
    return (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True), train.y[rows]


one_by_one, at_once = batch(2)[0].flatten(1), batch_at_once(2)[0]
with profile(activities=[ProfilerActivity.CPU]) as recorded:
    batch_at_once(2)
calls = {event.key: event.count for event in recorded.key_averages()}
print("calls of std:", calls["aten::std"])

check("the same numbers", torch.allclose(one_by_one, at_once, atol=1e-5))
check("from one call", calls["aten::std"] == 1)

# %% [markdown]
# ## What to keep
#
# - 16 bits for products; 32 for weights, sums, losses and the optimizer. autocast does just that.
# - float16 needs a scaled loss, because its range is small. bfloat16 does not.
# - 16 bits fail silently: an update vanishes, a sum stands still, a gradient is 0. Test a kernel
#   with such numbers.
# - Profile first. What is 10% of the time cannot save more than 10%.

# %% tags=["hide-input"]
check.done()
