# %% [markdown]
# # Lesson 29: A time means nothing until you know what was waited for
#
# Concepts: 8, 36, 90. Builds on lessons 05, 07, 12 and 26.
#
# "Mine is twice as fast." Everyone who writes kernels says that sooner or later, and often it is
# not true. Nobody lied; the clock was asked the wrong question. This lesson shows how a measurement
# can deceive you, on your own machine: the first call, the queue, the cache, the other programs.
# Then it gives you the one question that puts a speed into perspective: how fast could it possibly
# be?

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("29")

# %%
import math
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, nn
from scratchnet.course import best, chart
from scratchnet.measure import bench
from scratchnet.measure.roof import Roof
from scratchnet.ops import OPS

# %% [markdown]
# ## One run tells you nothing
#
# Start the clock, call, stop the clock. Here is the same call 40 times in a row.

# %%


def run(call):
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


torch.manual_seed(0)
a, b = torch.randn(300, 300), torch.randn(300, 300)
times = [run(lambda: scratchnet.matmul(a, b)) for _ in range(40)]
print("first five:", [f"{t:.3f}" for t in times[:5]], "ms")
middle = statistics.median(times)
print(f"shortest {min(times):.3f}   median {middle:.3f}   longest {max(times):.3f}")

spread = max(times) / min(times)
print(f"the longest took {spread:.1f} times as long as the shortest")
check("the numbers differ: which one would you report?", len(set(times)) > 1)

# %% [markdown]
# The work was the same each time. What differs is everything else. Three rules:
#
# - The **first calls** do not count. They load code, allocate memory, start threads, and with
#   `torch.compile` or Triton they compile, which takes seconds. Call a few times before you measure:
#   the **warm-up**.
# - Other programs can only make a run *longer*. So the shortest run says most about your code, and
#   the **median**, the one in the middle, says most about what a user will see. The mean is pulled
#   up by a single bad run.
# - Say which one you report, and how much it varied.
#
# `time.perf_counter` is the clock for this. `time.time` may jump when the computer sets its clock.
#
# ## Too small to see
#
# A call costs something before any number is touched: Python, checks, choosing a kernel. For small
# tensors that is nearly all the time. So a benchmark of small tensors compares overheads, not
# kernels.

# %%
for n in (1, 1000, 1_000_000):
    x = torch.randn(n)
    each = best(lambda x=x: [scratchnet.gelu(x) for _ in range(10)]) / 10
    print(f"{n:9,} numbers: {1000 * each:8.1f} us, {1e6 * each / n:10.2f} ns for each number")

one, thousand = torch.randn(1), torch.randn(1000)
small = best(lambda: [scratchnet.gelu(one) for _ in range(100)])
larger = best(lambda: [scratchnet.gelu(thousand) for _ in range(100)])
check.timed("1000 numbers do not take a hundred times as long as one", larger < 100 * small)

# %% [markdown]
# Note the loop inside the timed part: when a call takes about as long as reading the clock, time
# many calls and divide.
#
# ## The queue
#
# A graphics card is a second computer. When you call a kernel, Python only puts it into a **queue**
# and carries on at once; the card works through the queue on its own. The clock is in Python. So it
# measures how long it takes to *ask*. You have to wait for the answer before you stop the clock:
# `torch.cuda.synchronize()`.
#
# You do not need a card to see it. Here is a "device" made of a thread with a queue: `submit` asks,
# `result` waits.

# %%
device = ThreadPoolExecutor(max_workers=1)
large = torch.randn(1000, 1000)

start = time.perf_counter()
answer = device.submit(lambda: large @ large @ large)  # asked
asked = time.perf_counter() - start
product = answer.result()  # and waited for: this is what synchronize does
done = time.perf_counter() - start
device.shutdown()
print(f"asked after {1e6 * asked:.0f} us, done after {1e6 * done:.0f} us")

check("the answer came", torch.allclose(product, large @ large @ large, rtol=1e-3, atol=1e-1))
check("without waiting you measure less than a third", asked < done / 3)

# %% [markdown]
# Wait *before* the start as well, or your clock pays for what was already in the queue. Some things
# wait without being asked, because they need the numbers: `.item()`, `.cpu()`, `print`. They are
# why a loop with `loss.item()` in every step is slower on a card, and why time seems to be spent in
# a harmless print. On the CPU torch has no such queue: when a call returns, its result is there.
#
# ## Devices
#
# One line chooses the device (lesson 01). Create tensors there, or move what exists with
# `.to(device)`: for a tensor that gives a new one, for a module it moves the parameters in place.
# Operands must be on the same device. torch does not move them for you, because a move is slow and
# you should know about it. You can try that without a card: the device "meta" is on every machine.
# Its tensors have a shape and no numbers.

# %%
device = "cuda" if torch.cuda.is_available() else "cpu"
x = torch.ones(4, 3, device=device)
model = nn.Linear(3, 2).to(device)
print(f"a graphics card: {torch.cuda.is_available()}; the result is on {model(x).device}")
check("the result is where the operands are", model(x).device == x.device)

try:
    model.to("meta")(x)
except RuntimeError as error:
    message = str(error)
    print(message)
check("two devices do not mix: both are named", device in message and "meta" in message)

# %% [markdown]
# ## The cache
#
# Between the processor and its memory there are **caches**: small, fast copies of what was used
# last. A benchmark that calls the same thing on the same tensors finds everything there, **warm**.
# In a real network other layers have used the cache in the meantime: **cold**. `scratchnet bench
# --cold` measures both. Below, 256 MB are written in between.

# %%
x = torch.randn(250_000)  # 1 MB
flush = torch.empty(2**28, dtype=torch.uint8)


def cold():
    flush.zero_()
    return run(lambda: x.sum())


warm_ms, cold_ms = best(lambda: x.sum(), times=20), min(cold() for _ in range(4))
print(f"sum of 1 MB: warm {warm_ms:.3f} ms, cold {cold_ms:.3f} ms")
check.timed("the same sum takes longer when none of it is in the cache", cold_ms > warm_ms)

# %% [markdown]
# ## Side by side
#
# To compare two programs, let them run *in turns*: A B, B A, A B. If the machine slows down, it
# slows both. Divide within each round, and take the median of these ratios. And compare equals: the
# same inputs, dtype, number of threads; both with the backward, or both without; both right. (It is
# easy for a wrong kernel to be fast.) That is what `scratchnet bench` does; it does not time a
# kernel that is not right. Above 1 means faster than torch's own; in brackets the middle half of
# the rounds.

# %%
roof = Roof.measure("cpu", torch.float32)
op = OPS["layer_norm"]
names = backends.runnable(op)
names = tuple(name for name in names if not name.startswith("triton"))  # interpreted: no speed
settings = bench.Settings(names, torch.float32, seconds=0.1, roof=roof)
results = bench.case(op, next(iter(op.examples)), 500, 512, settings)
for result in results:
    for timing in result.timings:
        low, middle, high = timing.ratio
        milliseconds = 1e3 * timing.seconds.median
        print(f"{result.backend:8}{timing.direction:17}{milliseconds:8.2f} ms", end="")
        print(f"{middle:6.2f} times torch's speed ({low:.2f} to {high:.2f})")

right = all(result.check.ok for result in results)
check("every backend was judged before it was timed", right)
lines = [timing.ratio for result in results for timing in result.timings]
check("a ratio comes with its spread", all(r.low <= r.median <= r.high for r in lines))

# %% [markdown]
# ## How fast could it be?
#
# A ratio to another program says little if that one is slow. Ask the machine instead. It has two
# limits: how many bytes its memory moves per second, the **bandwidth**, and how many flops its
# units compute per second. scratchnet measures both: the bandwidth with a long addition, the
# arithmetic with multiply-adds that stay in the registers (or with a large product, where the
# compiled module is missing).
#
# A kernel has to move certain bytes and do certain flops, no matter who writes it. So no kernel can
# take less than the longer of the two times:
#
#     time >= max(bytes / bandwidth, flops / arithmetic)
#
# Divide flops by bytes: the **intensity**. If it is low, memory decides, and better arithmetic is
# wasted: the kernel is **memory-bound**. If it is high, it is **compute-bound**. Between them lies
# the **ridge**. Plotted against the intensity, the limit looks like a roof, so this is called a
# **roofline**.

# %%
ridge = roof.arithmetic / roof.bandwidth
print(f"{roof.bandwidth / 1e9:.1f} GB/s, {roof.arithmetic / 1e9:.0f} GFLOP/s", end="; ")
print(f"ridge: {ridge:.1f} flops per byte")

x, w = torch.randn(512, 1024), torch.randn(1024, 1024)
calls = {
    "gelu": lambda: scratchnet.gelu(x),
    "layer_norm": lambda: scratchnet.layer_norm(x, (1024,)),
    "matmul": lambda: scratchnet.matmul(x, w),
}
arguments = {"gelu": (x,), "layer_norm": (x, (1024,)), "matmul": (x, w)}
intensity, dots = {}, {}
for name, call in calls.items():
    cost = OPS[name].cost(*arguments[name])
    intensity[name] = cost.forward_flops / cost.forward_bytes
    limit = max(cost.forward_bytes / roof.bandwidth, cost.forward_flops / roof.arithmetic)
    seconds = best(call) / 1000
    dots[name] = math.log10(intensity[name]), cost.forward_flops / seconds / 1e9
    print(f"{name:11} {intensity[name]:6.2f} flops per byte", end="   ")
    print(f"at least {1e3 * limit:.3f} ms, measured {1e3 * seconds:.3f} ms")

# %%
across = [k / 20 for k in range(-20, 61)]  # log10 of the intensity
limits = [min(10**k * roof.bandwidth, roof.arithmetic) / 1e9 for k in across]
curves = {"roof (GFLOP/s over log10 of flops per byte)": (across, limits)}
curves |= {name: ([x], [y]) for name, (x, y) in dots.items()}
print(chart(curves, log=True))

few = max(intensity["gelu"], intensity["layer_norm"])
check("GELU and LayerNorm: few flops per byte", few < 10)
check("a matrix product: many", intensity["matmul"] > 10 * intensity["gelu"])

# %% [markdown]
# A dot *above* the roof? Then its data came from a cache, which is faster than the memory that was
# measured; or something else is wrong. "Faster than possible" is not a medal, it is a bug report:
# in most cases nobody waited for the answer, or nothing was computed.
#
# `scratchnet bench --plot roof.png` draws this picture for every operator.
#
# It also tells you what to improve. A memory-bound kernel gets faster by moving less: **fuse** it
# with its neighbour, so that the numbers in between are never written. Or make the numbers smaller.
#
# ## Smaller numbers: mixed precision
#
# bfloat16 takes half the bytes (lesson 01), and has only two or three digits. So use it where it
# does no harm. Under `torch.autocast`, matrix products run in bfloat16, while parameters, sums and
# losses stay in float32. That is **mixed precision**.

# %%
torch.manual_seed(0)
model = nn.Linear(64, 10)
x, y = torch.randn(32, 64), torch.randint(10, (32,))
with torch.autocast("cpu", dtype=torch.bfloat16):
    logits = model(x)
    loss = F.cross_entropy(logits, y)
exact = F.cross_entropy(model(x), y)
loss.backward()
print(f"logits {logits.dtype}, loss {loss.dtype}, gradient {model.weight.grad.dtype}")
print(f"loss {loss:.4f}, all in float32 {exact:.4f}")

check("the product is in bfloat16", logits.dtype == torch.bfloat16)
check("loss and gradient are float32", loss.dtype == model.weight.grad.dtype == torch.float32)
check("two digits are right", abs(loss - exact) < 0.02 * exact)

# %% [markdown]
# (float16 has a narrow range: small gradients become 0 in it. So the loss is multiplied by a large
# number before the backward and the gradients are divided by it afterwards:
# `torch.amp.GradScaler`.)
#
# ## Large batches in small pieces
#
# When a batch does not fit into memory, feed it in pieces, and call `step` only after the last one.
# Gradients add up by themselves (lesson 12). The loss is a mean over its piece, so multiply it by the
# piece's share of the batch: here a quarter.

# %%
whole = torch.autograd.grad(F.cross_entropy(model(x), y), model.weight)[0]
model.zero_grad()
for piece, target in zip(x.split(8), y.split(8), strict=True):
    (F.cross_entropy(model(piece), target) / 4).backward()

same = torch.allclose(model.weight.grad, whole, atol=1e-6)
check("four pieces of 8 have the gradient of 32", same)

# %% [markdown]
# ## What to keep
#
# - warm up; time many runs; report the median or the shortest, and the spread
# - wait for the device before you start the clock and before you stop it
# - compare in turns, with equal inputs, and only kernels that are right
# - least time = max(bytes / bandwidth, flops / arithmetic); faster than that is a bug
# - low intensity: move less, fuse; high intensity: keep the units busy

# %% tags=["hide-input"]
check.done()
