"""Exercise 10: softmax with a temperature, logsumexp, the loss of logits, softplus: each with the shift that keeps it safe."""

import torch

from scratchnet.course import drawn, task

# what the exercise says not to use
FINISHED = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "nll_loss", "softplus", "logaddexp", "log_sigmoid")


def probabilities(softmax):
    rows = drawn(torch.tensor([[1.0, 3.0, 0.5], [1e4, 0.0, -1e4], [-1000.0, -1001.0, -1002.0]]))
    return {
        "softmax of [1, 3, 0.5] with temperature 1": softmax(drawn(torch.tensor([1.0, 3.0, 0.5])), 1.0),
        "softmax of [1, 3, 0.5] with temperature 2": softmax(drawn(torch.tensor([1.0, 3.0, 0.5])), 2.0),
        "softmax of two rows, [1, 2, 3] and [3, 1, 1]": softmax(drawn(torch.tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 1.0]])), 1.0),
        "softmax of [1, 3, 0.5], [1e4, 0, -1e4] and [-1000, -1001, -1002]": softmax(rows.clone(), 1.0),
        "softmax of the same rows with temperature 0.01": softmax(rows.clone(), 0.01),
        "softmax of a tensor (2, 1, 2)": softmax(drawn(torch.tensor([[[0.0, 1.0]], [[2.0, 2.0]]])), 1.0),
    }


@task(
    facts=probabilities,
    without=FINISHED,
    hints=(
        "Divide by the temperature first; then only differences count, so choose the number to subtract.",
        "The maximum of each row: x.amax(dim=-1, keepdim=True). Then exp, then divide by the sum of the row.",
        "x = x / temperature; e = (x - x.amax(-1, keepdim=True)).exp(); return e / e.sum(-1, keepdim=True)",
    ),
)
def softmax(x, temperature):
    x = x / temperature
    e = (x - x.amax(dim=-1, keepdim=True)).exp()
    return e / e.sum(dim=-1, keepdim=True)


@softmax.mistake
def no_shift(x, temperature):
    """exp overflows on scores of 10,000 and underflows on -1000: NaN. Subtract the maximum of each row first."""
    e = (x / temperature).exp()
    return e / e.sum(dim=-1, keepdim=True)


@softmax.mistake
def one_shift_for_all(x, temperature):
    """One maximum for all rows: a row far below it underflows to 0 / 0. amax(dim=-1, keepdim=True) gives each row its own."""
    x = x / temperature
    e = (x - x.max()).exp()
    return e / e.sum(dim=-1, keepdim=True)


@softmax.mistake
def temperature_upside_down(x, temperature):
    """You multiplied by the temperature, so a high one exaggerates. It divides the scores: hot means equal shares."""
    return softmax(x, 1 / temperature)


@softmax.mistake
def temperature_forgotten(x, temperature):
    """The temperature has no effect: divide the scores by it before anything else."""
    return softmax(x, 1.0)


@softmax.mistake
def shift_before_temperature(x, temperature):
    """The probabilities were divided by the temperature, so they no longer add up to 1. It divides the scores, before exp."""
    return softmax(x, 1.0) / temperature


@softmax.mistake
def first_axis(x, temperature):
    """The columns add up to 1 instead of the rows: the classes are on the last axis, dim=-1."""
    e = (x / temperature - (x / temperature).amax(dim=0, keepdim=True)).exp()
    return e / e.sum(dim=0, keepdim=True)


@softmax.mistake
def finished(x, temperature):
    """The numbers are right, but it is the finished softmax, which the exercise says not to use: write it with exp and sum."""
    return torch.softmax(x / temperature, dim=-1)


@softmax.mistake
def pair_of_max(x, temperature):
    """max along an axis gives two tensors, values and places. Take x.max(dim=-1, keepdim=True).values, or amax."""
    return (x - x.max(dim=-1, keepdim=True)).exp()


@softmax.mistake
def mean_subtracted(x, temperature):
    """The mean of the row was subtracted: what lies far above it still overflows. Only with the maximum is every exponent at
    most 0."""
    e = (x / temperature - (x / temperature).mean(dim=-1, keepdim=True)).exp()
    return e / e.sum(dim=-1, keepdim=True)


@softmax.mistake
def axis_lost(x, temperature):
    """The maximum or the sum of the rows is (N,) and meets the columns, not the rows. keepdim=True makes it (N, 1)."""
    e = (x / temperature - (x / temperature).amax(dim=-1, keepdim=True)).exp()
    return e / e.sum(dim=-1)


@softmax.mistake
def not_divided(x, temperature):
    """Those are the exponentials: the largest of each row is 1. Divide them by the sum of the row."""
    x = x / temperature
    return (x - x.amax(dim=-1, keepdim=True)).exp()


@softmax.mistake
def sum_of_everything(x, temperature):
    """All entries together add up to 1, not each row. The sum runs along the last axis: sum(dim=-1, keepdim=True)."""
    x = x / temperature
    e = (x - x.amax(dim=-1, keepdim=True)).exp()
    return e / e.sum()


def logs_of_sums(logsumexp):
    inf = torch.inf
    return {
        "logsumexp of [1, 3, 0.5]": logsumexp(drawn(torch.tensor([[1.0, 3.0, 0.5]]))),
        "logsumexp of [1000, 1000, 999]": logsumexp(drawn(torch.tensor([[1000.0, 1000.0, 999.0]]))),
        "logsumexp of [-1000, -1001, -1002]": logsumexp(drawn(torch.tensor([[-1000.0, -1001.0, -1002.0]]))),
        "logsumexp of [1000, 1000] and [-1000, -1000]": logsumexp(drawn(torch.tensor([[1000.0, 1000.0], [-1000.0, -1000.0]]))),
        "logsumexp of [0, -inf, 0] and [-inf, -inf, -inf]": logsumexp(
            drawn(torch.tensor([[0.0, -inf, 0.0], [-inf, -inf, -inf]]))
        ),
    }


@task(
    facts=logs_of_sums,
    without=FINISHED,
    hints=(
        "Shift by the maximum m of the row and add it back at the end. What if m is -inf?",
        "Where m is infinite, shift by 0 instead: exp(-inf - 0) is 0, the sum 0, its log -inf.",
        "m = x.amax(1, keepdim=True); m = torch.where(m.isinf(), 0.0, m); then (m + ((x - m).exp().sum(...)).log()).squeeze(1)",
    ),
)
def logsumexp(x):
    m = x.amax(dim=1, keepdim=True)
    m = torch.where(m.isinf(), 0.0, m)
    return (m + (x - m).exp().sum(dim=1, keepdim=True).log()).squeeze(1)


@logsumexp.mistake
def no_maximum(x):
    """exp(1000) is infinite, and exp(-1000) is 0, whose log is -inf. Take the maximum of the row out of the sum first."""
    return x.exp().sum(dim=1).log()


@logsumexp.mistake
def row_of_nothing(x):
    """For the row of -inf the maximum is -inf, and -inf - (-inf) is NaN. Where the maximum is infinite, subtract 0 instead."""
    m = x.amax(dim=1, keepdim=True)
    return (m + (x - m).exp().sum(dim=1, keepdim=True).log()).squeeze(1)


@logsumexp.mistake
def not_added_again(x):
    """The maximum was subtracted and never added again. It comes out of the logarithm unchanged: m + log(...)."""
    m = x.amax(dim=1, keepdim=True)
    return (x - m).exp().sum(dim=1).log()


@logsumexp.mistake
def only_the_maximum(x):
    """That is the maximum itself. For [1000, 1000, 999] the sum is more than twice the largest term: log 2.37 is missing."""
    return x.amax(dim=1)


@logsumexp.mistake
def finished_logsumexp(x):
    """The numbers are right, but it is the finished logsumexp, which the exercise says not to use: shift, exp, sum, log."""
    return x.logsumexp(dim=1)


@logsumexp.mistake
def pair_of_one_max(x):
    """max along an axis gives two tensors, values and places. Take x.max(dim=1, keepdim=True).values, or amax."""
    return (x - x.max(dim=1, keepdim=True)).exp().sum(dim=1).log()


@logsumexp.mistake
def axis_left_on(x):
    """There is an axis too many: what keepdim left on has to come off in the end, from the maximum too. squeeze(1) does it."""
    m = x.amax(dim=1, keepdim=True)
    m = torch.where(m.isinf(), 0.0, m)
    return m + (x - m).exp().sum(dim=1, keepdim=True).log()


@logsumexp.mistake
def mean_of_exponentials(x):
    """That is the logarithm of the mean. It is too small by log C: take the sum."""
    m = x.amax(dim=1, keepdim=True)
    m = torch.where(m.isinf(), 0.0, m)
    return (m + (x - m).exp().mean(dim=1, keepdim=True).log()).squeeze(1)


@logsumexp.mistake
def one_maximum_for_all(x):
    """One maximum for all rows: a row far below it underflows to log 0. amax(dim=1, keepdim=True) gives each row its own."""
    m = x.max()
    m = torch.where(m.isinf(), 0.0, m)
    return m + (x - m).exp().sum(dim=1).log()


@logsumexp.mistake
def maximum_without_its_axis(x):
    """The maximum of the rows is (B,) and meets the columns of x, not its rows: subtract it with keepdim=True."""
    m = x.amax(dim=1)
    return m + (x - m).exp().sum(dim=1).log()


def surprises(surprise):
    logits = drawn(torch.tensor([[1.0, 3.0, 0.5], [0.0, 1000.0, 0.0], [2.0, 2.0, 2.0]]))
    return {
        "the surprise of logits [1, 3, 0.5] at class 1": surprise(logits[:1], drawn(torch.tensor([1]))),
        "for [1, 3, 0.5], [0, 1000, 0], [2, 2, 2] at the classes 1, 2, 0": surprise(logits, drawn(torch.tensor([1, 2, 0]))),
    }


@task(
    facts=surprises,
    without=FINISHED,
    hints=(
        "log p_i = x_i - logsumexp(x). No probability needs to be computed at all.",
        "The score of the right class of each row is one pair of indices away (lesson 03).",
        "logsumexp(logits) - logits[torch.arange(len(y)), y]",
    ),
)
def surprise(logits, y):
    return logsumexp(logits) - logits[torch.arange(len(y)), y]


@surprise.mistake
def log_of_probabilities(logits, y):
    """The probability of a score 1000 below the best is 0, and its log is -inf. Stay with scores: logsumexp(x) - x[y]."""
    return -softmax(logits, 1.0)[torch.arange(len(y)), y].log()


@surprise.mistake
def with_eps(logits, y):
    """log(p + eps) stops at log(eps): the surprise of 1000 came out as 28. Stay with scores: logsumexp(x) - x[y]."""
    return -(softmax(logits, 1.0)[torch.arange(len(y)), y] + 1e-12).log()


@surprise.mistake
def log_probability(logits, y):
    """That is log p, which is never positive. The surprise is -log p: the sign is missing."""
    return logits[torch.arange(len(y)), y] - logsumexp(logits)


@surprise.mistake
def every_class(logits, y):
    """`logits[:, y]` takes every label from every row, (B, B). Take one entry per row: logits[torch.arange(len(y)), y]."""
    return logsumexp(logits) - logits[:, y]


@surprise.mistake
def finished_log_softmax(logits, y):
    """The numbers are right, but they come from log_softmax, which the exercise says not to use: logsumexp(x) - x[y]."""
    return -logits.log_softmax(dim=1)[torch.arange(len(y)), y]


@surprise.mistake
def finished_loss(logits, y):
    """The numbers are right, but it is the finished cross_entropy, or its two halves, which the exercise says not to use:
    logsumexp(x) - x[y]."""
    return torch.nn.functional.cross_entropy(logits, y, reduction="none")


@surprise.mistake
def averaged(logits, y):
    """That is the mean over the rows, one number, as a loss reports it. The task asks for one surprise per row, (B,)."""
    return (logsumexp(logits) - logits[torch.arange(len(y)), y]).mean()


@surprise.mistake
def only_the_score(logits, y):
    """That is minus the score of the right class. logsumexp is missing: log p = x[y] - logsumexp(x)."""
    return -logits[torch.arange(len(y)), y]


@surprise.mistake
def shift_not_added(logits, y):
    """The maximum was subtracted from the sum, but not from the score of the right class: add it again, or take it from
    both."""
    m = logits.amax(dim=1, keepdim=True)
    return (logits - m).exp().sum(dim=1).log() - logits[torch.arange(len(y)), y]


def softened(softplus):
    x = drawn(torch.tensor([-1.0, 0.0, 2.0]))
    small = drawn(torch.tensor([-30.0]))
    return {
        "softplus of -1, 0, 2": softplus(x),
        "softplus of 1000 and -1000": softplus(drawn(torch.tensor([1000.0, -1000.0]))),
        "softplus(-30) as a multiple of exp(-30)": softplus(small) / small.exp(),
    }


@task(
    facts=softened,
    without=FINISHED,
    hints=(
        "With -|x| the exponential is at most 1. The other danger is the 1 that swallows a tiny exponential.",
        "log(1 + tiny) has a twin: log1p(tiny).",
        "x.clamp(min=0) + (-x.abs()).exp().log1p()",
    ),
)
def softplus(x):
    return x.clamp(min=0) + (-x.abs()).exp().log1p()


@softplus.mistake
def overflow(x):
    """exp(1000) is infinite, and so is this. Use the second form, in which the exponent is -|x|."""
    return x.exp().log1p()


@softplus.mistake
def swallowed(x):
    """For x = -30 the sum 1 + exp(-30) is rounded to 1, and its log is 0. log1p(exp(-30)) keeps the digits."""
    return x.clamp(min=0) + (1 + (-x.abs()).exp()).log()


@softplus.mistake
def both(x):
    """It overflows at 1000, and at -30 the 1 swallows what is added to it. Use the second form, and log1p."""
    return (1 + x.exp()).log()


@softplus.mistake
def corner(x):
    """That is max(x, 0) alone, a corner: at 0 the right answer is log 2."""
    return x.clamp(min=0)


@softplus.mistake
def wrong_side(x):
    """Without the max(x, 0) the right half comes down again: log(1 + exp(-|x|)) is only what is added to the corner."""
    return (-x.abs()).exp().log1p()


@softplus.mistake
def finished_softplus(x):
    """The numbers are right, but it is the finished softplus, which the exercise says not to use: max(x, 0) + log1p(...)."""
    return torch.nn.functional.softplus(x)


@softplus.mistake
def logaddexp_with_zero(x):
    """The numbers are right: logaddexp is the finished logsumexp of two numbers, and the exercise says not to use it."""
    return torch.logaddexp(x, torch.zeros(()))


@softplus.mistake
def max_along_an_axis(x):
    """torch.max(x, 0) takes the 0 for an axis and gives two tensors. To cut off at the number 0: x.clamp(min=0)."""
    return torch.max(x, 0) + (-x.abs()).exp().log1p()
