"""Exercise 08: a mean over three axes, the sample variance, LayerNorm's rows, columns on the ruler of the training data."""

import torch

from scratchnet.course import drawn, task


def means_of_images(channel_means):
    images = drawn(torch.arange(2 * 3 * 2 * 4.0).reshape(2, 3, 2, 4)) ** 2
    return {"the means of the channels of a batch (2, 3, 2, 4)": channel_means(images)}


@task(
    facts=means_of_images,
    hints=(
        "dim names the axes that disappear. Which ones must go so that only C is left of (N, C, H, W)?",
        "`dim` takes a tuple of axes; the batch is axis 0.",
        "images.mean(dim=(0, 2, 3))",
    ),
)
def channel_means(images):
    return images.mean(dim=(0, 2, 3))


@channel_means.mistake
def channels_gone(images):
    """dim=1 makes the channels disappear. Name the axes that should go, not the one that should stay."""
    return images.mean(dim=1)


@channel_means.mistake
def per_image(images):
    """That is one mean per channel of each image, (N, C). The batch axis has to go too."""
    return images.mean(dim=(2, 3))


@channel_means.mistake
def axes_kept(images):
    """The numbers are right, but their axes are still there with size 1, (1, C, 1, 1). Without keepdim it is (C,)."""
    return images.mean(dim=(0, 2, 3), keepdim=True)


@channel_means.mistake
def batch_only(images):
    """That is the mean image, (C, H, W): only the batch axis is gone. The pixels have to go too."""
    return images.mean(dim=0)


@channel_means.mistake
def one_mean_for_all(images):
    """That is one mean over everything. Leave the channels: name all axes but axis 1."""
    return images.mean()


@channel_means.mistake
def sums(images):
    """Those are the sums. The mean divides by how many pixels were added, N * H * W."""
    return images.sum(dim=(0, 2, 3))


@channel_means.mistake
def three_steps(images):
    """The rows of the pixels are still there, (C, H). Name all three axes at once, dim=(0, 2, 3): one after another they move
    up, and mean(2) after mean(0) takes the last one."""
    return images.mean(0).mean(2)


def variances(sample_variance):
    numbers = {"1, 2, 6": drawn(torch.tensor([1.0, 2.0, 6.0])), "4, 4, 4, 0, 8": drawn(torch.tensor([4.0, 4.0, 4.0, 0.0, 8.0]))}
    return {f"the sample variance of {name}": sample_variance(x) for name, x in numbers.items()}


@task(
    facts=variances,
    without=("var", "std", "var_mean", "std_mean"),
    hints=(
        "Distances from the mean, squared, added up, divided.",
        "Only n - 1 of n distances from their own mean are free: the last one follows from the others. Divide by that.",
        "((x - x.mean()) ** 2).sum() / (len(x) - 1)",
    ),
)
def sample_variance(x):
    return ((x - x.mean()) ** 2).sum() / (len(x) - 1)


@sample_variance.mistake
def population(x):
    """That is the population variance, divided by n. The sample variance divides by n - 1."""
    return ((x - x.mean()) ** 2).mean()


@sample_variance.mistake
def deviation(x):
    """That is its root, the standard deviation. The variance is what is under the root."""
    return (((x - x.mean()) ** 2).sum() / (len(x) - 1)).sqrt()


@sample_variance.mistake
def not_centred(x):
    """These are the squares of the numbers themselves. Variance is about distances from the mean: subtract the mean first."""
    return (x**2).sum() / (len(x) - 1)


@sample_variance.mistake
def squared_late(x):
    """The distances were added up before they were squared, and the sum of distances from the mean is always 0."""
    return (x - x.mean()).sum() ** 2 / (len(x) - 1)


@sample_variance.mistake
def torchs_own(x):
    """The number is right: it is torch's own var or std. The task is to write it, from the distances and their sum."""
    return x.var()


@sample_variance.mistake
def not_squared(x):
    """The distances were not squared: their absolute values measure the width too, but that is not the variance."""
    return (x - x.mean()).abs().sum() / (len(x) - 1)


@sample_variance.mistake
def one_off_below(x):
    """Divided by n + 1. It is n - 1: one of the n distances follows from the others."""
    return ((x - x.mean()) ** 2).sum() / (len(x) + 1)


@sample_variance.mistake
def precedence(x):
    """Without brackets the division comes first: `sum / n - 1` divides by n and then takes 1 away. Write / (n - 1)."""
    return ((x - x.mean()) ** 2).sum() / len(x) - 1


def rows_after(normalised_rows):
    x = drawn(torch.tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]]))
    return {
        "the rows [1, 2, 6] and [5, 5, 5] with eps = 1e-5": normalised_rows(x, 1e-5),
        "the same rows with eps = 2": normalised_rows(x, 2.0),
        "the shape from (4, 6)": tuple(normalised_rows(torch.ones(4, 6), 1e-5).shape),
    }


@task(
    facts=rows_after,
    without=("layer_norm", "group_norm", "batch_norm"),
    hints=(
        "Two reductions, each along the row, each put back by broadcasting.",
        "keepdim=True makes the statistics (B, 1). torch's var divides by n - 1 unless you say correction=0.",
        "(x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + eps).sqrt()",
    ),
)
def normalised_rows(x, eps):
    return (x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, correction=0, keepdim=True) + eps).sqrt()


@normalised_rows.mistake
def sample_statistics(x, eps):
    """Nearly right: torch's var and std divide by n - 1 unless told otherwise. A row of LayerNorm is all there is:
    correction=0."""
    return (x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, keepdim=True) + eps).sqrt()


@normalised_rows.mistake
def eps_outside(x, eps):
    """eps belongs under the root, added to the variance: sqrt(v + eps), not sqrt(v) + eps."""
    return (x - x.mean(dim=1, keepdim=True)) / (x.std(dim=1, correction=0, keepdim=True) + eps)


@normalised_rows.mistake
def columns(x, eps):
    """That normalises the columns: dim=0 makes the samples disappear. Take each row on its own: dim=1."""
    return (x - x.mean(dim=0, keepdim=True)) / (x.var(dim=0, correction=0, keepdim=True) + eps).sqrt()


@normalised_rows.mistake
def sum_subtracted(x, eps):
    """The sum of the row was subtracted instead of its mean."""
    return (x - x.sum(dim=1, keepdim=True)) / (x.var(dim=1, correction=0, keepdim=True) + eps).sqrt()


@normalised_rows.mistake
def axis_lost(x, eps):
    """The statistics are (B,) and meet the features, not the rows. keepdim=True makes them (B, 1)."""
    return (x - x.mean(dim=1)) / (x.var(dim=1, correction=0) + eps).sqrt()


@normalised_rows.mistake
def the_finished_one(x, eps):
    """The numbers are right: that is the finished layer norm. The task is to write it, with mean and var."""
    return torch.nn.functional.layer_norm(x, x.shape[1:], eps=eps)


@normalised_rows.mistake
def root_forgotten(x, eps):
    """The root is missing: divide by sqrt(v + eps)."""
    return (x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, correction=0, keepdim=True) + eps)


@normalised_rows.mistake
def mean_kept(x, eps):
    """The mean of the row was not subtracted. Without it the row keeps its level: (x - mean) / sqrt(v + eps)."""
    return x / (x.var(dim=1, correction=0, keepdim=True) + eps).sqrt()


@normalised_rows.mistake
def eps_forgotten(x, eps):
    """A row of equal numbers gave 0 / 0, NaN: the variance is 0 there. eps under the root keeps it away from 0."""
    return (x - x.mean(dim=1, keepdim=True)) / x.var(dim=1, correction=0, keepdim=True).sqrt()


def two_tables(standardised):
    train = drawn(torch.tensor([[1.0, 100.0], [2.0, 300.0], [6.0, 200.0]]))
    test = drawn(torch.tensor([[2.0, 200.0], [10.0, 250.0]]))
    train, test = standardised(train, test)
    return {"the training table": train, "the test table": test}


@task(
    facts=two_tables,
    hints=(
        "One ruler for both tables. Whose?",
        "The mean and deviation of the columns of `train`: the samples disappear. Broadcasting does the rest.",
        "mean, std = train.mean(0), train.std(0); return (train - mean) / std, (test - mean) / std",
    ),
)
def standardised(train, test):
    mean, std = train.mean(dim=0), train.std(dim=0)
    return (train - mean) / std, (test - mean) / std


@standardised.mistake
def a_ruler_each(train, test):
    """The test table was measured with its own mean and deviation. The network knows the ruler of `train`: use it for both."""
    return (train - train.mean(0)) / train.std(0), (test - test.mean(0)) / test.std(0)


@standardised.mistake
def test_data_leaked(train, test):
    """The statistics were taken from both tables together, so the test data have a say in the training. Take `train` alone."""
    both = torch.cat([train, test])
    return (train - both.mean(0)) / both.std(0), (test - both.mean(0)) / both.std(0)


@standardised.mistake
def one_for_all(train, test):
    """One mean and one deviation for the whole table: the columns keep their different scales. dim=0 gives one per column."""
    return (train - train.mean()) / train.std(), (test - train.mean()) / train.std()


@standardised.mistake
def divided_by_variance(train, test):
    """That divides by the variance. Its root, the standard deviation, has the unit of the column."""
    mean, var = train.mean(dim=0), train.var(dim=0)
    return (train - mean) / var, (test - mean) / var


@standardised.mistake
def population_deviation(train, test):
    """Nearly right: the deviation was taken with n instead of n - 1. The task says .std, as torch gives it."""
    mean, std = train.mean(dim=0), train.std(dim=0, correction=0)
    return (train - mean) / std, (test - mean) / std


@standardised.mistake
def rows(train, test):
    """dim=1 takes the statistics of each row, over features of different units. One mean for each column: dim=0."""
    scaled = [(x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True) for x in (train, test)]
    return scaled[0], scaled[1]


@standardised.mistake
def test_as_it_was(train, test):
    """The test table was left as it is. The network learns in units of the training table, so it must be asked in them too."""
    return (train - train.mean(0)) / train.std(0), test


def mapped_back(prices):
    return {
        "predictions 0, 1, -2 after training on 100, 200, 600": prices(
            drawn(torch.tensor([0.0, 1.0, -2.0])), drawn(torch.tensor([100.0, 200.0, 600.0]))
        )
    }


@task(
    facts=mapped_back,
    hints=(
        "Standardising was: subtract the mean, divide by the deviation. Undo the last step first.",
        "Whose mean and deviation? Those that were used to standardise, of train_prices.",
        "prediction * train_prices.std() + train_prices.mean()",
    ),
)
def prices(prediction, train_prices):
    return prediction * train_prices.std() + train_prices.mean()


@prices.mistake
def order_kept(prediction, train_prices):
    """The steps were undone in the wrong order: the division came last, so the multiplication comes first, then the mean."""
    return (prediction + train_prices.mean()) * train_prices.std()


@prices.mistake
def standardised_again(prediction, train_prices):
    """That standardises once more. The way back multiplies by the deviation and adds the mean."""
    return (prediction - train_prices.mean()) / train_prices.std()


@prices.mistake
def statistics_of_the_predictions(prediction, train_prices):
    """The predictions' own statistics say nothing about prices: the ruler is that of train_prices."""
    return prediction * prediction.std() + prediction.mean()


@prices.mistake
def swapped(prediction, train_prices):
    """Mean and deviation are swapped: multiply by the deviation, then add the mean."""
    return prediction * train_prices.mean() + train_prices.std()


@prices.mistake
def only_the_mean(prediction, train_prices):
    """The mean was added, but the deviation is missing: a prediction of 1 is one deviation above the mean."""
    return prediction + train_prices.mean()


@prices.mistake
def by_the_variance(prediction, train_prices):
    """Multiplied by the variance. Standardising divided by the deviation, its root: multiply by that."""
    return prediction * train_prices.var() + train_prices.mean()


@prices.mistake
def deviation_with_n(prediction, train_prices):
    """Nearly right: the deviation was taken with n instead of n - 1. Use .std() as it is."""
    return prediction * train_prices.std(correction=0) + train_prices.mean()
