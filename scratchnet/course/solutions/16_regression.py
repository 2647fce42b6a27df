"""Exercise 16: standardising and mapping back, R2, known coefficients found again, real patients."""

import torch

from scratchnet import data, training
from scratchnet.course import drawn, task
from scratchnet.data.generated import HOUSE_BIAS, HOUSE_WEIGHTS


def both_parts(standardise):
    train, test = standardise(
        drawn(torch.tensor([[1.0, 100.0], [2.0, 300.0], [3.0, 200.0]])), drawn(torch.tensor([[2.0, 400.0], [4.0, 200.0]]))
    )
    return {"train, from [[1, 100], [2, 300], [3, 200]]": train, "test, from [[2, 400], [4, 200]]": test}


@task(
    facts=both_parts,
    hints=(
        "Each feature is a column, so the statistics are taken over axis 0.",
        "The test data must be treated exactly as the training data were: with the same two numbers.",
        "mean, std = train.mean(0), train.std(0); return (train - mean) / std, (test - mean) / std",
    ),
)
def standardise(train, test):
    mean, std = train.mean(0), train.std(0)
    return (train - mean) / std, (test - mean) / std


@standardise.mistake
def each_its_own(train, test):
    """The test data were standardised with their own mean and standard deviation. Then the same house gets a different price in
    different company: use those of train for both."""
    return tuple((part - part.mean(0)) / part.std(0) for part in (train, test))


@standardise.mistake
def all_together(train, test):
    """The test data had a say in the mean. They must stay unseen: take the statistics from train alone."""
    both = torch.cat([train, test])
    return tuple((part - both.mean(0)) / both.std(0) for part in (train, test))


@standardise.mistake
def one_for_all(train, test):
    """One mean over all features mixes rooms with square metres: .mean(0) gives each column its own."""
    return tuple((part - train.mean()) / train.std() for part in (train, test))


@standardise.mistake
def along_the_rows(train, test):
    """That is the mean of each sample over its features. A feature is a column: take the mean over axis 0."""
    return tuple((part - part.mean(1, keepdim=True)) / part.std(1, keepdim=True) for part in (train, test))


@standardise.mistake
def divided_by_all(train, test):
    """Your standard deviation divides by N. Many programs do so; this task asks for torch's .std, which divides by N - 1."""
    mean, std = train.mean(0), train.std(0, correction=0)
    return (train - mean) / std, (test - mean) / std


@standardise.mistake
def only_centred(train, test):
    """The mean is gone, but a feature with large numbers still outweighs the others: divide by train.std(0)."""
    return train - train.mean(0), test - train.mean(0)


def raw_numbers(map_back):
    weights, bias = map_back(
        drawn(torch.tensor([6.0, 10.0])),
        drawn(torch.tensor(100.0)),
        drawn(torch.tensor([5.0, 40.0])),
        drawn(torch.tensor([2.0, 20.0])),
    )
    return {"weights for 6 and 10 at std 2 and 20": weights, "the bias for 100 at mean 5 and 40": bias}


@task(
    facts=raw_numbers,
    hints=(
        "Write out w (x - mean) / std + b and collect terms: what multiplies x, what does not depend on x?",
        "w / std multiplies x. The rest is b and - w mean / std, summed over the features.",
        "weights / std, bias - (weights * mean / std).sum()",
    ),
)
def map_back(weights, bias, mean, std):
    return weights / std, bias - (weights * mean / std).sum()


@map_back.mistake
def multiplied(weights, bias, mean, std):
    """A raw feature is std times as wide as a standardised one, so its weight must be smaller: divide by std."""
    return weights * std, bias - (weights * std * mean).sum()


@map_back.mistake
def bias_left(weights, bias, mean, std):
    """The weights are right, but the subtracted means have to go somewhere: the bias loses the sum of w mean / std."""
    return weights / std, bias


@map_back.mistake
def not_divided(weights, bias, mean, std):
    """The bias loses the sum of w mean / std: the division by std is missing there."""
    return weights / std, bias - (weights * mean).sum()


@map_back.mistake
def added(weights, bias, mean, std):
    """The mean was subtracted from x, so it enters with a minus: bias - sum, not bias + sum."""
    return weights / std, bias + (weights * mean / std).sum()


def three_judgements(r2):
    y = drawn(torch.tensor([[1.0], [2.0], [3.0], [6.0]]))
    return {
        "R2 of the guesses 1, 2, 4, 5 for 1, 2, 3, 6": float(r2(drawn(torch.tensor([[1.0], [2.0], [4.0], [5.0]])), y)),
        "R2 of always guessing the mean": float(r2(y.mean().expand(4, 1), y)),
        "R2 of guessing 6 for all": float(r2(torch.full((4, 1), 6.0), y)),
    }


@task(
    facts=three_judgements,
    hints=(
        "Two means of squares: of guess - y, and of y - mean of y.",
        "torch's var divides by N - 1 unless told otherwise; here both are means over N.",
        "1 - (guess - y).square().mean() / (y - y.mean()).square().mean()",
    ),
)
def r2(guess, y):
    return 1 - (guess - y).square().mean() / (y - y.mean()).square().mean()


@r2.mistake
def sample_variance(guess, y):
    """y.var() divides by N - 1, the MSE by N: they do not go together. y.var(correction=0) does."""
    return 1 - (guess - y).square().mean() / y.var()


@r2.mistake
def the_share_that_is_left(guess, y):
    """That is the share that is not explained. R2 is 1 minus that, so that 1 is perfect."""
    return (guess - y).square().mean() / y.var(correction=0)


@r2.mistake
def variance_of_the_guesses(guess, y):
    """The guesses are compared with the spread of y, not with their own: guessing one number for everything would divide by
    0."""
    return 1 - (guess - y).square().mean() / guess.var(correction=0)


@r2.mistake
def not_below_zero(guess, y):
    """R2 may be negative: a model can be worse than always guessing the mean. It is not the square of anything."""
    return r2(guess, y).clamp(min=0)


@r2.mistake
def squared_correlation(guess, y):
    """That is the square of the correlation, which forgives guesses that are all too high, or half as large as they should be.
    R2 does not: it compares squared errors."""
    return torch.corrcoef(torch.cat([guess, y], dim=1).T)[0, 1].square()


def coefficients(recover):
    (x, y), _ = data.houses(noise=1.0)
    weights, bias = recover(x, y)
    ratios = (weights.detach().flatten() / torch.tensor(HOUSE_WEIGHTS)).tolist()
    others = drawn(torch.tensor([[3.0], [-2.0], [0.5]]))
    x = torch.randn(60, 3) * drawn(torch.tensor([1.0, 10.0, 4.0])) + 5
    found, start = recover(x, x @ others + 7)
    near = found.numel() == 3 and torch.allclose(found.detach().double().flatten(), others.double().flatten(), rtol=0.02)
    return {
        "the shape of the weights": tuple(weights.shape),
        "the weights of the houses over the true ones, to one digit": [round(ratio, 1) for ratio in ratios],
        "they are within 2 %, and the bias too": all(abs(r - 1) < 0.02 for r in (*ratios, float(bias) / HOUSE_BIAS)),
        "so are the weights 3, -2, 0.5 and the bias 7 of other data": near and abs(float(start) / 7 - 1) < 0.02,
    }


@task(
    facts=coefficients,
    hints=(
        "Either the closed form, with a column of ones for the bias, or descent on standardised features.",
        "torch.linalg.lstsq(with_ones, y).solution is (D + 1, 1): the last entry belongs to the ones. Descent: map back.",
        "with_ones = torch.cat([x, torch.ones(len(x), 1)], dim=1); solution = torch.linalg.lstsq(with_ones, y).solution[:, 0]; "
        "return solution[:-1], solution[-1]",
    ),
)
def recover(x, y):
    solution = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], dim=1), y).solution[:, 0]
    return solution[:-1], solution[-1]


@recover.mistake
def through_the_origin(x, y):
    """Without a column of ones there is no intercept, and the weights are bent to make up for it."""
    return torch.linalg.lstsq(x, y).solution[:, 0], torch.tensor(0.0)


@recover.mistake
def still_standardised(x, y):
    """Those are the weights of standardised features. Divide each by its std and correct the bias: map_back."""
    return recover((x - x.mean(0)) / x.std(0), y)


@recover.mistake
def not_flattened(x, y):
    """The weights should be (D,), one axis: squeeze the solution, or take its column [:, 0]."""
    weights, bias = recover(x, y)
    return weights[:, None], bias


def patients(predict):
    train, test = data.diabetes()
    guess = predict(*train, test.x).detach()
    alone = predict(*train, test.x[:1]).detach()
    return {
        "the shape of the guesses for 88 patients": tuple(guess.shape),
        "a patient's guess alone, over that among others, to one digit": round((alone / guess[:1]).mean().item(), 1),
        "different patients get different guesses": bool(guess.std() > 1),
        "the mean of all guesses over that of y, in halves": round(2 * (guess.mean() / test.y.mean()).item()) / 2,
        "the guesses are right on average, within 20": abs(float((guess - test.y).mean())) < 20,
        "R2 on the held-out patients is 0.40 or more": training.r2(guess, test.y) >= 0.40,
    }


@task(
    facts=patients,
    hints=(
        "Train on x and y, then apply the same weights to new, treated the same way.",
        "With recover(x, y) there is nothing to standardise: it gives weights for raw features.",
        "weights, bias = recover(x, y); return new @ weights[:, None] + bias",
    ),
)
def predict(x, y, new):
    weights, bias = recover(x, y)
    return new @ weights[:, None] + bias


@predict.mistake
def one_axis(x, y, new):
    """The guesses must be (M, 1) like y. (M,) against (M, 1) broadcasts to (M, M) in a loss."""
    weights, bias = recover(x, y)
    return new @ weights + bias


@predict.mistake
def with_their_own_mean(x, y, new):
    """new was standardised with its own mean and standard deviation, and a single patient has none. Use those of x."""
    weights, bias = recover((x - x.mean(0)) / x.std(0), y)
    return (new - new.mean(0)) / new.std(0, correction=0) @ weights[:, None] + bias


@predict.mistake
def always_the_mean(x, y, new):
    """The mean of y for everyone has an R2 of about 0. Let the features speak."""
    return y.mean().expand(len(new), 1)


@predict.mistake
def without_the_bias(x, y, new):
    """The bias is missing: the guesses are all off by the same number."""
    return new @ recover(x, y)[0][:, None]
