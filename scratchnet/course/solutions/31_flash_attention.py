"""Exercise 31: one factor corrects sums and weighted sums; backward needs one number for each query."""

import math

import torch

from scratchnet.course import drawn, task
from scratchnet.course.calls import Calls


def pushed(push):
    def walk(numbers):
        m, s = -math.inf, 0.0
        for x in drawn(torch.tensor(numbers, dtype=torch.float64)).tolist():
            m, s = push(m, s, x)
        return [float(m), float(s)]

    return {
        "m and s after 2": walk([2.0]),
        "after 1, 3": walk([1.0, 3.0]),
        "after 3, 1": walk([3.0, 1.0]),
        "after 1000, 1001, 999": walk([1000.0, 1001.0, 999.0]),
    }


@task(
    facts=pushed,
    hints=(
        "s always belongs to m. When m grows, all terms of s shrink by the same factor.",
        "The factor is exp(m - new), and the new number adds exp(x - new). exp(-inf) is 0, so the start needs no special case.",
        "new = max(m, x), and: s * math.exp(m - new) + math.exp(x - new), with import math",
    ),
)
def push(m, s, x):
    new = max(m, x)
    return new, s * math.exp(m - new) + math.exp(x - new)


@push.mistake
def not_corrected(m, s, x):
    """The sum so far was left as it was. It belongs to the old m: multiply it by exp(m - new)."""
    new = max(m, x)
    return new, s + math.exp(x - new)


@push.mistake
def wrong_way_round(m, s, x):
    """The factor is the wrong way round, exp(new - m): the sum so far must shrink when m grows."""
    new = max(m, x)
    return new, (s * math.exp(new - m) if s else 0.0) + math.exp(x - new)


@push.mistake
def not_shifted(m, s, x):
    """exp(x) without - new: that is right for small numbers and overflows for 1000."""
    new = max(m, x)
    try:
        return new, s + math.exp(x)
    except OverflowError:
        return new, math.inf


@push.mistake
def counts_twice(m, s, x):
    """A larger number corrects the sum, but its own 1 is missing: s * exp(m - new) + exp(x - new)."""
    new = max(m, x)
    return new, s * math.exp(m - new) + (0.0 if x > m > -math.inf else math.exp(x - new))


def joined(join):
    m, m2 = drawn(torch.tensor([[0.0], [3.0]])), drawn(torch.tensor([[1.0], [-1.0]]))
    s, s2 = drawn(torch.tensor([[2.0], [1.0]])), drawn(torch.tensor([[3.0], [4.0]]))
    acc, acc2 = drawn(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), drawn(torch.tensor([[5.0, 6.0], [7.0, 8.0]]))
    names = ("m", "s", "acc")
    return {f"{name} of both": part for name, part in zip(names, join(m, s, acc, m2, s2, acc2), strict=True)}


@task(
    facts=joined,
    hints=(
        "Each part is corrected to the common maximum by its own factor.",
        "The factors are (m - top).exp() and (m2 - top).exp(); s and acc of a part take the same one.",
        "s * (m - top).exp() + s2 * (m2 - top).exp(), and the same with acc",
    ),
)
def join(m, s, acc, m2, s2, acc2):
    top = torch.maximum(m, m2)
    first, second = (m - top).exp(), (m2 - top).exp()
    return top, s * first + s2 * second, acc * first + acc2 * second


def _join(m, s, acc, m2, s2, acc2, of_acc=True, of_second=True):
    """The two parts with the mistakes as options."""
    top = torch.maximum(m, m2)
    first, second = (m - top).exp(), (m2 - top).exp()
    second = second if of_second else torch.ones_like(second)
    f, g = (first, second) if of_acc else (torch.ones_like(first), torch.ones_like(first))
    return top, s * first + s2 * second, acc * f + acc2 * g


@join.mistake
def only_s(m, s, acc, m2, s2, acc2):
    """acc has the same exponentials as s: it must be corrected by the same factors."""
    return _join(m, s, acc, m2, s2, acc2, of_acc=False)


@join.mistake
def only_the_first(m, s, acc, m2, s2, acc2):
    """Only the first part is corrected. The second one needs its own factor, exp(m2 - top)."""
    return _join(m, s, acc, m2, s2, acc2, of_second=False)


@join.mistake
def simply_added(m, s, acc, m2, s2, acc2):
    """The parts were added as they are, but their sums belong to different maxima: correct both first."""
    return torch.maximum(m, m2), s + s2, acc + acc2


def flashed(flash):
    q, k, v = (torch.randn(5, 4) for _ in range(3))
    large = q * 100
    with Calls() as calls:
        flash(torch.randn(40, 4), torch.randn(30, 4), torch.randn(30, 4), 2)
    return {
        "5 queries, 5 keys, blocks of 2": flash(q, k, v, 2),
        "one block": flash(q, k, v, 5),
        "scores in the thousands": flash(large, k * 10, v, 2),
        "2 queries, 5 keys": flash(q[:2], k, v, 2),
        "40 queries, 30 keys, blocks of 2: all scores exist at once": calls.largest >= 40 * 30,
        "torch's attention does it": any(name.startswith("scaled_dot_product") for name in calls.names),
    }


@task(
    facts=flashed,
    hints=(
        "Begin with m = -inf, s = 0 and acc = 0 for each query; for each block, its own three, joined with what you have.",
        "A block: scores = q @ k[first : first + block].T / sqrt(d); new = maximum(m, scores.amax(1, keepdim=True)).",
        "acc = acc * (m - new).exp() + (scores - new).exp() @ v[first : first + block]; at the end acc / s",
    ),
)
def flash(q, k, v, block):
    m = torch.full((len(q), 1), -math.inf)
    s, acc = torch.zeros(len(q), 1), torch.zeros(len(q), v.shape[1])
    for first in range(0, len(k), block):
        scores = q @ k[first : first + block].T / math.sqrt(q.shape[1])
        new = torch.maximum(m, scores.amax(1, keepdim=True))
        factor, powers = (m - new).exp(), (scores - new).exp()
        s = s * factor + powers.sum(1, keepdim=True)
        acc = acc * factor + powers @ v[first : first + block]
        m = new
    return acc / s


def _flash(q, k, v, block, scale=-0.5, corrected=True, divided=True, keys=None):
    """Attention in blocks with its mistakes as options."""
    m = torch.full((len(q), 1), -math.inf)
    s, acc = torch.zeros(len(q), 1), torch.zeros(len(q), v.shape[1])
    for first in range(0, len(k) if keys is None else keys, block):
        scores = q @ k[first : first + block].T * q.shape[1] ** scale
        new = torch.maximum(m, scores.amax(1, keepdim=True))
        factor, powers = (m - new).exp(), (scores - new).exp()
        s = s * factor + powers.sum(1, keepdim=True)
        acc = acc * (factor if corrected else 1) + powers @ v[first : first + block]
        m = new
    return acc / s if divided else acc


@flash.mistake
def all_at_once(q, k, v, block):
    """The result is right, but all scores exist at once, (T, S), which blocks are to avoid: go through the keys in a loop, and
    take k[first : first + block]."""
    return (q @ k.T / math.sqrt(q.shape[1])).softmax(1) @ v


@flash.mistake
def torch_does_it(q, k, v, block):
    """The result is right, but torch's function computed it. The loop over the blocks is the task."""
    q, k, v = (x[None, None] for x in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)[0, 0]


@flash.mistake
def acc_not_corrected(q, k, v, block):
    """The weighted sum so far was not corrected when m grew: multiply acc by exp(m - new), as s."""
    return _flash(q, k, v, block, corrected=False)


@flash.mistake
def not_divided(q, k, v, block):
    """The weights do not sum to 1 yet: divide by s at the end."""
    return _flash(q, k, v, block, divided=False)


@flash.mistake
def not_scaled(q, k, v, block):
    """The scores are not divided by sqrt(d)."""
    return _flash(q, k, v, block, scale=0)


@flash.mistake
def last_block_lost(q, k, v, block):
    """The last block, which is shorter, is left out: range(0, len(k), block) reaches it."""
    return _flash(q, k, v, block, keys=max(block, len(k) // block * block))


@flash.mistake
def as_many_keys_as_queries(q, k, v, block):
    """The walk goes along as many keys as there are queries: go to len(k)."""
    return _flash(q, k, v, block, keys=len(q))


def differentiated(score_gradient):
    q, k, v, dout = (torch.randn(3, 4) for _ in range(4))
    scores = (q @ k.T / 2).requires_grad_()
    out = scores.softmax(1) @ v
    args = scores.detach(), scores.detach().logsumexp(1, keepdim=True), v, out.detach(), dout
    return {
        "all keys": score_gradient(*args),
        "the last key alone": score_gradient(args[0][:, 2:], args[1], v[2:], *args[3:]),
    }


@task(
    facts=differentiated,
    hints=(
        "First the weights again, p = exp(score - lse). Then how the loss changes with a weight, then through the softmax.",
        "dp = dout @ v.T, and the softmax takes off the mean of dp over all keys, which is the dot product of dout and out.",
        "p * (dout @ v.T - (dout * out).sum(1, keepdim=True))",
    ),
)
def score_gradient(scores, lse, v, out, dout):
    p = (scores - lse).exp()
    return p * (dout @ v.T - (dout * out).sum(1, keepdim=True))


@score_gradient.mistake
def softmax_of_the_block(scores, lse, v, out, dout):
    """The weights were made with a softmax of the block alone. They are shares among all keys: exp(scores - lse)."""
    return scores.softmax(1) * (dout @ v.T - (dout * out).sum(1, keepdim=True))


@score_gradient.mistake
def sum_of_the_block(scores, lse, v, out, dout):
    """The sum of p dp goes over all keys, and the block has only some: it is the dot product of dout and out."""
    p, dp = (scores - lse).exp(), dout @ v.T
    return p * (dp - (p * dp).sum(1, keepdim=True))


@score_gradient.mistake
def without_the_sum(scores, lse, v, out, dout):
    """That is the diagonal of the softmax's derivative only: a weight that grows takes from all others. Subtract dout · out."""
    return (scores - lse).exp() * (dout @ v.T)


@score_gradient.mistake
def without_p(scores, lse, v, out, dout):
    """The factor p is missing: the derivative of a softmax is p (dp - sum)."""
    return dout @ v.T - (dout * out).sum(1, keepdim=True)
