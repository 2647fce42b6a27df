"""Exercise 28: heads as a batch axis, a mask before the softmax, a leak found by a nudge, and counted pairs."""

import math

import torch
from torch import nn

from scratchnet.course import drawn, task
from scratchnet.course.calls import names_in


def heads_of(split_heads):
    x = drawn(torch.arange(48.0).reshape(2, 4, 6))
    y = split_heads(x, 3)
    return {"the shape for x (2, 4, 6) and 3 heads": tuple(y.shape), "y where x counts from 0": y.clone()}


@task(
    facts=heads_of,
    hints=(
        "Two steps: put another bracket around the numbers of a token, then swap two axes.",
        "reshape keeps the order of the numbers, so C becomes (heads, C / heads) in place. Then the heads move to the front.",
        "x.reshape(B, T, heads, C // heads).transpose(1, 2)",
    ),
)
def split_heads(x, heads):
    return x.reshape(*x.shape[:2], heads, x.shape[2] // heads).transpose(1, 2)


@split_heads.mistake
def reshaped_at_once(x, heads):
    """The shape is right, but a head now holds whole tokens instead of a part of each. reshape to (B, T, heads, d) first,
    then transpose(1, 2)."""
    return x.reshape(len(x), heads, x.shape[1], -1)


@split_heads.mistake
def not_transposed(x, heads):
    """That is (B, T, heads, d). The heads must become a batch axis: transpose(1, 2)."""
    return x.reshape(*x.shape[:2], heads, -1)


@split_heads.mistake
def every_third_number(x, heads):
    """The first head got every third number. C is (heads, d), the heads first: reshape(B, T, heads, d)."""
    return x.reshape(*x.shape[:2], -1, heads).permute(0, 3, 1, 2)


def attended(attention):
    q, k, v = (torch.randn(2, 3, 4, 9) for _ in range(3))
    ones = torch.ones(4, 9)
    counting = drawn(torch.arange(4.0))[:, None].expand(4, 9)
    return {
        "equal keys, values 0, 1, 2, 3: the first number of each place": attention(ones, ones, counting)[:, 0],
        "a random batch (2, 3, 4, 9)": attention(q, k, v),
        "torch's attention does it": bool(names_in(attention) & {"scaled_dot_product_attention", "MultiheadAttention"}),
    }


@task(
    facts=attended,
    hints=(
        "scores = every query times every key, divided by sqrt(d); hide; softmax over the keys.",
        "k.mT is k with its last two axes swapped. Hide with masked_fill(later, -math.inf) before the softmax.",
        "q @ k.mT / math.sqrt(q.shape[-1]); torch.ones(T, T).triu(1).bool(); scores.masked_fill(later, -math.inf).softmax(-1)",
    ),
)
def attention(q, k, v):
    steps = q.shape[-2]
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    later = torch.ones(steps, steps).triu(1).bool()
    return scores.masked_fill(later, -math.inf).softmax(-1) @ v


def _attention(q, k, v, scale=-0.5, first_hidden=1, axis=-1, before=True):
    """Causal attention with its mistakes as options."""
    steps = q.shape[-2]
    scores = q @ k.mT * q.shape[-1] ** scale
    later = torch.ones(steps, steps).triu(first_hidden).bool()
    if before:
        return scores.masked_fill(later, -math.inf).softmax(axis) @ v
    return scores.softmax(axis).masked_fill(later, 0) @ v


@attention.mistake
def not_hidden(q, k, v):
    """Every place sees all places, the later ones too. Their scores must be minus infinity before the softmax."""
    return _attention(q, k, v, first_hidden=q.shape[-2])


@attention.mistake
def hidden_after_softmax(q, k, v):
    """The later places were set to 0 after the softmax, so the remaining weights no longer sum to 1: hide before it."""
    return _attention(q, k, v, before=False)


@attention.mistake
def hides_itself(q, k, v):
    """A place may see itself. The first one now sees nothing at all, and its softmax is NaN: hide from triu(1), not triu(0)."""
    return _attention(q, k, v, first_hidden=0)


@attention.mistake
def over_the_queries(q, k, v):
    """The softmax runs over the queries: the columns sum to 1. Each query shares its attention among the keys: dim=-1."""
    return _attention(q, k, v, axis=-2)


@attention.mistake
def hides_the_past(q, k, v):
    """The past is hidden and the future is seen: that is the wrong triangle. Later keys are on the right, triu(1)."""
    return _attention(q.flip(-2), k.flip(-2), v.flip(-2)).flip(-2)


@attention.mistake
def not_scaled(q, k, v):
    """The scores are not divided by sqrt(d), so they are too large, and the softmax picks almost a single place."""
    return _attention(q, k, v, scale=0)


@attention.mistake
def divided_by_d(q, k, v):
    """The scores were divided by d. A sum of d random products grows like sqrt(d): divide by that."""
    return _attention(q, k, v, scale=-1)


@attention.mistake
def multiplied_by_the_triangle(q, k, v):
    """The later scores were set to 0, and 0 is a score like any other: exp(0) = 1, so those places are still seen. Only minus
    infinity becomes a weight of 0: masked_fill(later, -math.inf)."""
    steps = q.shape[-2]
    return (q @ k.mT / math.sqrt(q.shape[-1]) * torch.ones(steps, steps).tril()).softmax(-1) @ v


@attention.mistake
def divided_by_the_places(q, k, v):
    """The scores were divided by the root of T, the number of places. d is the last axis: math.sqrt(q.shape[-1])."""
    return _attention(q * (q.shape[-1] / q.shape[-2]) ** 0.5, k, v)


@attention.mistake
def all_axes_turned(q, k, v):
    """k.T turns *all* axes round, which is right for a matrix only; in a batch the last two are swapped: k.mT, or
    k.transpose(-2, -1)."""
    return _attention(q, k.permute(*range(k.ndim)[::-1]).mT, v)  # k.T warns


@attention.mistake
def torch_does_it(q, k, v):
    """The result is right, but torch's function computed it. Scores, mask, softmax, values: four lines, and they are the
    task."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


class _Mixer(nn.Module):
    """Logits that are sums of tokens, 0 or 1: `weights[t, s]` says how much place t sees of place s."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, tokens):
        return (self.weights @ torch.tensor([1.0, 2.0])[tokens][..., None]).expand(-1, -1, 3)


def found(sees_the_future):
    causal = torch.ones(4, 4).tril()
    late, early = causal.clone(), causal.clone()
    late[2, 3] = early[0, 3] = 1.0  # one place only
    start = torch.randint(2, (8, 4))
    start[:, -1] = torch.tensor([0, 1] * 4)
    zeros, ones = start[::2], start[1::2]
    tokens = start.clone()
    sees = lambda weights, tokens: bool(sees_the_future(_Mixer(weights), tokens.clone()))
    return {
        "a causal model sees the future": bool(sees_the_future(_Mixer(causal), tokens)),
        "a model without a mask does, when the last tokens are all 1": sees(torch.ones(4, 4), ones),
        "when they are all 0": sees(torch.ones(4, 4), zeros),
        "in a batch of one sequence, eight times": [sees(torch.ones(4, 4), one[None]) for one in start],
        "a model in which only the place before the last does": sees(late, start),
        "a model in which only the first place does": sees(early, start),
        "it leaves the tokens as they were": torch.equal(tokens, start),
    }


@task(
    facts=found,
    hints=(
        "Run the model twice, with tokens and with other, and compare what comes before the last place.",
        "The last token must really change, whatever it was: 1 - token. Compare logits[:, :-1], all of them.",
        "other[:, -1] = 1 - tokens[:, -1], and: not torch.equal(model(tokens)[:, :-1], model(other)[:, :-1])",
    ),
)
def sees_the_future(model, tokens):
    other = tokens.clone()
    other[:, -1] = 1 - tokens[:, -1]
    with torch.no_grad():
        return not torch.equal(model(tokens)[:, :-1], model(other)[:, :-1])


def _differs(model, tokens, last, places):
    other = tokens.clone()
    other[:, -1] = last
    with torch.no_grad():
        return not torch.equal(model(tokens)[:, places], model(other)[:, places])


@sees_the_future.mistake
def compares_the_last_place(model, tokens):
    """The last place may change: it sees its own token. Compare only the places before it, logits[:, :-1]."""
    return _differs(model, tokens, 1 - tokens[:, -1], slice(None))


@sees_the_future.mistake
def same_tokens(model, tokens):
    """The last token did not change where it was already 1, and there no leak can show. Write 1 - token."""
    return _differs(model, tokens, 1, slice(-1))


@sees_the_future.mistake
def compares_the_first_place(model, tokens):
    """Only the first place was compared, and the leak is at another one: compare all places before the last."""
    return _differs(model, tokens, 1 - tokens[:, -1], slice(1))


@sees_the_future.mistake
def compares_the_place_before(model, tokens):
    """Only the place before the last was compared, and another one may leak: compare all of them, logits[:, :-1]."""
    return _differs(model, tokens, 1 - tokens[:, -1], slice(-2, -1))


@sees_the_future.mistake
def always_zero(model, tokens):
    """The last token did not change where it was already 0, and there no leak can show. Write 1 - token."""
    return _differs(model, tokens, 0, slice(-1))


@sees_the_future.mistake
def tokens_overwritten(model, tokens):
    """The answer is right, but the tokens of the caller have changed: `other = tokens` gives them a second name. clone()
    them."""
    answer = sees_the_future(model, tokens)
    tokens[:, -1] = 1 - tokens[:, -1]
    return answer


@sees_the_future.mistake
def another_name(model, tokens):
    """The model saw the same tokens twice: `other = tokens` is a second name for them, and what you write into one is in both.
    clone() them."""
    tokens[:, -1] = 1 - tokens[:, -1]
    return False


@sees_the_future.mistake
def the_other_way_round(model, tokens):
    """The answer is the wrong way round: a model that does not change does not see the future, False."""
    return not sees_the_future(model, tokens)


def counted(bigram_loss):
    seen, new = drawn(torch.tensor([[0, 1], [0, 1], [0, 1], [0, 2], [1, 0]])), drawn(torch.tensor([[0, 1], [0, 2], [1, 2]]))
    return {
        "a pair that was seen 3 times out of 4, among 3 tokens": float(bigram_loss(seen, new[:1], 3)),
        "three pairs, one of them never seen": float(bigram_loss(seen, new, 3)),
        "the same with two more tokens that never came": float(bigram_loss(seen, new, 5)),
    }


@task(
    facts=counted,
    hints=(
        "Count with an addition that does not lose repeated pairs. A row of counts, divided by its sum, is a probability.",
        "counts.index_put_((seen[:, 0], seen[:, 1]), ones, accumulate=True). The loss is the mean of -log p of the new pairs.",
        "p = counts / counts.sum(dim=1, keepdim=True); -p[new[:, 0], new[:, 1]].log().mean().item()",
    ),
)
def bigram_loss(seen, new, size):
    counts = torch.ones(size, size)
    counts.index_put_((seen[:, 0], seen[:, 1]), torch.ones(len(seen)), accumulate=True)
    p = counts / counts.sum(dim=1, keepdim=True)
    return -p[new[:, 0], new[:, 1]].log().mean().item()


def _shares(seen, size, repeats=True, start=1.0, axis=1):
    counts = torch.full((size, size), start)
    counts.index_put_((seen[:, 0], seen[:, 1]), torch.ones(len(seen)) + (not repeats) * start, accumulate=repeats)
    return counts / counts.sum(dim=axis, keepdim=True)


@bigram_loss.mistake
def repeated_pairs_lost(seen, new, size):
    """Pairs that came three times were counted once: counts[i, j] += 1 reads everything before it writes. Use index_put_ with
    accumulate=True."""
    return -_shares(seen, size, repeats=False)[new[:, 0], new[:, 1]].log().mean().item()


@bigram_loss.mistake
def over_the_columns(seen, new, size):
    """The columns sum to 1. What follows a token is its row: counts.sum(dim=1, keepdim=True)."""
    return -_shares(seen, size, axis=0)[new[:, 0], new[:, 1]].log().mean().item()


@bigram_loss.mistake
def nothing_added(seen, new, size):
    """A pair that was never seen has probability 0 and loss infinity: start counting at 1."""
    return -_shares(seen, size, start=0.0)[new[:, 0], new[:, 1]].log().mean().item()


@bigram_loss.mistake
def in_bits(seen, new, size):
    """That is in bits, with the logarithm to base 2. Nats use the natural one: log()."""
    return bigram_loss(seen, new, size) / math.log(2)


@bigram_loss.mistake
def of_the_mean_probability(seen, new, size):
    """That is the log of the mean probability. The loss is the mean of the logs: log first, then mean."""
    return -_shares(seen, size)[new[:, 0], new[:, 1]].mean().log().item()


@bigram_loss.mistake
def size_unused(seen, new, size):
    """Tokens that never came have a place too: there are `size` of them, and the 1 that each count starts with is part of the
    sum."""
    return bigram_loss(seen, new, int(seen.max()) + 1)
