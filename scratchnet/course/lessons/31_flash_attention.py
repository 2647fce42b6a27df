# %% [markdown]
# # Lesson 31: Attention without its table
#
# Concepts: 29, 85. Builds on lessons 10, 13 and 28.
#
# Attention compares every word with every word. For 4,096 words that is a table of 16,777,216
# scores, for each head and each sentence, and lesson 28 wrote it down, took a softmax of it and
# wrote it down again. FlashAttention gives the same result and never has the table: it needs a few
# numbers for each query, whatever the number of keys. The idea fits into three lines. You will find
# them yourself, first for a sum, then for attention, forward and backward.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("31")

# %%
import math

import torch

import scratchnet

torch.manual_seed(0)

# %% [markdown]
# ## What the table costs
#
# One head, T queries and T keys: T x T scores of 4 bytes. Before you run the cell: how many bytes
# is that for T = 4,096? 4,096 is 2^12, so 2^24 scores and 2^26 bytes: 64 MB. The inputs, three
# arrays of T x 64 numbers, are 3 MB.

# %%
for T in (512, 4096, 32768):
    table, inputs = T * T * 4, 3 * T * 64 * 4
    print(f"{T:6} words: input {inputs / 2**20:6.2f} MB, scores {table / 2**20:8.0f} MB")

check("for 4,096 words the table is 64 MB", 4096 * 4096 * 4 == 64 * 2**20)
check("twice the words, four times the table", (2 * 512) ** 2 == 4 * 512**2)

# %% [markdown]
# Memory is not the only cost. The table is written, read for the softmax, written, and read again
# for the values, while the arithmetic units wait. Fewer bytes are what makes FlashAttention fast;
# it computes no fewer products.
#
# Here is the attention of lesson 28 without a mask, to compare with.

# %%


def with_table(q, k, v):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return scores.softmax(dim=-1) @ v


q, k, v = (torch.randn(6, 4) for _ in range(3))
print(with_table(q, k, v).shape)

heads = [t[None, None] for t in (q, k, v)]  # (1, 1, T, d)
theirs = scratchnet.scaled_dot_product_attention(*heads)[0, 0]
check("it is the library's", torch.allclose(with_table(q, k, v), theirs, atol=1e-6))

# %% [markdown]
# ## A sum of exponentials from left to right
#
# The softmax stands in the way: a weight is `exp(score - m) / s`, where m is the largest score and
# s the sum of all exponentials (lesson 10). Both are known only when all scores are. So it seems
# that the scores have to be kept.
#
# Take s first. Walk along the scores and keep two numbers, m, the largest *so far*, and s, the sum
# of `exp(x - m)` *so far*. A score that is not larger than m adds `exp(x - m)`. A larger one makes
# every term of s too large, all by the same factor: `exp(x - new m)` is `exp(x - old m)` times
# `exp(old m - new m)`. So one multiplication corrects the whole sum, however many terms it has.
#
# By hand: the scores 1, 3. After 1: m = 1, s = 1. Then 3 is larger: s = 1 x exp(1 - 3) + 1 = 1.135.

# %%


def push(m, s, x):
    new = max(m, x)
    return new, s * math.exp(m - new) + math.exp(x - new)


def walk(scores):
    m, s = -math.inf, 0.0
    for x in scores:
        m, s = push(m, s, x)
    return m, s


print("after 1:", walk([1.0]), "  after 3:", walk([1.0, 3.0]))

check("1, 3 gives m = 3 and s = 1.135", math.isclose(walk([1.0, 3.0])[1], 1.1353, rel_tol=1e-4))
check("the order does not matter", math.isclose(walk([3.0, 1.0])[1], walk([1.0, 3.0])[1]))
check("1000 is no danger", walk([1000.0, 1000.0]) == (1000.0, 2.0))

# %% [markdown]
# It begins with m = minus infinity and s = 0: `exp(-inf)` is 0, so the first score takes over. And
# m + log(s) is the logsumexp of lesson 10, from one walk.

# %%
many = torch.randn(1000, dtype=torch.float64) * 5
m, s = walk(many.tolist())
print("logsumexp, one walk:", m + math.log(s), "  torch's:", torch.logsumexp(many, 0).item())

check(
    "m + log(s) is logsumexp",
    math.isclose(m + math.log(s), torch.logsumexp(many, 0).item(), rel_tol=1e-12),
)

# %% [markdown]
# ## Two walks are joined
#
# Nothing says that the numbers must come one by one. Let one thread walk along the left half and
# another along the right half. Each brings its pair. The larger m wins, and the other sum is
# corrected by the same factor as before:
#
#     M = max(m, m'),   S = s exp(m - M) + s' exp(m' - M)
#
# By hand: (0, 2) and (1, 3), with e^-1 = 0.368. M = 1, S = 2 x 0.368 + 3 = 3.736.

# %%


def join(left, right):
    (m, s), (other_m, other_s) = left, right
    top = max(m, other_m)
    return top, s * math.exp(m - top) + other_s * math.exp(other_m - top)


print(join((0.0, 2.0), (1.0, 3.0)))
halves = join(walk(many[:500].tolist()), walk(many[500:].tolist()))

check(
    "the pair of a hand calculation",
    math.isclose(join((0.0, 2.0), (1.0, 3.0))[1], 3.7358, rel_tol=1e-4),
)
check("two halves are the whole", math.isclose(halves[1], s, rel_tol=1e-12) and halves[0] == m)

# %% [markdown]
# `push` is `join` with the pair of one number, (x, 1). All that follows uses `join`, with a block
# of numbers at a time.
#
# ## The same with values
#
# Attention wants more than s: the sum of `exp(score - m) value`. Call it acc. It has the same
# exponentials as s, so it is corrected by the same factor. At the end the result is acc / s.
#
# By hand: scores 0 and log 3, values 1 and 5. After the first: m = 0, s = 1, acc = 1. The factor is
# exp(0 - log 3) = 1/3. So s = 1/3 + 1 = 4/3 and acc = 1/3 + 5 = 16/3, and acc / s = 4. Directly:
# the weights are 1/4 and 3/4, and 1/4 + 15/4 = 4.

# %%


def one_query(scores, values):
    m, s, acc = -math.inf, 0.0, 0.0
    for x, value in zip(scores, values, strict=True):
        new = max(m, x)
        factor, power = math.exp(m - new), math.exp(x - new)
        m, s, acc = new, s * factor + power, acc * factor + power * value
        print(f"  score {x:6.3f}: m {m:.3f}, s {s:.3f}, acc {acc:.3f}")
    return acc / s


result = one_query([0.0, math.log(3)], [1.0, 5.0])
print("result", result)

check("the weights 1/4 and 3/4 give 4", math.isclose(result, 4.0))

# %% [markdown]
# ## FlashAttention, forward
#
# Now all queries at once, and keys in blocks. For each block: its scores, T x block of them, are
# made, used and forgotten. What stays is one m, one s and one row of acc for each query.
#
# A causal mask costs nothing extra: a block whose keys all come after a query is not even visited
# by a kernel. Here it is hidden with minus infinity, as in lesson 28.

# %%


def flash(q, k, v, block, causal=False):
    T, scale = len(q), 1 / math.sqrt(q.shape[1])
    m = torch.full((T, 1), -math.inf, dtype=q.dtype)
    s, acc = torch.zeros_like(m), torch.zeros(T, v.shape[1], dtype=q.dtype)
    for first in range(0, len(k), block):
        keys = torch.arange(first, min(first + block, len(k)))
        scores = q @ k[keys].T * scale  # (T, block): the only part of the table there is
        if causal:
            scores = scores.masked_fill(keys[None, :] > torch.arange(T)[:, None], -math.inf)
        new = torch.maximum(m, scores.amax(dim=1, keepdim=True))
        factor, powers = (m - new).exp(), (scores - new).exp()
        s = s * factor + powers.sum(dim=1, keepdim=True)
        acc = acc * factor + powers @ v[keys]
        m = new
    return acc / s, m + s.log()  # and the logsumexp of each query, for backward


q, k, v = (torch.randn(300, 16, dtype=torch.float64) for _ in range(3))
for block in (1, 7, 64, 300):
    out, lse = flash(q, k, v, block)
    difference = (out - with_table(q, k, v)).abs().max()
    print(f"block {block:3}: largest difference {difference:.1e}")
    check(f"blocks of {block} give the same", difference < 1e-12)

# %% [markdown]
# The block size changes the last digits and nothing else. A kernel chooses it so that a block of
# keys and values fits into the fast memory of a core, 64 or 128 on most GPUs.

# %%
heads = [t[None] for t in (q, k, v)]
theirs = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)[0]
ours, _ = flash(q, k, v, 64, causal=True)
print(f"causal: largest difference {(ours - theirs).abs().max():.1e}")

check("the causal mask fits in", torch.allclose(ours, theirs, atol=1e-12))

# %% [markdown]
# ## Backward: the table is made again
#
# Backward needs the weights p. Saving them would bring the table back. But any block of them can be
# made again from q, k and one number for each query, the logsumexp: `p = exp(score - lse)`. That is
# why `flash` returns it.
#
# The rest is lesson 13's chain rule. With dout, the gradient that comes in:
#
#     dv = p^T dout                       values were weighted by p
#     dp = dout v^T                       how the loss changes with each weight
#     ds = p (dp - sum of p dp)           softmax, the sum along the row of keys
#     dq = ds k / sqrt(d),  dk = ds^T q / sqrt(d)
#
# One thing seems to need the whole row: the sum of p dp over all keys. Look at it: dp_j is dout ·
# v_j, so the sum of p_j dp_j is dout · (sum of p_j v_j), and the bracket is `out`. One dot product
# for each query, before the walk begins. That is the second trick of FlashAttention.
#
# By hand: p = 1/4, 3/4, values 1 and 5, dout = 2. dp = 2, 10; the sum of p dp = 0.5 + 7.5 = 8. And
# dout x out = 2 x 4 = 8.

# %%


def flash_backward(q, k, v, out, lse, dout, block):
    scale = 1 / math.sqrt(q.shape[1])
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    D = (dout * out).sum(dim=1, keepdim=True)  # (T, 1)
    for first in range(0, len(k), block):
        keys = slice(first, first + block)
        p = (q @ k[keys].T * scale - lse).exp()  # (T, block), as in forward
        ds = p * (dout @ v[keys].T - D)
        dv[keys] = p.T @ dout
        dk[keys] = ds.T @ q * scale
        dq += ds @ k[keys] * scale
    return dq, dk, dv


leaves = [t.clone().requires_grad_() for t in (q, k, v)]
dout = torch.randn_like(q)
expected = torch.autograd.grad(with_table(*leaves), leaves, dout)
out, lse = flash(q, k, v, 64)
gradients = flash_backward(q, k, v, out, lse, dout, 64)
for name, mine, right in zip("qkv", gradients, expected, strict=True):
    print(f"gradient of {name}: largest difference {(mine - right).abs().max():.1e}")
    check(f"the gradient of {name} is autograd's", torch.allclose(mine, right, atol=1e-11))

check("the sum of p dp is dout · out", math.isclose(0.25 * 2 + 0.75 * 10, 2 * 4.0))

# %% [markdown]
# Every block of scores is computed twice, once forward and once backward: 7 products of matrices in
# place of 6. More arithmetic, less memory, and faster: the products run at the speed of the matrix
# units, the table only at that of memory.
#
# ## What autograd keeps
#
# Hooks show what a forward pass saves for its backward. Count the numbers, for one head of 512
# words.

# %%


def saved(function, *inputs):
    kept = {}

    def note(t):
        memory = t.untyped_storage()
        kept[memory.data_ptr()] = memory.nbytes() // t.element_size()
        return t

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        result = function(*(t.clone().requires_grad_() for t in inputs))
    return sum(kept.values()), result


T, d = 512, 32
q, k, v = (torch.randn(1, 1, T, d) for _ in range(3))
table_kept, _ = saved(with_table, q, k, v)
with scratchnet.backend("cpp"):
    flash_kept, _ = saved(scratchnet.scaled_dot_product_attention, q, k, v)
print(f"inputs {3 * T * d}; kept with the table {table_kept}, by our kernel {flash_kept}")

check("with a table, at least T x T numbers are kept", table_kept >= T * T)
check(
    "our kernel keeps q, k, v, out and one number for each query, give or take",
    flash_kept <= 4 * T * d + 4 * T,
)

# %% [markdown]
# Our C++ kernel is this lesson in C++, as are the Triton and CUDA ones: `scratchnet ladder
# attention` lists its rungs. To write it yourself, in C++ or in CUDA, begin with `scratchnet learn
# K26`.
#
# ## What to keep
#
# - A softmax can be computed from left to right: when the largest number changes, one factor
#   corrects all that was summed so far.
# - Two parts are joined by the same factor. That makes it a matter of blocks, threads and machines.
# - The weighted sum of values takes the same factor: attention without its table.
# - Backward makes the scores again from one number for each query, and the sum of p dp is dout ·
#   out.

# %% tags=["hide-input"]
check.done()
