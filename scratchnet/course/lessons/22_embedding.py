# %% [markdown]
# # Lesson 22: An embedding is a table with a row for every word
#
# Concepts: 82. Builds on lessons 04 and 20.
#
# A network computes with numbers that mean "more" and "less". A word is not such a number: word 7
# is not a little more than word 6. So every word gets a row of numbers of its own, which training
# may move as it likes, and what the network sees is the row. In this lesson you look rows up, send
# gradients back into the table, fill up sentences of different lengths without harm, and watch a
# network find out by itself which letters are vowels.

# %% tags=["hide-input"]
from scratchnet.course import Checks

check = Checks("22")

# %%
import string

import torch

import scratchnet
import scratchnet.nn.functional as F
from scratchnet import backends, data, nn, optim
from scratchnet.ops import OPS

# %% [markdown]
# ## One-hot: honest and wasteful
#
# First every word of the **vocabulary**, the list of all words we know, gets its place in that list
# as an **id**. How does the id enter a matrix product? Not as the number 7. The honest way gives
# every word an input of its own: a row of zeros with a single 1 at the word's place. This is
# **one-hot**.

# %%
vocabulary = ["<pad>", "the", "cat", "sat", "on", "mat"]
ids = torch.tensor([1, 2, 3])  # the cat sat
one_hot = torch.eye(len(vocabulary))[ids]  # (S, V): rows of the identity matrix
torch.manual_seed(0)
table = torch.randn(len(vocabulary), 4)  # (V, D)
print(one_hot)

check("one-hot times table picks rows of the table", torch.equal(one_hot @ table, table[ids]))

# %% [markdown]
# Do it with a pencil: in row 2 of the product all terms but one are multiplied by 0, and that one
# by 1. A linear layer without bias (lesson 15), fed with one-hot words, does nothing but choose
# rows. So why multiply at all? An **embedding** is that layer without the multiplication: it takes
# the row, as gather does (lesson 04).
#
# What is saved? For a sequence of 1,000 words, a vocabulary of 50,000 and rows of 768 numbers, as
# in a small language model:

# %%
S, V, D = 1_000, 50_000, 768
print(f"product: {2 * S * V * D / 1e9:8.1f} billion flops, {4 * S * V / 1e6:.0f} MB of one-hot")
print(f"lookup:         no flops at all, {4 * S * D / 1e6:.0f} MB copied")

check("one-hot takes 65 times the memory of the rows", 65 <= V / D < 66)

# %% [markdown]
# ## The layer
#
# `nn.Embedding(V, D)` owns the table as its weight, (V, D), drawn from the bell curve. It takes ids
# of *any* shape and adds one axis at the end: where an id was there is now a row.
#
#     ids (B, S)  ->  (B, S, D)

# %%
embed = nn.Embedding(6, 4)
batch = torch.tensor([[1, 2, 3], [1, 5, 3]])  # (B, S)
print("ids", tuple(batch.shape), "-> rows", tuple(embed(batch).shape))

check("each id becomes a row", embed(batch).shape == (2, 3, 4))
check("the same word, the same row", torch.equal(embed(batch)[0, 0], embed(batch)[1, 0]))

# %% [markdown]
# Ids are whole numbers from 0 to V - 1. Three slips happen to everyone: floats, an id that the
# table does not have, and -1. The messages say where.

# %%
messages = []
for wrong in (torch.tensor([1.0, 2.0]), torch.tensor([1, 6]), torch.tensor([3, -1])):
    try:
        embed(wrong)
    except (RuntimeError, IndexError) as error:
        messages.append(str(error))
        print(f"{type(error).__name__}: {error}\n")

check("ids are not floats", "call .long() on it" in messages[0])
check("a table of 6 rows ends at 5", "from 0 to 5" in messages[1])
check("-1 is not the last row here", "negative indices" in messages[2])

# %% [markdown]
# ## The way back
#
# You know it from lesson 04, and here it is once more as a product. Forward was `P @ table`, with
# `P` the one-hot rows. A product sends its gradient back through the transpose (lesson 07):
#
#     gradient of the table = P.T @ g
#
# Row `w` of that is the sum of the gradients of all places where word `w` stood. No product is
# actually computed: the gradients are *added* into the rows they came from. Every backend does it,
# here with 200 words from a vocabulary of 30, so that each occurs several times.

# %%
torch.manual_seed(0)
words = torch.randint(1, 30, (10, 20))  # (B, S): the ids 1 to 29
weight = torch.randn(30, 8, requires_grad=True)  # (V, D)
g = torch.randn(10, 20, 8)  # (B, S, D)
P = torch.eye(30)[words.flatten()]  # (B * S, V)
by_product = P.T @ g.reshape(-1, 8)
for name in backends.runnable(OPS["embedding"]):
    with scratchnet.backend(name):
        (gradient,) = torch.autograd.grad(scratchnet.embedding(words, weight), weight, g)
    print(f"{name:8} off by {(gradient - by_product).abs().max():.0e}")
    check(f"{name}: the gradient is P.T @ g", torch.allclose(gradient, by_product, atol=1e-4))

check("word 0 did not occur: its row is 0", (by_product[0] == 0).all())

# %% [markdown]
# So a step of gradient descent moves the rows of the words in the batch and no others. Rare words
# learn rarely. (Optimizers with a memory may also move a row because of a gradient from some steps
# ago: lesson 25.)
#
# ## Padding
#
# A tensor is a rectangle and sentences are not. Shorter ones are filled up, **padded**, with an id
# that means "nothing here", usually 0:

# %%
sentences = [[1, 2, 3, 4, 1, 5], [1, 2]]  # the cat sat on the mat; the cat
padded = torch.zeros(len(sentences), max(map(len, sentences)), dtype=torch.int64)
for row, sentence in zip(padded, sentences, strict=True):
    row[: len(sentence)] = torch.tensor(sentence)
print(padded)

check("every sentence is as long as the longest", padded.shape == (2, 6))

# %% [markdown]
# "Nothing" should look like nothing and learn nothing. That is what `padding_idx` is for. It does
# exactly two things: the row *starts* as zeros, and its *gradient* is always zero.

# %%
torch.manual_seed(0)
embed = nn.Embedding(6, 4, padding_idx=0)
embed(padded).sum().backward()
print("row 0:", embed.weight[0].tolist())
for word, gradient in zip(vocabulary, embed.weight.grad[:, 0].tolist(), strict=True):
    print(f"{word:6} gradient {gradient:.0f}")

check("the padding row starts at zero", (embed.weight[0] == 0).all())
check("four paddings, and still no gradient", (embed.weight.grad[0] == 0).all())
check('"the" occurs three times', (embed.weight.grad[1] == 3).all())

# %% [markdown]
# It does not do a third thing, although many believe it: nothing *forces* the row to be zero later.
# Load other numbers into the table and the padding row holds what you loaded. No gradient will
# correct it. So after loading, zero it yourself.

# %%
vectors = torch.full((6, 4), 7.0)  # as if someone had trained them
with torch.no_grad():
    embed.weight.copy_(vectors)
print("row 0 after loading:", embed.weight[0].tolist())

check("padding_idx does not hold the row at zero", (embed.weight[0] == 7).all())
with torch.no_grad():
    embed.weight[embed.padding_idx] = 0
check("now it is", (embed(torch.tensor([0])) == 0).all())

# %% [markdown]
# And a row of zeros is not the end of it: the *place* still counts. Take the mean of the rows
# of a sentence, the simplest way to turn a sentence into one vector. Zeros do not change the sum,
# but `mean` divides by all places. A **mask** (lesson 03), 1 where there is a word and 0 where
# there is padding, counts correctly.

# %%
rows = embed(padded)  # (B, S, D)
mask = (padded != 0).unsqueeze(-1)  # (B, S, 1)
wrong = rows.mean(dim=1)  # (B, D)
right = (rows * mask).sum(dim=1) / mask.sum(dim=1)
print("every word here is a row of sevens")
print("mean over all places:", wrong[:, 0].tolist())
print("mean over the words: ", right[:, 0].tolist())

check("padding pulled the short sentence down to a third", wrong[1, 0] < 2.5)
check("with a mask the mean of sevens is 7", torch.allclose(right, torch.tensor(7.0)))

# %% [markdown]
# With the mask it would not even matter what the padding row holds. That is the safest habit: a
# zero row *and* a mask wherever places are counted. The loss is such a place too: lesson 18 left
# padding out of it with `ignore_index`.
#
# ## A table from elsewhere
#
# Vectors that someone has trained on a lot of text are a good start. `from_pretrained` turns them
# into a layer. Two things to know: the layer is *frozen* unless you say `freeze=False`, and it uses
# your tensor itself, not a copy.

# %%
frozen = nn.Embedding.from_pretrained(vectors, padding_idx=0)
free = nn.Embedding.from_pretrained(vectors.clone(), freeze=False, padding_idx=0)
print("wants a gradient:", frozen.weight.requires_grad, "/", free.weight.requires_grad)

check("pretrained rows are frozen unless you ask", not frozen.weight.requires_grad)
check("the layer shares your memory", frozen.weight.data_ptr() == vectors.data_ptr())
check("and here too the padding row is what it was", (frozen.weight[0] == 7).all())

# %% [markdown]
# ## What a table learns
#
# Nobody tells an embedding what its numbers mean. It gets whatever rows help the layers above. Let
# us look at some: a network reads one letter of a name and guesses the next. It consists of a table
# with 8 numbers for each letter and a linear layer back to scores for the letters. (Id 0 is the
# boundary of a name; lesson 26 explains the loop, lesson 25 the optimizer.)

# %%
letters = data.Vocabulary(string.ascii_lowercase)  # a is 1, b is 2, ...
train, _ = data.names()
x, y = data.windows(train, letters, context=1)  # x (N, 1): a letter, y (N,): the next one
print(f"{len(train)} names such as {', '.join(train[:4])}: {len(x)} pairs of letters")

torch.manual_seed(0)
model = nn.Sequential(nn.Embedding(27, 8), nn.Flatten(), nn.Linear(8, 27))
optimizer = optim.Adam(model.parameters(), lr=0.05)
for step in range(200):
    chosen = torch.randint(len(x), (1024,))
    loss = F.cross_entropy(model(x[chosen]), y[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step in (0, 199):
        print(f"step {step + 1:3}: loss {loss:.2f}")

# %% [markdown]
# Now compare the rows. Two rows are alike if they point in the same direction. The **cosine**
# measures this: divide both by their lengths and take the dot product. 1 is the same direction, 0
# is a right angle, -1 is opposite.

# %%
rows = model[0].weight[1:].detach()  # (26, D), without the boundary
rows = rows / rows.norm(dim=1, keepdim=True)
cosine = rows @ rows.T  # (26, 26)
closest = {}
for letter in "aeioutkm":
    i = string.ascii_lowercase.index(letter)
    order = cosine[i].argsort(descending=True)[1:4]  # the first one is the letter itself
    closest[letter] = letters.decode(order + 1)
    values = [f"{value:.2f}" for value in cosine[i, order].tolist()]
    print(letter, "is most like", *closest[letter], " cosines", *values)

vowel = torch.tensor([letter in "aeiou" for letter in string.ascii_lowercase])
among = (cosine[vowel][:, vowel].sum().item() - 5) / 20  # each with the other four
across = cosine[vowel][:, ~vowel].mean().item()
print(f"vowels among themselves {among:.2f}, vowels with consonants {across:.2f}")

check("vowels are like vowels, not like consonants", among > across + 0.3)
check("next to a, o and u is a vowel, or y", all(closest[k][0] in "aeiouy" for k in "aou"))

# %% [markdown]
# The network was never told what a vowel is. But what follows "a" is much like what follows "o", so
# their rows do the same work, and training made them alike. With words instead of letters and more
# text, the same thing puts "cat" next to "dog".
#
# ## What to keep
#
# - an embedding is one-hot @ table without the product: ids (B, S) -> rows (B, S, D)
# - its gradient is added into the rows that were used; all other rows get 0
# - ids are int64 from 0 to V - 1
# - `padding_idx`: the row starts at zero and its gradient is zero; after loading, zero it yourself
# - wherever places are counted, a mask leaves padding out
# - words that are used alike get rows that point the same way

# %% tags=["hide-input"]
check.done()
