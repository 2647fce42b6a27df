# %% [markdown]
# # Lesson 28: Attention lets every word ask all words before it
#
# Concepts: 84, 85, 86, 89. Builds on lessons 10, 19, 20, 22, 23 and 26.
#
# A language model does one thing: it reads what is there and says how likely each possible next
# word is. The large ones you know and the small one you build here are the same machine in
# different sizes. This lesson adds the last part, attention, which is two matrix products with a
# softmax between them. Then five primitives work together: gather, LayerNorm, matmul, GELU and
# cross-entropy. At the end your model invents first names, and you can calculate what a model of 8
# billion numbers costs.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("28")

# %%
import math
import string

import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, data, nn, optim, training
from scratchnet.course import chart, picture
from scratchnet.ops import OPS

# %% [markdown]
# ## The task: the next letter
#
# We have 5,163 first names. Our "words" are letters, the ids 1 to 26; a model that reads words, or
# pieces of words, differs only in the size of its table. Such a unit is called a **token**. Id 0 is
# the boundary: it begins a name and ends it. From "eve" the model has to learn four things:
#
#     seen       .   .e  .ev  .eve
#     next       e   v   e    .
#
# One row of tokens holds all four: the input is the name with the boundary in front, the target is
# the same, moved one place to the left. Names differ in length, so the rest of a row is filled up,
# and the target there is -100, which `cross_entropy` leaves out (lesson 18).

# %%
train, test = data.names()
vocabulary = data.Vocabulary(string.ascii_lowercase)
T = 1 + max(map(len, train + test))


def rows(names):
    """Tokens (N, T) and targets (N, T)."""
    tokens = torch.zeros(len(names), T, dtype=torch.int64)
    targets = torch.full_like(tokens, -100)
    for row, target, name in zip(tokens, targets, names, strict=True):
        row[1 : len(name) + 1] = target[: len(name)] = vocabulary.encode(name)
        target[len(name)] = 0
    return tokens, targets


tokens, targets = rows(train)
new_tokens, new_targets = rows(test)
eve_tokens, eve_targets = rows(["eve"])
print("tokens ", eve_tokens[0].tolist())
print("targets", eve_targets[0].tolist())

moved_left = eve_tokens[0, 1:4].equal(eve_targets[0, :3])
check("the target is the input, one place to the left", moved_left)

# %% [markdown]
# ## The baseline: count pairs
#
# Before you train anything, find out how far you get with something simple. Count how often each
# letter follows each letter, and use the proportions as probabilities (with 1 added to every count,
# so that nothing is impossible). Such a table of pairs is called a **bigram** model. It sees one
# letter and forgets the rest.

# %%


def pairs(tokens, targets):
    real = targets != -100
    return tokens[real], targets[real]


before, after = pairs(tokens, targets)
counts = torch.ones(27, 27)
counts.index_put_((before, after), torch.ones(len(after)), accumulate=True)  # scatter-add
bigram = (counts / counts.sum(dim=1, keepdim=True)).log()  # (27, 27): log probabilities

before, after = pairs(new_tokens, new_targets)
baseline = -bigram[before, after].mean().item()
print(f"guessing: {math.log(27):.3f} nats per letter   pairs: {baseline:.3f}")
q, u = vocabulary.encode("qu").tolist()
print(f"after q comes u with probability {bigram[q, u].exp():.2f}")

check("pairs are far better than guessing", baseline < math.log(27) - 0.5)

# %% [markdown]
# ## Attention: a soft lookup
#
# To do better, a letter must know what came before it, further back than one place. Fixed weights
# cannot do that: which place matters depends on what is there.
#
# So let every token ask. It turns itself into three vectors, with three linear layers:
#
# - a **query**: what am I looking for?
# - a **key**: what do I have to offer?
# - a **value**: what will I say, if you choose me?
#
# Query and key are compared by a dot product (lesson 07). Softmax turns the results into weights,
# and the token receives the weighted mean of the values. A gather takes *one* row of a table;
# attention takes a bit of each, and so it has a gradient with respect to the choice.
#
#     scores  = Q @ K.T / sqrt(d)       (T, T): row t: how much t cares about each
#     weights = softmax(scores)         each row sums to 1
#     Y       = weights @ V             (T, d)

# %%
K = torch.tensor([[8.0, 0.0], [0.0, 8.0], [-8.0, 0.0]])  # keys: right, up, left
V = torch.tensor([[1.0], [2.0], [3.0]])
Q = torch.tensor([[8.0, 0.0], [0.0, 8.0], [5.0, 5.0], [0.0, 0.0]])
weights = F.softmax(Q @ K.T / math.sqrt(2), dim=-1)
Y = weights @ V
for query, row, y in zip(Q.tolist(), weights.tolist(), Y[:, 0].tolist(), strict=True):
    print(f"query {query!s:11} weights {[f'{w:.2f}' for w in row]}  result {y:.2f}")

check("a query like key 1 gets value 1", Y[1].allclose(V[1]))
check("halfway between two keys: the mean of the two", Y[2].allclose((V[0] + V[1]) / 2))
check("a query that asks nothing gets the mean of all", Y[3].allclose(V.mean()))

# %% [markdown]
# Why divide by sqrt(d)? A dot product of two random vectors of d numbers is a sum of d products,
# and such a sum grows like sqrt(d). For large d the scores would be large, the softmax nearly 0 or
# 1, and its gradient nearly 0 (lesson 10: a low temperature). The division keeps the scores at size
# 1.

# %%
torch.manual_seed(0)
for d in (4, 64, 1024):
    q, k = torch.randn(200, d), torch.randn(200, d)
    scores = q @ k.T
    both = scores, scores / math.sqrt(d)
    raw, scaled = (F.softmax(s, dim=-1).max(dim=-1).values.mean() for s in both)
    print(f"d {d:4}: scores of size {scores.std():5.1f}", end="; ")
    print(f"largest weight {raw:.2f}, scaled {scaled:.2f}")

check("unscaled, scores grow like sqrt(d)", 0.9 < scores.std() / math.sqrt(d) < 1.1)
check("unscaled, one takes nearly all; scaled, none does", raw > 0.8 and scaled < 0.2)

# %% [markdown]
# ## No looking ahead
#
# Our rows hold the answers: the target of place t is the token at place t + 1. If a token may ask
# later ones, it learns to copy, the loss goes to 0, and the model is worthless: when it writes,
# there is nothing to copy from. So later places are hidden: their score becomes minus infinity
# *before* the softmax, and their weight exactly 0. That is the **causal mask**.
#
# There is a test for it that you should run on every model you write: change the last token, and
# nothing before it may change.


# %%
def attention(q, k, v, causal):
    scores = scratchnet.matmul(q, k.mT) / math.sqrt(q.shape[-1])  # (..., T, T)
    if causal:
        steps = torch.arange(q.shape[-2])
        scores = scores.masked_fill(steps[:, None] < steps, -math.inf)
    return scratchnet.matmul(F.softmax(scores, dim=-1), v)


x = torch.randn(5, 8)  # (T, C)
other = x.clone()
other[4] += 1
same = {}
for causal in (False, True):
    moved = attention(x, x, x, causal) - attention(other, other, other, causal)
    same[causal] = (moved == 0).all(dim=-1).tolist()
    print(f"causal {causal!s:6} unchanged: {same[causal]}")

check("without the mask the future leaks into the past", not any(same[False]))
check("with it, only the last place changes", same[True] == [True] * 4 + [False])

# %% [markdown]
# ## Heads
#
# One softmax can look at one thing. So the C numbers are divided into **heads** of d = C / heads,
# each of which asks its own question; the answers are put side by side, and one more linear layer
# mixes them. (B, T, C) becomes (B, T, heads, d) and then, transposed, (B, heads, T, d): the heads
# are a batch axis (lesson 05). `nn.MultiheadAttention` is this, with the three linear layers in one
# matrix.

# %%
torch.manual_seed(0)
B, C, heads = 2, 12, 3
layer = nn.MultiheadAttention(C, heads, batch_first=True)
x = torch.randn(B, 5, C)
together = F.linear(x, layer.in_proj_weight, layer.in_proj_bias)  # (B, T, 3 C)
parts = together.reshape(B, 5, 3, heads, C // heads)
q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, T, d)
y = attention(q, k, v, causal=False).transpose(1, 2).reshape(B, 5, C)
y = layer.out_proj(y)

theirs, weights = layer(x, x, x)
check("by hand, head by head, it is the layer's result", torch.allclose(y, theirs, atol=1e-6))
check("each row of weights sums to 1", weights.sum(dim=-1).allclose(torch.ones(B, 5)))

turned = layer(x.flip(1), x.flip(1), x.flip(1))[0].flip(1)
check("words in another order: the same answers", torch.allclose(turned, theirs, atol=1e-6))

# %% [markdown]
# Look at the last check. Attention does not know the order of the words: "dog bites man" and "man
# bites dog" are the same to it. So the order is put into the tokens: a second embedding table with
# a row for each *position* (lesson 22) is added to the first.
#
# ## The block
#
# Attention moves information *between* places. The feed-forward network of lesson 20 (C -> 4 C ->
# C) then works on each place alone. Two more things hold them together. Each is applied to a
# normalised copy (LayerNorm, lesson 23), and its result is *added* to what was there:
#
#     x = x + attention(norm(x))
#     x = x + feed_forward(norm(x))
#
# The `x +` is called a **residual connection**. Backwards, the gradient of a sum goes to both terms
# unchanged, so there is a way past every block along which it does not shrink. Look at what arrives
# at the bottom of 24 blocks:

# %%
torch.manual_seed(0)
blocks = [nn.FeedForward(16) for _ in range(24)]
arrives = {}
for residual in (False, True):
    x = torch.randn(8, 16, requires_grad=True)
    y = x
    for block in blocks:
        y = y + block(y) if residual else block(y)
    (dx,) = torch.autograd.grad(y.sum(), x)
    arrives[residual] = dx.norm().item()
    print(f"residual {residual!s:6} gradient at the bottom {arrives[residual]:.1e}")

check("without residuals it dies on the way", arrives[False] < 1e-6 * arrives[True])

# %% [markdown]
# The norm *before* each part, as here, is called **pre-norm**; GPT-2 and nearly all models since do
# so. The first transformer had it after the sum, **post-norm**: x = norm(x + attention(x)). There
# every gradient has to pass every norm, and training deep models needs a warm-up (lesson 26).
#
# `nn.TransformerEncoderLayer` has both; post-norm is its default, as in torch.

# %%
x = torch.randn(2, 5, 12)
for norm_first in (False, True):
    layer = nn.TransformerEncoderLayer(12, 3, 48, 0.0, batch_first=True, norm_first=norm_first)

    def ask(x, layer=layer):
        return layer.self_attn(x, x, x)[0]

    def forward(x, layer=layer):
        return layer.linear2(F.relu(layer.linear1(x)))

    if norm_first:
        y = x + ask(layer.norm1(x))
        y = y + forward(layer.norm2(y))
    else:
        y = layer.norm1(x + ask(x))
        y = layer.norm2(y + forward(y))
    name = "pre-norm" if norm_first else "post-norm"
    check(f"{name}: two lines are the layer", torch.allclose(layer(x), y, atol=1e-5))

# %% [markdown]
# ## The model
#
# Token table plus position table, some blocks, a last norm, and a linear layer to one logit for
# each token. That layer shares its matrix with the token table (lesson 14).

# %%
torch.manual_seed(0)
model = nn.TransformerLM(27, embed_dim=32, num_heads=4, num_layers=2, context_length=T)
print(model.blocks[0])
start = model.loss(new_tokens, new_targets).item()
print(f"{sum(p.numel() for p in model.parameters()):,} numbers; loss untrained {start:.3f}")

check("untrained it guesses among 27", abs(start - math.log(27)) < 0.1)

few = new_tokens[:3, :6], new_targets[:3, :6]
with torch.no_grad():
    for name in backends.runnable(OPS["matmul"]):
        with scratchnet.backend(name):
            loss = model.loss(*few).item()
        print(f"{name:8} {loss:.5f}")
        check(f"{name}: the same loss", abs(loss - model.loss(*few).item()) < 1e-4)

# %% [markdown]
# ## Milestone: names
#
# The loop is the one from lesson 26.

# %%
EPOCHS = 4
optimizer = optim.AdamW(model.parameters(), lr=5e-3)
batches = training.Batches(tokens, targets, batch_size=64, seed=0)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(batches))
curve = []
for _ in range(EPOCHS):
    for x, y in batches:
        optimizer.zero_grad()
        loss = model.loss(x, y)
        loss.backward()
        optimizer.step()
        scheduler.step()  # here after every batch
        curve.append(loss.item())
with torch.no_grad():
    result = model.loss(new_tokens, new_targets).item()
means = torch.tensor(curve[: len(curve) // 5 * 5]).reshape(-1, 5).mean(dim=1).tolist()
steps = range(0, 5 * len(means), 5)
print(chart({"loss": (steps, means), "pairs": (steps, [baseline] * len(means))}))
print(f"names it has not seen: {result:.3f} nats per letter; pairs {baseline:.3f}")

check("better than counting pairs, on new names", result < baseline)

changed = new_tokens.clone()
changed[:, -1] = 5
with torch.no_grad():
    future = (model(new_tokens)[:, :-1] - model(changed)[:, :-1]).abs().max().item()
check("and without cheating: the last token does not touch the past", future < 1e-6)

# %% [markdown]
# What does it look at? Here are the weights of its second block for one name, one map per head: dark
# means a large weight. The future lies above the diagonal, and all of it is white. The first row
# can ask only itself. Some heads spread their weight over all that came before. Look for one with a
# dark column: it has found something that every later letter wants to know. In our run that is the
# vowel, for one head; nobody has told the model what a vowel is.

# %%
name = "christopher"
letters = torch.cat([torch.zeros(1, dtype=torch.int64), vocabulary.encode(name)])
steps = torch.arange(len(letters))
first, second = model.blocks
mask = steps[:, None] < steps
with torch.no_grad():
    x = model.token_embedding(letters) + model.position_embedding(steps)  # (T, C)
    y = second.norm1(first(x[None], mask))
    _, (weights,) = second.attention(y, y, y, attn_mask=mask, average_attn_weights=False)
picture.attention("28_attention", weights, "." + name)
for head, last in enumerate(weights[:, -1], start=1):
    weight, asked = last.max(dim=0)
    print(f"head {head}: the last letter asks {('.' + name)[asked]!r} most, {weight:.2f}")

check("nothing comes from the future", (weights[:, mask] == 0).all())
largest = weights[:, 2:].amax(dim=-1).mean(dim=1)  # of each head; 0.16 if evenly spread
check("at least one head has a favourite", largest.max() > 0.35)

# %% [markdown]
# Now let it write. Give it the boundary, draw a letter from the probabilities, append it, ask
# again. That is all a chat program does. The temperature (lesson 10) decides how daring it is.

# %%
invented = {}
for temperature in (0.5, 1.0):
    start = torch.zeros(12, 1, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    drawn = model.generate(start, T - 1, temperature, generator=generator)
    names = []
    for row in drawn[:, 1:].tolist():
        end = row.index(0) if 0 in row else len(row)
        names.append(vocabulary.decode(row[:end]))
    invented[temperature] = names
    print(f"temperature {temperature}:", *names)

fresh = [name for name in invented[1.0] if name not in train]
print(f"{len(fresh)} of 12 are not among the {len(train):,} it was trained on")
check("it invents names", len(fresh) > 0)

# %% [markdown]
# ## What other models cost
#
# Count one block of width C: four matrices (C, C) in attention, two of (C, 4 C) in the feed-forward
# network: 12 C^2. Biases and norms are small change, 13 C. Add the tables. Here is the small GPT-2,
# from its published sizes; `device="meta"` makes tensors that have a shape but no memory.

# %%


def count(vocab, C, layers, context):
    return layers * (12 * C**2 + 13 * C) + (vocab + context) * C + 2 * C


gpt2 = {"vocab_size": 50_257, "embed_dim": 768, "num_layers": 12, "context_length": 1024}
large = nn.TransformerLM(**gpt2, num_heads=12, device="meta")
exact = sum(p.numel() for p in large.parameters())
print(f"ours {count(27, 32, 2, T):,}   GPT-2 {exact:,}")

ours = sum(p.numel() for p in model.parameters())
check("the formula counts ours", count(27, 32, 2, T) == ours)
check("and GPT-2: 124 million", count(*gpt2.values()) == exact == 124_439_808)

# %% [markdown]
# Llama 3 8B has 32 blocks of width 4096. Its keys and values have only 1024 numbers (heads share
# them), its feed-forward network has three matrices of (4096, 14336), there are no biases, its norm
# has only a weight, and the table of 128,256 tokens is not shared with the last layer. The
# arithmetic is the same. To train it, Adam needs four numbers for each of them: the weight, its
# gradient and two means (lesson 25).

# %%
C = 4096
attention_part = 2 * C * C + 2 * C * 1024
block = attention_part + 3 * C * 14_336 + 2 * C
llama = 32 * block + 2 * 128_256 * C + C
print(f"Llama 3 8B: {llama:,} numbers, {3 * C * 14_336 / block:.0%} of a block in its FFN")
print(f"to hold it in bfloat16: {2 * llama / 1e9:.0f} GB")
print(f"to train it with Adam in float32: {16 * llama / 1e9:.0f} GB")

check("that is where the 8 billion come from", 8.0e9 < llama < 8.1e9)

# %% [markdown]
# And the work? Each weight of a matrix is used once for each token: one multiplication, one
# addition. So a forward pass costs about 2 flops per parameter and token, the backward twice that
# (lesson 07: two products). A whole training run costs 6 times parameters times tokens. Attention
# comes on top: its scores are T x T, so a text twice as long has four times as many.

# %%
per_token = 6 * llama
print(f"Llama 3 8B: {per_token:.1e} flops to learn from one token")
print(f"a machine that does 1e11 flops per second needs {per_token / 1e11:.2f} s for it")
q = {length: torch.empty(length, 128, device="meta") for length in (1024, 2048)}
flops = {length: OPS["matmul"].cost(q[length], q[length].T).forward_flops for length in q}
check("twice the text, four times the work for scores", flops[2048] == 4 * flops[1024])

# %% [markdown]
# ## Before attention: recurrent layers
#
# A **recurrent** layer reads one token after the other and carries a state along: it is causal by
# nature, and slow, because step t has to wait for step t - 1. Attention does all places at once;
# that is why it won. You will still meet `nn.RNN`, `nn.LSTM` and `nn.GRU`. Their results are pairs:
# the output at every step, and the last state.

# %%
torch.manual_seed(0)
x = torch.randn(2, 5, 8)  # (B, T, input_size)
lstm, gru = nn.LSTM(8, 16, batch_first=True), nn.GRU(8, 16, batch_first=True)
y, (h, c) = lstm(x)
print("LSTM: output", tuple(y.shape), "state", tuple(h.shape), "cell", tuple(c.shape))
print("GRU:  output", tuple(gru(x)[0].shape), "state", tuple(gru(x)[1].shape))

check("the last output is the state", torch.equal(y[:, -1], h[0]))
check("causal: the first three steps need no later ones", lstm(x[:, :3])[0].allclose(y[:, :3]))
gates = len(lstm.weight_ih_l0) // 16, len(gru.weight_ih_l0) // 16
check("an LSTM makes four vectors from each input, a GRU three", gates == (4, 3))

# %% [markdown]
# ## What to keep
#
# - a baseline first: a model that does not beat counted pairs has learned nothing
# - softmax(Q K^T / sqrt(d)) V: a soft gather, every token asks all tokens
# - hide the future before the softmax, and test it: change the last token, compare the past
# - a block: attention between places, feed-forward within one; norm first, add to what was there
# - 12 C^2 numbers per block; 2 flops per number and token forward, 6 with the backward

# %% tags=["hide-input"]
check.done()
