"""Exercise 19: what a loss says, cross-entropy without storing probabilities, words in sentences, softmax regression."""

import math

import torch

import scratchnet.nn.functional as F
from scratchnet.course import drawn, task
from scratchnet.course.calls import names_in


def numbers(predictions):
    return {question: float(answer) for question, answer in predictions().items()}


@task(
    facts=numbers,
    hints=(
        "The loss is minus the logarithm of the right class's probability. The slope is guess minus truth.",
        "Four equal logits: each class has 1/4. Adding a number to all logits changes no probability.",
        "-log(1/4) is log 4, -log(1/8) is log 8. The truth is 1 for the right class: 0.9 - 1. For a wrong one it is 0.",
    ),
    reveal="that is not it: write down the right class's probability first, then minus its logarithm, or guess minus truth",
)
def predictions():
    return {
        "the loss when the right class has the probability 1/2": math.log(2),
        "the loss of four equal logits": math.log(4),
        "the loss when the right class has the probability 1/8": math.log(8),
        "the loss was 0.3; what is it after 100 is added to every logit": 0.3,
        "the slope of the right class's logit when its probability is 0.9": -0.1,
        "the slope of a wrong class's logit when its probability is 0.2": 0.2,
    }


@predictions.mistake
def equal_logits_cost_nothing():
    """Equal logits are not a perfect guess: each of the four classes has probability 1/4, and the loss is -log(1/4)."""
    return predictions() | {"the loss of four equal logits": 0}


@predictions.mistake
def the_probability_itself():
    """1/4 is the probability. The loss is minus its logarithm."""
    return predictions() | {"the loss of four equal logits": 0.25}


@predictions.mistake
def without_the_minus():
    """log(1/8) is negative; the loss is minus that."""
    return predictions() | {"the loss when the right class has the probability 1/8": -math.log(8)}


@predictions.mistake
def larger_logits_larger_loss():
    """Only differences of logits count: 100 more for all of them changes no probability, and so no loss."""
    return predictions() | {"the loss was 0.3; what is it after 100 is added to every logit": 100.3}


@predictions.mistake
def pushed_down():
    """The right class is pulled up by what is missing: guess minus truth is 0.9 - 1."""
    return predictions() | {"the slope of the right class's logit when its probability is 0.9": 0.1}


@predictions.mistake
def the_guess_alone():
    """0.9 is the guess. The truth, 1 for the right class, is subtracted from it."""
    return predictions() | {"the slope of the right class's logit when its probability is 0.9": 0.9}


@predictions.mistake
def wrong_classes_rest():
    """A wrong class is not left alone: it is pushed down by as much as it was believed, 0.2 - 0."""
    return predictions() | {"the slope of a wrong class's logit when its probability is 0.2": 0}


def small_and_large(forward):
    x, y = drawn(torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])), drawn(torch.tensor([1, 0]))
    loss, lse = forward(x, y)
    large, _ = forward(drawn(torch.tensor([[1000.0, 0.0, 0.0], [-1000.0, -1001.0, -1002.0]], dtype=torch.float64)), y)
    return {"the losses of [1, 2, 0] for 1 and [0, -1, 3] for 0": loss, "their logsumexp": lse, "with logits of +-1000": large}


@task(
    facts=small_and_large,
    hints=(
        "lse = log of the sum of exp, along the classes; the loss is lse minus the logit of the right class.",
        "With m = x.amax(1, keepdim=True): lse is m + log of the sum of exp(x - m). And x[torch.arange(N), y] picks.",
        "lse = m.squeeze(1) + (x - m).exp().sum(1).log(); return lse - x[torch.arange(len(x)), y], lse",
    ),
    without=("logsumexp", "log_softmax", "cross_entropy", "cross_entropy_loss"),
)
def forward(x, y):
    m = x.amax(1, keepdim=True)
    lse = m.squeeze(1) + (x - m).exp().sum(1).log()
    return lse - x[torch.arange(len(x)), y], lse


@forward.mistake
def without_the_shift(x, y):
    """exp(1000) is infinite, and the logarithm of three zeros is minus infinity: subtract the largest logit first."""
    lse = x.exp().sum(1).log()
    return lse - x[torch.arange(len(x)), y], lse


@forward.mistake
def shift_forgotten(x, y):
    """The largest logit was subtracted and never added back: logsumexp is m + log(...)."""
    loss, lse = forward(x, y)
    return loss - x.amax(1), lse - x.amax(1)


@forward.mistake
def the_mean(x, y):
    """The losses of the rows were averaged; here each row keeps its own, (N,)."""
    loss, lse = forward(x, y)
    return loss.mean(), lse


@forward.mistake
def through_probabilities(x, y):
    """A probability of 0 has no logarithm: with logits 1000 apart the loss is infinite. Subtract logits, not logarithms."""
    return -F.softmax(x, 1)[torch.arange(len(x)), y].log(), forward(x, y)[1]


@forward.mistake
def every_class(x, y):
    """x[:, y] picks the columns y from every row, (N, N). One entry per row is x[torch.arange(N), y]."""
    lse = forward(x, y)[1]
    return lse - x[:, y], lse


@forward.mistake
def one_maximum_for_all(x, y):
    """x.max() is the largest number of *all* rows. A row far below it becomes exp of something very negative, 0, and the
    logarithm of 0 is minus infinity: each row its own maximum, x.amax(1, keepdim=True)."""
    lse = x.max() + (x - x.max()).exp().sum(1).log()
    return lse - x[torch.arange(len(x)), y], lse


@forward.mistake
def values_and_places(x, y):
    """x.max(1) returns two things, the values and the places where they are. Take x.max(1).values, or x.amax(1)."""
    return x - x.max(1, keepdim=True), None


@forward.mistake
def axis_lost(x, y):
    """The largest logits are (N,) and meet the columns of x. Keep the axis, (N, 1): x.amax(1, keepdim=True)."""
    return x - x.amax(1), None


def a_gradient(backward):
    x, y, g = (
        drawn(torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])),
        drawn(torch.tensor([1, 0])),
        drawn(torch.tensor([1.0, 10.0])),
    )
    before, lse = x.clone(), forward(x, y)[1]
    return {
        "dx for g = 1, 10": backward(g, x, y, lse),
        "dx where lse is larger by log 2, so that each p is half as large": backward(g, before.clone(), y, lse + math.log(2)),
        "x keeps its numbers": torch.equal(x, before),
    }


@task(
    facts=a_gradient,
    hints=(
        "Guess minus truth, and each row times its g.",
        "p is exp(x - lse), with lse as a column. The truth is 1 at [row, y] and 0 elsewhere.",
        "p = (x - lse[:, None]).exp(); p[torch.arange(len(x)), y] -= 1; return g[:, None] * p",
    ),
)
def backward(g, x, y, lse):
    p = (x - lse[:, None]).exp()
    p[torch.arange(len(x)), y] -= 1
    return g[:, None] * p


@backward.mistake
def truth_minus_guess(g, x, y, lse):
    """The sign is wrong: a step against this gradient would make the loss larger. Guess minus truth."""
    return -backward(g, x, y, lse)


@backward.mistake
def guess_only(g, x, y, lse):
    """Those are the probabilities times g. The truth is missing: subtract 1 at the right class."""
    return g[:, None] * (x - lse[:, None]).exp()


@backward.mistake
def without_g(g, x, y, lse):
    """Each row's gradient must be multiplied by the gradient of its loss, g[:, None]: the chain rule."""
    return backward(torch.ones_like(g), x, y, lse)


@backward.mistake
def averaged(g, x, y, lse):
    """Nothing is divided by N here: if a mean is taken of the losses later, its 1 / N is already in g."""
    return backward(g, x, y, lse) / len(x)


@backward.mistake
def every_label_in_every_row(g, x, y, lse):
    """p[:, y] -= 1 subtracts 1 in *all* rows, at every label of the batch. One entry per row is p[torch.arange(N), y]."""
    p = (x - lse[:, None]).exp()
    p[:, y] -= 1
    return g[:, None] * p


@backward.mistake
def x_overwritten(g, x, y, lse):
    """The gradient is right, but x has changed: an operation with `_` at the end, `-=` or `+=` writes into it."""
    x.sub_(lse[:, None]).exp_()
    x[torch.arange(len(x)), y] -= 1
    return g[:, None] * x


@backward.mistake
def softmax_again(g, x, y, lse):
    """The gradient is right, but lse was not used: softmax looks for the maximum and adds up all over again. Both are in lse,
    so p is exp(x - lse)."""
    p = F.softmax(x, dim=1)
    p[torch.arange(len(x)), y] -= 1
    return g[:, None] * p


def sentences(language_loss):
    logits, y = torch.randn(2, 3, 4), drawn(torch.tensor([[0, 1, 3], [2, 2, 0]]))
    return {"the loss of 2 sentences of 3 words, 4 in the vocabulary": language_loss(logits, y)}


@task(
    facts=sentences,
    hints=(
        "To the loss, it does not matter which sentence a word is in: make one long list of words.",
        "flatten(0, 1) melts the first two axes and keeps the third.",
        "F.cross_entropy(logits.flatten(0, 1), y.flatten())",
    ),
)
def language_loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


@language_loss.mistake
def reshaped_axes(logits, y):
    """reshape mixed up words and classes, because it would have to move axes. Melt the first two axes with flatten(0, 1)."""
    return F.cross_entropy(logits.reshape(2, 4, 3), y)


@language_loss.mistake
def softmax_first(logits, y):
    """cross_entropy takes softmax itself. Give it the logits."""
    return F.cross_entropy(F.softmax(logits.flatten(0, 1), dim=1), y.flatten())


def after_a_step(train_step):
    W, b, x, y = torch.zeros(3, 2), drawn(torch.tensor([0.0, 1.0, 0.0])), torch.randn(4, 2), drawn(torch.tensor([2, 0, 2, 1]))
    train_step(W, b, x, y, 0.5)
    facts = {"W after a step from zero": W.clone(), "b after a step from 0, 1, 0": b.clone()}
    train_step(W, b, x, drawn(torch.tensor([0, 1, 0, 0])), 0.5)  # without the last class
    by_autograd = bool(names_in(train_step) & {"autograd", "requires_grad", "requires_grad_", "Parameter", "Linear"})
    return facts | {
        "W after a second step, without the last class": W,
        "b after it": b,
        "autograd finds the gradient": by_autograd,
    }


@task(
    facts=after_a_step,
    hints=(
        "The gradient of the logits of a mean loss is (softmax - one-hot) / N; then the backward of a linear layer.",
        "dW is g.T @ x, db is the sum of g over the samples; in place means -=.",
        "g = (F.softmax(x @ W.T + b, dim=1) - F.one_hot(y, len(W))) / len(x); W -= lr * g.T @ x; b -= lr * g.sum(0)",
    ),
)
def train_step(W, b, x, y, lr):
    g = (F.softmax(x @ W.T + b, dim=1) - F.one_hot(y, len(W))) / len(x)
    W -= lr * g.T @ x
    b -= lr * g.sum(0)


@train_step.mistake
def not_averaged(W, b, x, y, lr):
    """The loss is a mean, so its gradient is divided by the number of samples."""
    train_step(W, b, x, y, lr * len(x))


@train_step.mistake
def uphill(W, b, x, y, lr):
    """The step went uphill. Guess minus truth points uphill; subtract it."""
    train_step(W, b, x, y, -lr)


@train_step.mistake
def over_the_samples(W, b, x, y, lr):
    """softmax was taken over the samples, axis 0. The classes of one sample compete: dim=1."""
    g = (F.softmax(x @ W.T + b, dim=0) - F.one_hot(y, len(W))) / len(x)
    W -= lr * g.T @ x
    b -= lr * g.sum(0)


@train_step.mistake
def truth_forgotten(W, b, x, y, lr):
    """The truth is missing: the gradient of the logits is softmax minus 1 at the right class."""
    g = F.softmax(x @ W.T + b, dim=1) / len(x)
    W -= lr * g.T @ x
    b -= lr * g.sum(0)


@train_step.mistake
def with_autograd(W, b, x, y, lr):
    """The step is right, but autograd found the gradient. You know it yourself: softmax minus one-hot, divided by N."""
    copies = [parameter.clone().requires_grad_() for parameter in (W, b)]
    F.cross_entropy(x @ copies[0].T + copies[1], y).backward()
    for parameter, copy in zip((W, b), copies, strict=True):
        parameter -= lr * copy.grad


@train_step.mistake
def renamed(W, b, x, y, lr):
    """W and b have not changed. `W = W - ...` makes a new tensor; `W -= ...` writes into the one that was given."""
