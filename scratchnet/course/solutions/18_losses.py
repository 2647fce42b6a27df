"""Exercise 18: weighted means, epochs, padding, binary cross-entropy on logits, a penalty."""

import torch

from scratchnet import nn
from scratchnet.course import drawn, task
from scratchnet.course.calls import names_in


def three_errors(weighted_mse):
    guess, y = drawn(torch.tensor([1.0, 2.0, 5.0])), drawn(torch.tensor([0.0, 4.0, 5.0]))
    return {
        "the errors 1, -2, 0 with the weights 2, 1, 1": weighted_mse(guess, y, drawn(torch.tensor([2.0, 1.0, 1.0]))),
        "with the weights 0, 1, 0": weighted_mse(guess, y, drawn(torch.tensor([0.0, 1.0, 0.0]))),
    }


@task(
    facts=three_errors,
    hints=(
        "Think of an error of weight 2 as two equal errors: what is summed, and how many are there?",
        "The sum of weight times squared error, divided by the sum of the weights.",
        "(weight * (guess - y).square()).sum() / weight.sum()",
    ),
)
def weighted_mse(guess, y, weight):
    return (weight * (guess - y).square()).sum() / weight.sum()


@weighted_mse.mistake
def divided_by_all(guess, y, weight):
    """The weighted sum was divided by the number of errors. An error of weight 2 counts as two: divide by weight.sum()."""
    return (weight * (guess - y).square()).mean()


@weighted_mse.mistake
def weight_inside(guess, y, weight):
    """The weight was squared too: it multiplies the squared error, not the error."""
    return (weight * (guess - y)).square().sum() / weight.sum()


@weighted_mse.mistake
def not_divided(guess, y, weight):
    """That is the weighted sum. For a mean, divide by the sum of the weights."""
    return (weight * (guess - y).square()).sum()


@weighted_mse.mistake
def not_weighted(guess, y, weight):
    """The weights were not used: multiply each squared error by its weight before you sum."""
    return (guess - y).square().mean()


def two_epochs(epoch_loss):
    return {
        "the epoch of the means 1, 2, 9 over 4, 4 and 2 samples": float(
            epoch_loss(drawn(torch.tensor([1.0, 2.0, 9.0])).tolist(), [4, 4, 2])
        ),
        "of the means 3 and 5 over 8 and 8": float(epoch_loss(drawn(torch.tensor([3.0, 5.0])).tolist(), [8, 8])),
    }


@task(
    facts=two_epochs,
    hints=(
        "A mean times its batch size is the sum that it came from.",
        "Add those sums, and divide by the number of samples.",
        "sum(m * n for m, n in zip(means, sizes)) / sum(sizes)",
    ),
)
def epoch_loss(means, sizes):
    return sum(mean * size for mean, size in zip(means, sizes, strict=True)) / sum(sizes)


@epoch_loss.mistake
def mean_of_means(means, sizes):
    """The mean of the means lets a sample of the small last batch count more than the others."""
    return sum(means) / len(means)


@epoch_loss.mistake
def by_the_batches(means, sizes):
    """The sum over all samples must be divided by the number of samples, not of batches."""
    return epoch_loss(means, sizes) * sum(sizes) / len(sizes)


@epoch_loss.mistake
def means_over_samples(means, sizes):
    """A batch's mean is one number for many samples: multiply it by the size of its batch before you divide by all."""
    return sum(means) / sum(sizes)


def a_padded_batch(padded_loss):
    y = drawn(torch.tensor([[1, 2, 3, 4], [4, 2, -1, -1], [3, -1, -1, -1]]))
    each = drawn(torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 90.0, 80.0], [7.0, 70.0, 60.0, 50.0]]))
    return {
        "the loss of 7 real words with the losses 1 to 7": padded_loss(each, y, -1),
        "the same when the losses of padding are infinite": padded_loss(each.where(y >= 0, torch.inf), y, -1),
        "the same with 9 for padding": padded_loss(each, y.where(y >= 0, 9), 9),
    }


@task(
    facts=a_padded_batch,
    hints=(
        "Make a mask that is True for real words, and let only those into the mean.",
        "A mask as an index picks the entries and forgets the others: nothing is multiplied.",
        "each[y != pad].mean()",
    ),
)
def padded_loss(each, y, pad):
    return each[y != pad].mean()


@padded_loss.mistake
def padding_counts(each, y, pad):
    """Padding went into the mean as if it had a right answer. Leave it out with a mask: y != pad."""
    return each.mean()


@padded_loss.mistake
def divided_by_all_words(each, y, pad):
    """The sum is right, but it was divided by all places. Padding then counts as predicted perfectly: divide by the number of
    real words."""
    return each[y != pad].sum() / y.numel()


@padded_loss.mistake
def sentence_by_sentence(each, y, pad):
    """A mean for each sentence and then the mean of those lets a word of a short sentence count more. Take one mean over
    all."""
    return torch.stack([losses[words != pad].mean() for losses, words in zip(each, y, strict=True)]).mean()


@padded_loss.mistake
def multiplied_by_the_mask(each, y, pad):
    """Infinity times 0 is NaN. Choose with the mask, each[mask], instead of multiplying by it."""
    return (each * (y != pad)).sum() / (y != pad).sum()


@padded_loss.mistake
def every_negative_is_padding(each, y, pad):
    """The argument `pad` was not used. Padding may be marked by any number: y != pad."""
    return each[y >= 0].mean()


@padded_loss.mistake
def only_the_padding(each, y, pad):
    """That is the mean over the padding. `y == pad` is True where there is *no* word: take y != pad."""
    return each[y == pad].mean()


def six_mails(bce):
    z = drawn(torch.tensor([2.0, 2.0, -3.0, 200.0, -200.0, 200.0]))
    t = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    return {
        "the losses of the logits 2, 2, -3, 200, -200, 200 for 1, 0, 0, 0, 1, 1": bce(z, t),
        "torch's function does it": bool(names_in(bce) & {"binary_cross_entropy_with_logits", "BCEWithLogitsLoss"}),
    }


@task(
    facts=six_mails,
    hints=(
        "exp overflows for large positive numbers and log breaks at 0: let exp see only negative ones.",
        "The formula is in the lesson: max(z, 0) - z t + log(1 + exp(-|z|)).",
        "z.clamp(min=0) - z * t + (-z.abs()).exp().log1p()",
    ),
)
def bce(z, t):
    return z.clamp(min=0) - z * t + (-z.abs()).exp().log1p()


@bce.mistake
def through_the_sigmoid(z, t):
    """The sigmoid of 200 rounds to 1, and the logarithm of 1 - 1 is infinite. Stay with the logits."""
    p = torch.sigmoid(z)
    return -torch.where(t == 1, p.log(), (1 - p).log())


def _with_a_small_number(eps):
    """The mistake that adds `eps` inside the logarithm."""

    def with_a_small_number(z, t):
        """A small number inside the logarithm hides the infinity and makes the loss wrong: 12 to 28 instead of 200, and without
        a slope. The formula on logits needs none."""
        p = torch.sigmoid(z)
        return -(t * (p + eps).log() + (1 - t) * (1 - p + eps).log())

    return with_a_small_number


for _eps in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12):
    bce.mistake(_with_a_small_number(_eps))


@bce.mistake
def capped_logarithm(z, t):
    """100 instead of 200: torch's binary_cross_entropy on probabilities cuts each logarithm off at -100, and beyond that there
    is no slope. Stay with the logits."""
    p = torch.sigmoid(z)
    return -(t * p.log().clamp(min=-100) + (1 - t) * (1 - p).log().clamp(min=-100))


@bce.mistake
def torch_does_it(z, t):
    """The losses are right, but torch's function computed them. Write the formula: max(z, 0) - z t + log(1 + exp(-|z|))."""
    return nn.functional.binary_cross_entropy_with_logits(z, t, reduction="none")


@bce.mistake
def exp_of_the_logit(z, t):
    """exp(200) is infinite in float32. With the absolute value and a minus, exp only sees numbers up to 0."""
    return (1 + z.exp()).log() - z * t


@bce.mistake
def yes_and_no_swapped(z, t):
    """Yes and no are swapped: a large logit is a confident yes, and cheap if t is 1."""
    return bce(z, 1 - t)


@bce.mistake
def averaged(z, t):
    """The mean was taken; here each mail keeps its own loss, (B,)."""
    return bce(z, t).mean()


def penalised(with_penalty):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with torch.no_grad():
        for value, parameter in enumerate(model.parameters(), start=1):
            parameter.fill_(value)
    loss = with_penalty(model(torch.ones(1, 2)).sum() * 0 + 5.0, model, 0.5)
    loss.backward()
    return {
        "loss 5 and strength 0.5; weights four times 1 and two times 3": loss.detach(),
        "the gradients of weight, bias, weight, bias": [parameter.grad for parameter in model.parameters()],
    }


@task(
    facts=penalised,
    hints=(
        "model.parameters() yields weights and biases. How many axes does a bias have?",
        "Square every weight, sum them all, multiply by the strength, add the loss. Keep it in the graph.",
        "loss + strength * sum(p.square().sum() for p in model.parameters() if p.ndim > 1)",
    ),
)
def with_penalty(loss, model, strength):
    return loss + strength * sum(p.square().sum() for p in model.parameters() if p.ndim > 1)


@with_penalty.mistake
def biases_too(loss, model, strength):
    """The biases were penalised too. They only shift the answer: leave out parameters with one axis."""
    return loss + strength * sum(p.square().sum() for p in model.parameters())


@with_penalty.mistake
def absolute_values(loss, model, strength):
    """Those are absolute values, the L1 penalty. Here the weights are squared."""
    return loss + strength * sum(p.abs().sum() for p in model.parameters() if p.ndim > 1)


@with_penalty.mistake
def detached(loss, model, strength):
    """The value is right, but with .data, .item() or detach() the penalty has no gradient, so it does nothing in training."""
    return loss + strength * sum(p.detach().square().sum() for p in model.parameters() if p.ndim > 1)


@with_penalty.mistake
def averaged_weights(loss, model, strength):
    """The mean of the squares makes the penalty of a large layer tiny. Take their sum."""
    return loss + strength * sum(p.square().mean() for p in model.parameters() if p.ndim > 1)


@with_penalty.mistake
def halved(loss, model, strength):
    """You halved the penalty. Some books do, so that its gradient is strength * w; here it is the plain sum of the squares."""
    return loss + strength / 2 * sum(p.square().sum() for p in model.parameters() if p.ndim > 1)


@with_penalty.mistake
def root_of_the_squares(loss, model, strength):
    """norm() is the root of the sum of squares. Square it, or sum p.square()."""
    return loss + strength * sum(p.norm() for p in model.parameters() if p.ndim > 1)


@with_penalty.mistake
def the_penalty_alone(loss, model, strength):
    """That is the penalty alone: nothing tells the model to fit the data any more. Add it to the loss."""
    return with_penalty(0 * loss, model, strength)
